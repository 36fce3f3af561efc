// The worker: everything that takes longer than a frame. Answers `Methods` by message.

import { Bundle, BundleError } from "./bundle.ts";
import { type Images, Networks, type Source } from "./networks.ts";

let networks: Promise<Networks>;

const methods = {
  async open(base: string) {
    networks = Networks.open(new URL(base));
    const { manifest } = await networks;
    return { manifest, hashed: Bundle.canHash };
  },
  async ready() {
    return (await networks).ready();
  },
  async latents(source: Source) {
    return (await networks).latents(source);
  },
  async sample<T extends keyof Images>(source: Source, type: T) {
    const made = await (await networks).latents(source);
    return { ...made, images: await (await networks).decode(made.z, type) };
  },
  async decode<T extends keyof Images>(z: Float32Array, type: T) {
    return (await networks).decode(z, type);
  },
  async encode(x: Float32Array) {
    return (await networks).encode(x);
  },
  async klPerLatent() {
    return (await networks).klPerLatent();
  },
};

export type Methods = typeof methods;

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

self.addEventListener("message", async ({ data }: MessageEvent<Call>) => {
  const answer: Answer = { id: data.id };
  try {
    const method = methods[data.method] as (...args: unknown[]) => Promise<unknown>;
    answer.value = await method(...data.args);
  } catch (error) {
    const { message } = error as Error;
    answer.error = { message, advice: error instanceof BundleError ? error.advice : null };
  }
  self.postMessage(answer);
});
