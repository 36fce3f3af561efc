// The IDX format of the MNIST files, as python/digitvae/data/idx.py writes it.

const UINT8 = 0x08;

/** A file of unsigned bytes of this shape. */
export function idx(values: Uint8Array, shape: readonly number[]): Uint8Array<ArrayBuffer> {
  const header = 4 + 4 * shape.length;
  const file = new Uint8Array(header + values.length);
  const view = new DataView(file.buffer);
  file[2] = UINT8;
  file[3] = shape.length;
  shape.forEach((size, i) => {
    view.setUint32(4 + 4 * i, size);
  });
  file.set(values, header);
  return file;
}
