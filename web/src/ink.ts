// Strokes of a pen, and the image that MNIST would have made of them: the digit fits into a box of
// 20 × 20 pixels with its proportions kept, and its centre of mass is the middle of 28 × 28.

/** Points in units of 1/255 of the pad: whole numbers, so that an address can hold them. */
export type Point = readonly [x: number, y: number];
export type Stroke = readonly Point[];

const SIZE = 28;
const BOX = 20;
const MIDDLE = SIZE / 2; // the pixel index that centres of mass of MNIST's images are nearest to
const PEN = 1.15; // half the width of a stroke, in pixels: about as much ink as an image of MNIST
const EDGE = 0.5; // beyond that it fades out
/** A dot must not be blown up to fill the box. */
const MAX_SCALE = BOX / 64;

/** Bytes [28 × 28] of strokes; all zero without any. */
export function rasterize(strokes: readonly Stroke[]): Uint8Array<ArrayBuffer> {
  const points = strokes.flat();
  const image = new Uint8Array(SIZE * SIZE);
  if (points.length === 0) return image;
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
  const room = BOX - 2 * (PEN + EDGE);
  const scale = Math.min(MAX_SCALE, room / Math.max(right - left, bottom - top));
  const middle = (SIZE - 1) / 2;
  const placed = strokes.map((stroke) =>
    stroke.map(
      ([x, y]): Point => [
        (x - (left + right) / 2) * scale + middle,
        (y - (top + bottom) / 2) * scale + middle,
      ],
    ),
  );
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      const ink = PEN + EDGE - distance(placed, x, y);
      image[y * SIZE + x] = Math.round(255 * Math.min(1, Math.max(0, ink)));
    }
  }
  return centre(image);
}

/** Shift an image by whole pixels so that its centre of mass is within half a pixel of the middle. */
export function centre(image: Uint8Array): Uint8Array<ArrayBuffer> {
  let mass = 0;
  let sumX = 0;
  let sumY = 0;
  image.forEach((value, i) => {
    mass += value;
    sumX += value * (i % SIZE);
    sumY += value * Math.floor(i / SIZE);
  });
  const shifted = new Uint8Array(SIZE * SIZE);
  if (mass === 0) return shifted;
  const shiftX = Math.round(MIDDLE - sumX / mass);
  const shiftY = Math.round(MIDDLE - sumY / mass);
  image.forEach((value, i) => {
    const x = (i % SIZE) + shiftX;
    const y = Math.floor(i / SIZE) + shiftY;
    if (x >= 0 && x < SIZE && y >= 0 && y < SIZE) shifted[y * SIZE + x] = value;
  });
  return shifted;
}

/** From a point to the nearest stroke. */
function distance(strokes: readonly Stroke[], x: number, y: number): number {
  let least = Number.POSITIVE_INFINITY;
  for (const stroke of strokes) {
    for (let i = 0; i < stroke.length; i++) {
      const [ax, ay] = stroke[Math.max(0, i - 1)];
      const [bx, by] = stroke[i];
      const length = (bx - ax) ** 2 + (by - ay) ** 2;
      const along = length === 0 ? 0 : ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length;
      const t = Math.min(1, Math.max(0, along));
      least = Math.min(least, Math.hypot(ax + t * (bx - ax) - x, ay + t * (by - ay) - y));
    }
  }
  return least;
}

/** Strokes as text for an address: of each its number of points and their coordinates, base64url. */
export function strokesToText(strokes: readonly Stroke[]): string {
  const bytes = strokes
    .flatMap(inPieces)
    .flatMap((stroke) => [stroke.length, ...stroke.flatMap((point) => [...point])]);
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

/** Pieces of at most 255 points, each of which begins where the one before ends. */
function inPieces(stroke: Stroke): Stroke[] {
  const pieces: Stroke[] = [];
  for (let start = 0; start < Math.max(1, stroke.length - 1); start += 254) {
    pieces.push(stroke.slice(start, start + 255));
  }
  return pieces;
}

/** The strokes of such a text; none if it is not one. */
export function textToStrokes(text: string): Stroke[] {
  let bytes: number[];
  try {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    bytes = Array.from(plain, (char) => char.charCodeAt(0));
  } catch {
    return [];
  }
  const strokes: Stroke[] = [];
  for (let at = 0; at < bytes.length; ) {
    const count = bytes[at++];
    if (count === 0 || at + 2 * count > bytes.length) return [];
    strokes.push(
      Array.from({ length: count }, (_, i): Point => [bytes[at + 2 * i], bytes[at + 2 * i + 1]]),
    );
    at += 2 * count;
  }
  return strokes;
}
