// The worker's methods, as functions of the page.

import { BundleError } from "./bundle.ts";
import type { Answer, Call, Methods } from "./worker.ts";

/** Start the worker. */
export function startModel(): Methods {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  let calls = 0;

  worker.addEventListener("message", ({ data }: MessageEvent<Answer>) => {
    const caller = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error === undefined) caller?.resolve(data.value);
    else if (data.error.advice === null) caller?.reject(new Error(data.error.message));
    else caller?.reject(new BundleError(data.error.message, data.error.advice));
  });
  worker.addEventListener("error", (event) => {
    const message = `The worker of the page does not start: ${event.message ?? "no reason given"}.`;
    for (const { reject } of waiting.values()) reject(new Error(message));
    waiting.clear();
  });

  return new Proxy({} as Methods, {
    get:
      (_, method) =>
      (...args: unknown[]) =>
        new Promise((resolve, reject) => {
          const id = calls++;
          waiting.set(id, { resolve, reject });
          worker.postMessage({ id, method: method as keyof Methods, args } satisfies Call);
        }),
  });
}

/**
 * Work that is asked for more often than it can be done: one at a time, and once more if it was
 * asked for meanwhile.
 */
export function latest(work: () => Promise<void>, failed: (error: Error) => void): () => void {
  let busy = false;
  let again = false;
  return async function run(): Promise<void> {
    again = busy;
    if (busy) return;
    busy = true;
    try {
      await work();
    } catch (error) {
      failed(error as Error);
    }
    busy = false;
    if (again) void run();
  };
}
