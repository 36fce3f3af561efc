// Draws from a posterior, as `Model.variations` of Python: z = μ + exp(½ log σ²)·(t·ε) in float32.

import { Stream, standardNormal, truncate } from "../random/latents.ts";
import type { Posterior } from "./networks.ts";

/** Float32 [count, dim] around the posterior of one image. */
export function variations(
  { mu, logvar }: Posterior,
  count: number,
  seed: bigint,
  truncation: number,
): Float32Array<ArrayBuffer> {
  const dim = mu.length;
  const z = standardNormal(seed, Stream.posterior, 0n, count, dim);
  truncate(z, truncation);
  const sigma = Float32Array.from(logvar, (value) => Math.exp(Math.fround(0.5 * value)));
  for (let i = 0; i < z.length; i++) {
    z[i] = mu[i % dim] + Math.fround(sigma[i % dim] * z[i]);
  }
  return z;
}
