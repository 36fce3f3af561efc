// Digits on canvases. On the page they are ink on paper (dark: inverted by the style sheet); in files
// they are what MNIST has, white on black.

export interface Grid {
  columns: number;
  rows: number;
}

/** About as wide as high; if it goes, without a gap in the last row. */
export function gridOf(count: number, most: number): Grid {
  const ideal = Math.min(most, Math.max(1, Math.ceil(Math.sqrt(count))));
  let columns = ideal;
  for (let near = Math.min(most, ideal + 4); near >= Math.max(1, ideal - 3); near--) {
    const better = Math.abs(near - ideal) < Math.abs(columns - ideal) || count % columns !== 0;
    if (count % near === 0 && better) columns = near;
  }
  return { columns, rows: Math.ceil(count / columns) };
}

/** Paint digits in rows, each pixel one pixel of the canvas. */
export function paint(
  canvas: HTMLCanvasElement,
  bytes: Uint8Array,
  columns: number,
  height = 28,
  width = 28,
): void {
  const count = bytes.length / (height * width);
  const sheetWidth = columns * width;
  const sheetHeight = Math.ceil(count / columns) * height;
  if (canvas.width !== sheetWidth) canvas.width = sheetWidth;
  if (canvas.height !== sheetHeight) canvas.height = sheetHeight;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(sheetWidth, sheetHeight);
  const pixels = new Uint32Array(image.data.buffer).fill(0xffffffff);
  for (let i = 0, at = 0; i < count; i++) {
    const corner = Math.floor(i / columns) * height * sheetWidth + (i % columns) * width;
    for (let y = 0; y < height; y++) {
      const line = corner + y * sheetWidth;
      for (let x = 0; x < width; x++, at++) {
        pixels[line + x] = 0xff000000 | ((255 - bytes[at]) * 0x010101);
      }
    }
  }
  context.putImageData(image, 0, 0);
}

const PADDING = 2;
const MOST_PIXELS = 16_000_000; // of a canvas, on phones

/** A contact sheet, white on black, as a PNG. */
export async function contactSheet(
  bytes: Uint8Array,
  columns: number,
  height: number,
  width: number,
): Promise<Blob> {
  const count = bytes.length / (height * width);
  const sheetWidth = columns * (width + PADDING) + PADDING;
  const sheetHeight = Math.ceil(count / columns) * (height + PADDING) + PADDING;
  const scale = 4 * sheetWidth * sheetHeight <= MOST_PIXELS ? 2 : 1;
  const canvas = document.createElement("canvas");
  canvas.width = sheetWidth * scale;
  canvas.height = sheetHeight * scale;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer).fill(0xff000000);
  for (let i = 0; i < count; i++) {
    const top = (Math.floor(i / columns) * (height + PADDING) + PADDING) * scale;
    const left = ((i % columns) * (width + PADDING) + PADDING) * scale;
    for (let y = 0; y < height * scale; y++) {
      const from = (i * height + Math.floor(y / scale)) * width;
      const to = (top + y) * canvas.width + left;
      for (let x = 0; x < width * scale; x++) {
        pixels[to + x] = 0xff000000 | (bytes[from + Math.floor(x / scale)] * 0x010101);
      }
    }
  }
  context.putImageData(image, 0, 0);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) reject(new Error("the browser cannot make a PNG of this size"));
      else resolve(blob);
    }, "image/png");
  });
}
