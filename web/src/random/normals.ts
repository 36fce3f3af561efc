// Uniforms and normals from words, as docs/random-numbers.md specifies them to the bit: float64 with
// only + − × ÷ √, in this order. JavaScript rounds each operation and fuses none.

const LN2 = 0.6931471805599453; // 0x1.62e42fefa39efp-1
const TWO_PI = 6.283185307179586; // 0x1.921fb54442d18p+2
const SQRT2 = 1.4142135623730951;
const TWO_TO_MINUS_32 = 2 ** -32;

/** The midpoint of the word-th of 2³² equal cells of (0, 1). */
export function uniform(word: number): number {
  return (word + 0.5) * TWO_TO_MINUS_32;
}

// 2^−k for k = −1 … 31, at k + 1.
const POWERS = Float64Array.from({ length: 33 }, (_, i) => 2 ** (1 - i));

/** ln u(word). A word's leading zeros tell the exponent of w + ½, and so of u. */
export function logOfUniform(word: number): number {
  const k = 31 - Math.clz32(word);
  let m = (word + 0.5) * POWERS[k + 1]; // in [1, 2), exact
  let e = k - 32;
  if (m >= SQRT2) {
    m *= 0.5;
    e += 1;
  }
  const s = (m - 1) / (m + 1);
  const t = s * s;
  let p = 1 / 21;
  p = p * t + 1 / 19;
  p = p * t + 1 / 17;
  p = p * t + 1 / 15;
  p = p * t + 1 / 13;
  p = p * t + 1 / 11;
  p = p * t + 1 / 9;
  p = p * t + 1 / 7;
  p = p * t + 1 / 5;
  p = p * t + 1 / 3;
  p = p * t + 1;
  return e * LN2 + 2 * s * p;
}

/** Two normals from two words, by Box–Muller, into `out[at]` and `out[at + 1]`. */
export function boxMuller(
  out: Float32Array | Float64Array,
  at: number,
  radiusWord: number,
  angleWord: number,
): void {
  const radius = Math.sqrt(-2 * logOfUniform(radiusWord));
  const quarter = ((angleWord + 0x20000000) >>> 30) & 3;
  const rest = (angleWord - (quarter << 30)) | 0;
  const a = (rest + 0.5) * TWO_TO_MINUS_32 * TWO_PI;
  const t = a * a;
  let sine = -1 / 1307674368000;
  sine = sine * t + 1 / 6227020800;
  sine = sine * t - 1 / 39916800;
  sine = sine * t + 1 / 362880;
  sine = sine * t - 1 / 5040;
  sine = sine * t + 1 / 120;
  sine = sine * t - 1 / 6;
  sine = sine * t * a + a;
  let cosine = 1 / 20922789888000;
  cosine = cosine * t - 1 / 87178291200;
  cosine = cosine * t + 1 / 479001600;
  cosine = cosine * t - 1 / 3628800;
  cosine = cosine * t + 1 / 40320;
  cosine = cosine * t - 1 / 720;
  cosine = cosine * t + 1 / 24;
  cosine = cosine * t - 1 / 2;
  cosine = cosine * t + 1;
  switch (quarter) {
    case 0:
      out[at] = radius * cosine;
      out[at + 1] = radius * sine;
      break;
    case 1:
      out[at] = radius * -sine;
      out[at + 1] = radius * cosine;
      break;
    case 2:
      out[at] = radius * -cosine;
      out[at + 1] = radius * -sine;
      break;
    default:
      out[at] = radius * sine;
      out[at + 1] = radius * -cosine;
  }
}
