// Digits on canvases. On the page they are ink on paper (dark: inverted by the style sheet); in files
// they are what MNIST has, white on black.

import { h } from "./dom.ts";

const MOST_PIXELS = 16_000_000; // of a canvas, on phones

/** About as wide as high; if it goes, without a gap in the last row. */
export function gridOf(count: number, most: number): { columns: number; rows: number } {
  const ideal = Math.min(most, Math.max(1, Math.ceil(Math.sqrt(count))));
  let columns = ideal;
  for (let near = Math.min(most, ideal + 4); near >= Math.max(1, ideal - 3); near--) {
    const better = Math.abs(near - ideal) < Math.abs(columns - ideal) || count % columns !== 0;
    if (count % near === 0 && better) columns = near;
  }
  return { columns, rows: Math.ceil(count / columns) };
}

export interface Size {
  height: number;
  width: number;
}

/** A canvas for digits, which screen readers call `label`. */
export const digits = (label: string | null = null): HTMLCanvasElement =>
  h("canvas", { class: "digits", role: "img", "aria-label": label });

/**
 * Paint digits in rows. `paper`: the byte of it; 0 for white on black, 255 for the reverse. Each pixel
 * is one of the canvas; two by two, if that makes `most` at the most.
 */
function render(
  canvas: HTMLCanvasElement,
  bytes: Uint8Array,
  columns: number,
  { height, width }: Size,
  paper: number,
  padding: number,
  most: number,
): void {
  const colour = (byte: number): number => 0xff000000 | ((byte ^ paper) * 0x010101);
  const count = bytes.length / (height * width);
  const sheetWidth = columns * (width + padding) + padding;
  const sheetHeight = Math.ceil(count / columns) * (height + padding) + padding;
  const scale = 4 * sheetWidth * sheetHeight <= most ? 2 : 1;
  if (canvas.width !== sheetWidth * scale) canvas.width = sheetWidth * scale;
  if (canvas.height !== sheetHeight * scale) canvas.height = sheetHeight * scale;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer).fill(colour(0));
  for (let i = 0; i < count; i++) {
    const top = (Math.floor(i / columns) * (height + padding) + padding) * scale;
    const left = ((i % columns) * (width + padding) + padding) * scale;
    for (let y = 0; y < height * scale; y++) {
      const from = (i * height + Math.floor(y / scale)) * width;
      const to = (top + y) * canvas.width + left;
      for (let x = 0; x < width * scale; x++) {
        pixels[to + x] = colour(bytes[from + Math.floor(x / scale)]);
      }
    }
  }
  context.putImageData(image, 0, 0);
}

export function paint(
  canvas: HTMLCanvasElement,
  bytes: Uint8Array,
  columns: number,
  size: Size,
): void {
  render(canvas, bytes, columns, size, 255, 0, 0);
}

/** A contact sheet, white on black, as a PNG. */
export async function contactSheet(bytes: Uint8Array, columns: number, size: Size): Promise<Blob> {
  const canvas = document.createElement("canvas");
  render(canvas, bytes, columns, size, 0, 2, MOST_PIXELS);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob === null) reject(new Error("the browser cannot make a PNG of this size"));
      else resolve(blob);
    }, "image/png");
  });
}
