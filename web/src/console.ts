// `digitvae` in the browser's console: the functions behind the page (docs/explorer.md).

import type { Images, Latents, Posterior, Source } from "./model/networks.ts";
import { variations } from "./model/variations.ts";
import type { Methods } from "./model/worker.ts";
import { mixtureUniforms, Stream, standardNormal } from "./random/latents.ts";

type Request = Partial<Source> & { type?: keyof Images };

const source = (request: Request): Source => ({
  seed: 0n,
  first: 0n,
  count: 1,
  prior: (request.digits ?? []).length > 0 ? "mixture" : "standard",
  digits: [],
  truncation: 1,
  ...request,
});

export interface Console {
  latents(request: Request): Promise<Latents>;
  sample(request: Request): Promise<Latents & { images: Uint8Array | Float32Array }>;
  decode(z: Float32Array, type?: keyof Images): Promise<Uint8Array | Float32Array>;
  encode(x: Float32Array): Promise<Posterior>;
  klPerLatent(): Promise<Float64Array>;
  variations: typeof variations;
  standardNormal: typeof standardNormal;
  mixtureUniforms: typeof mixtureUniforms;
  Stream: typeof Stream;
}

/** Put it into the window. */
export function makeConsole(model: Methods): void {
  const functions: Console = {
    latents: (request) => model.latents(source(request)),
    sample: ({ type = "uint8", ...request }) => model.sample(source(request), type),
    decode: (z, type = "uint8") => model.decode(z, type),
    encode: (x) => model.encode(x),
    klPerLatent: () => model.klPerLatent(),
    variations,
    standardNormal,
    mixtureUniforms,
    Stream,
  };
  Object.assign(globalThis, { digitvae: functions });
}
