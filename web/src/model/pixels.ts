// Intensities and bytes, rounded as the native engine rounds (cpp/src/kernels/pixels.cpp).

const ROUNDING = 2 ** -23; // by which ONNX Runtime's sigmoid leaves [0, 1] for a few logits
const ROUNDER = 1.5 * 2 ** 23; // float32 has no place for fractions beside it

/** Bytes of intensities: 255·x, rounded half to even. */
export function toBytes(x: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(x.length);
  for (let i = 0; i < x.length; i++) {
    bytes[i] = Math.fround(Math.fround(x[i] * 255) + ROUNDER) - ROUNDER;
  }
  return bytes;
}

/** Intensities of bytes, as the encoder takes them. */
export function toIntensities(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  const x = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) x[i] = bytes[i] / 255;
  return x;
}

/** Hold intensities to [0, 1]. Anything beyond what a sigmoid can give, NaN too, is an error. */
export function requireIntensities(x: Float32Array): void {
  for (let i = 0; i < x.length; i++) {
    const value = x[i];
    if (!(value >= -ROUNDING && value <= 1 + ROUNDING)) {
      throw new Error(`the decoder computed ${value} for a pixel; 0 to 1 is expected`);
    }
    if (value > 1) x[i] = 1;
    if (value < 0) x[i] = 0;
  }
}
