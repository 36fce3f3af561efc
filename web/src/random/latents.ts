// What images are made of: pure functions of a seed and an index (docs/random-numbers.md).

import { boxMuller } from "./normals.ts";
import { philox } from "./philox.ts";

/** What random numbers are for; a word of Philox' counter. */
export const Stream = { latent: 0, mixture: 1, posterior: 2 } as const;
export type Stream = (typeof Stream)[keyof typeof Stream];

const low = (value: bigint): number => Number(BigInt.asUintN(32, value));
const high = (value: bigint): number => Number(BigInt.asUintN(32, value >> 32n));

/** Float32 [count, dim]: row i is a function of (seed, stream, first + i) alone. The index wraps. */
export function standardNormal(
  seed: bigint,
  stream: Stream,
  first: bigint,
  count: number,
  dim: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count * dim);
  const words = new Uint32Array(4);
  const tail = new Float32Array(4);
  const seedLow = low(seed);
  const seedHigh = high(seed);
  let indexLow = low(first);
  let indexHigh = high(first);
  for (let row = 0; row < count; row++) {
    const start = row * dim;
    for (let block = 0; 4 * block < dim; block++) {
      philox(words, block, stream, indexLow, indexHigh, seedLow, seedHigh);
      const at = start + 4 * block;
      if (4 * block + 4 <= dim) {
        boxMuller(out, at, words[0], words[1]);
        boxMuller(out, at + 2, words[2], words[3]);
      } else {
        boxMuller(tail, 0, words[0], words[1]);
        boxMuller(tail, 2, words[2], words[3]);
        out.set(tail.subarray(0, dim - 4 * block), at);
      }
    }
    indexLow = (indexLow + 1) >>> 0;
    if (indexLow === 0) indexHigh = (indexHigh + 1) >>> 0;
  }
  return out;
}

/** Float32 [count], each in [0, 1): which component of a mixture image first + i takes. */
export function mixtureUniforms(
  seed: bigint,
  first: bigint,
  count: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count);
  const words = new Uint32Array(4);
  for (let row = 0; row < count; row++) {
    const index = BigInt.asUintN(64, first + BigInt(row));
    philox(words, 0, Stream.mixture, low(index), high(index), low(seed), high(seed));
    out[row] = (words[0] >>> 8) * 2 ** -24;
  }
  return out;
}

/** The class wanted of image first + i: digits[index mod k]; −1, any, if none are asked for. */
export function wantedDigits(
  digits: readonly number[],
  first: bigint,
  count: number,
): BigInt64Array<ArrayBuffer> {
  const out = new BigInt64Array(count).fill(-1n);
  if (digits.length === 0) return out;
  const length = BigInt(digits.length);
  for (let row = 0; row < count; row++) {
    const index = BigInt.asUintN(64, first + BigInt(row));
    out[row] = BigInt(digits[Number(index % length)]);
  }
  return out;
}

/** Multiply noise by a truncation in float32, in place. 1 changes no bit. */
export function truncate(noise: Float32Array, truncation: number): void {
  const factor = Math.fround(truncation);
  if (factor === 1) return;
  for (let i = 0; i < noise.length; i++) noise[i] *= factor;
}
