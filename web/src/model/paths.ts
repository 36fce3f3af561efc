// Ways between latents, as the native engine goes them (cpp/src/model/interpolation.cpp): float64,
// rounded once.

export type Method = "lerp" | "slerp";

const SMALLEST_ANGLE = 1e-9; // below it, slerp and lerp agree to the last bit of float32

/** Angle between a and b, accurate near 0 and near π (W. Kahan). 0 for a zero vector. */
function angleBetween(a: Float32Array, b: Float32Array): number {
  let squareA = 0;
  let squareB = 0;
  for (let j = 0; j < a.length; j++) {
    squareA += a[j] * a[j];
    squareB += b[j] * b[j];
  }
  if (squareA === 0 || squareB === 0) return 0;
  const normA = Math.sqrt(squareA);
  const normB = Math.sqrt(squareB);
  let difference = 0;
  let sum = 0;
  for (let j = 0; j < a.length; j++) {
    const u = a[j] / normA;
    const v = b[j] / normB;
    difference += (u - v) * (u - v);
    sum += (u + v) * (u + v);
  }
  return 2 * Math.atan2(Math.sqrt(difference), Math.sqrt(sum));
}

/** The latent at t in [0, 1] on the way from a to b; the ends themselves at 0 and 1. */
export function onPath(
  a: Float32Array,
  b: Float32Array,
  t: number,
  method: Method,
): Float32Array<ArrayBuffer> {
  if (t === 0 || t === 1) return Float32Array.from(t === 0 ? a : b);
  let weightA = 1 - t;
  let weightB = t;
  const angle = method === "slerp" ? angleBetween(a, b) : 0;
  // Between opposite directions no path is shorter than the others: the straight one is taken.
  if (angle > SMALLEST_ANGLE && Math.PI - angle > 1e-6) {
    weightA = Math.sin((1 - t) * angle) / Math.sin(angle);
    weightB = Math.sin(t * angle) / Math.sin(angle);
  }
  return Float32Array.from(a, (value, j) => weightA * value + weightB * b[j]);
}

/** Between four corners (left and right above, left and right below): bilinear, rows of one array. */
export function onPlane(
  corners: readonly Float32Array[],
  right: number,
  down: number,
): Float32Array<ArrayBuffer> {
  const weights = [(1 - right) * (1 - down), right * (1 - down), (1 - right) * down, right * down];
  const corner = weights.indexOf(1);
  if (corner >= 0) return Float32Array.from(corners[corner]);
  return Float32Array.from(corners[0], (_, j) =>
    weights.reduce((sum, weight, k) => sum + weight * corners[k][j], 0),
  );
}
