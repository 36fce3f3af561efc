// The worker: everything that takes longer than a frame. Answers `Methods` by message.

import { Bundle, BundleError, type Manifest } from "./bundle.ts";
import { Networks } from "./networks.ts";

let networks: Promise<Networks>;

/** What the page calls: `open` first, then methods of the networks. */
export interface Methods
  extends Pick<Networks, "ready" | "latents" | "sample" | "decode" | "encode" | "klPerLatent"> {
  open(base: string): Promise<{ manifest: Manifest; hashed: boolean }>;
}

export interface Call {
  id: number;
  method: keyof Methods;
  args: unknown[];
}

export interface Answer {
  id: number;
  value?: unknown;
  error?: { message: string; advice: string | null };
}

async function call({ method, args }: Call): Promise<unknown> {
  if (method === "open") networks = Networks.open(new URL(args[0] as string));
  const opened = await networks;
  if (method === "open") return { manifest: opened.manifest, hashed: Bundle.canHash };
  return (opened[method] as (...args: unknown[]) => Promise<unknown>).apply(opened, args);
}

self.addEventListener("message", async ({ data }: MessageEvent<Call>) => {
  const answer: Answer = { id: data.id };
  try {
    answer.value = await call(data);
  } catch (error) {
    const { message } = error as Error;
    answer.error = { message, advice: error instanceof BundleError ? error.advice : null };
  }
  self.postMessage(answer);
});
