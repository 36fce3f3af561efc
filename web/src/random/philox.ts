// Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
// a function of a 128-bit counter and a 64-bit key to four 32-bit words.

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** The upper 32 bits of the 64-bit product of two 32-bit words, exactly. */
function upperProduct(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const low = Math.imul(aLow, bLow) >>> 0;
  // Each of the sums below is under 2³²: (2¹⁶ − 1)² + 2¹⁶ − 1.
  const middle = ((Math.imul(aHigh, bLow) >>> 0) + (low >>> 16)) >>> 0;
  const other = ((Math.imul(aLow, bHigh) >>> 0) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) >>> 0;
}

/**
 * Four words for one counter and key, written to `out[0 … 3]`. The counter is (block, stream, low
 * and high word of the index), the key low and high word of the seed.
 */
export function philox(
  out: Uint32Array,
  block: number,
  stream: number,
  indexLow: number,
  indexHigh: number,
  seedLow: number,
  seedHigh: number,
): void {
  let c0 = block;
  let c1 = stream;
  let c2 = indexLow;
  let c3 = indexHigh;
  let k0 = seedLow;
  let k1 = seedHigh;
  for (let round = 0; round < ROUNDS; round++) {
    const upper0 = upperProduct(MULTIPLIER_0, c0);
    const lower0 = Math.imul(MULTIPLIER_0, c0);
    const upper1 = upperProduct(MULTIPLIER_1, c2);
    const lower1 = Math.imul(MULTIPLIER_1, c2);
    c0 = upper1 ^ c1 ^ k0;
    c1 = lower1;
    c2 = upper0 ^ c3 ^ k1;
    c3 = lower0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}
