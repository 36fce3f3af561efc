// The worker's methods, as functions of the page.

import { BundleError } from "./bundle.ts";
import type { Answer, Call, Methods } from "./worker.ts";

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

/** Start the worker. */
export function startModel(): Methods {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  const waiting = new Map<number, Waiting>();
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

  const call = (method: keyof Methods, args: unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = calls++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, method, args } satisfies Call);
    });
  return new Proxy({} as Methods, {
    get:
      (_, method) =>
      (...args: unknown[]) =>
        call(method as keyof Methods, args),
  });
}

/**
 * Work that is asked for more often than it can be done: one at a time, and of what is asked for
 * meanwhile only the last.
 */
export function latest<T>(
  work: (argument: T) => Promise<void>,
  failed: (error: Error) => void,
): (argument: T) => void {
  let busy = false;
  let next: { argument: T } | null = null;
  const run = async (argument: T): Promise<void> => {
    busy = true;
    try {
      await work(argument);
    } catch (error) {
      failed(error as Error);
    }
    busy = false;
    if (next !== null) {
      const following = next;
      next = null;
      void run(following.argument);
    }
  };
  return (argument) => {
    if (busy) next = { argument };
    else void run(argument);
  };
}
