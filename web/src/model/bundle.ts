// Reading a bundle (export/README.md) from an address, and distrusting it: what is checked here is
// what python/digitvae/bundle/folder.py checks of the files that the page uses.

import { readMetadata } from "./metadata.ts";

const SCHEMA = "digitvae-bundle/1";
const MANIFEST = "manifest.json";
const MAX_MANIFEST_BYTES = 1 << 20;
const AGAIN = "Export the bundle again, or fetch a fresh copy.";

export const DECODER = "decoder.onnx";
export const ENCODER = "encoder.onnx";
export const PRIOR = "prior.onnx";

/** Something is wrong with the bundle. `message` says what, with which value; `advice` what to do. */
export class BundleError extends Error {
  override readonly name = "BundleError";
  readonly advice: string;

  constructor(message: string, advice = AGAIN) {
    super(message);
    this.advice = advice;
  }
}

export interface Dims {
  latent: number;
  hidden: number;
  height: number;
  width: number;
}

export interface Manifest {
  schema: string;
  dims: Dims;
  dataset?: string;
  metrics?: Record<string, unknown>;
  files: Record<string, { sha256: string; bytes: number }>;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const isCount = (value: unknown, least: number): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= least;

const show = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));

/** Check a manifest. */
export function parseManifest(content: Uint8Array): Manifest {
  if (content.length > MAX_MANIFEST_BYTES) {
    throw new BundleError(
      `${MANIFEST} has ${content.length.toLocaleString("en")} bytes; a manifest has at most ` +
        `${MAX_MANIFEST_BYTES.toLocaleString("en")}.`,
    );
  }
  let manifest: unknown;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(content));
  } catch (error) {
    throw new BundleError(
      `${MANIFEST} is not JSON: ${(error as Error).message}.`,
      "The web server may answer with a page of its own where there is no file.",
    );
  }
  if (!isObject(manifest) || typeof manifest.schema !== "string") {
    throw new BundleError(`${MANIFEST} is not a digitvae manifest: it names no schema.`);
  }
  if (manifest.schema !== SCHEMA) {
    throw new BundleError(
      `${MANIFEST} has the schema ${show(manifest.schema)}; this page reads ${show(SCHEMA)}.`,
      "Take a page and a bundle of the same version of digitvae.",
    );
  }
  const { dims, files } = manifest;
  for (const name of ["latent", "hidden", "height", "width"]) {
    if (isObject(dims) && isCount(dims[name], 1)) continue;
    throw new BundleError(
      `In ${MANIFEST}, dims.${name} is ${show(isObject(dims) ? dims[name] : dims)}; ` +
        "a whole number of at least 1 is expected.",
    );
  }
  if (!isObject(files)) {
    throw new BundleError(`In ${MANIFEST}, files is ${show(files)}; an object is expected.`);
  }
  for (const [name, entry] of Object.entries(files)) checkEntry(name, entry);
  for (const name of [DECODER, ENCODER]) {
    if (!Object.hasOwn(files, name)) throw new BundleError(`${MANIFEST} does not list ${name}.`);
  }
  return manifest as unknown as Manifest;
}

function checkEntry(name: string, entry: unknown): void {
  const { sha256, bytes } = isObject(entry) ? entry : {};
  if (!/^[^./\\:\p{C}][^/\\:\p{C}]*$/u.test(name)) {
    throw new BundleError(`${MANIFEST} lists ${show(name)}, which is not a plain file name.`);
  }
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw new BundleError(
      `In ${MANIFEST}, the sha256 of ${name} is ${show(sha256)}; 64 hexadecimal digits are expected.`,
    );
  }
  if (!isCount(bytes, 0)) {
    throw new BundleError(
      `In ${MANIFEST}, the size of ${name} is ${show(bytes)}; a number of bytes is expected.`,
    );
  }
}

async function fetchBytes(url: URL, name: string): Promise<Uint8Array<ArrayBuffer>> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new BundleError(
      `${name} cannot be fetched from ${url}: ${(error as Error).message}.`,
      "Is the server still running? Start `digitvae explore` again and open the address it prints.",
    );
  }
  if (!response.ok) {
    throw new BundleError(
      `There is no ${name} at ${url}: the server answered ${response.status}.`,
      "Put a bundle's files into the folder bundle/ beside the page, or run " +
        "`digitvae explore --bundle DIR`.",
    );
  }
  return new Uint8Array(await response.arrayBuffer());
}

const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** A bundle whose manifest has been checked; its files are when they are read. */
export class Bundle {
  readonly base: URL;
  readonly manifest: Manifest;

  constructor(base: URL, manifest: Manifest) {
    this.base = base;
    this.manifest = manifest;
  }

  static async open(base: URL): Promise<Bundle> {
    return new Bundle(base, parseManifest(await fetchBytes(new URL(MANIFEST, base), MANIFEST)));
  }

  /** Browsers compute SHA-256 only on pages from https or this machine. */
  static readonly canHash = globalThis.crypto?.subtle !== undefined;

  has(name: string): boolean {
    return Object.hasOwn(this.manifest.files, name);
  }

  /** Read one model and check it against the manifest: size, SHA-256, its own metadata. */
  async read(name: string): Promise<{ bytes: Uint8Array; metadata: Map<string, string> }> {
    const expected = this.manifest.files[name];
    const bytes = await fetchBytes(new URL(name, this.base), name);
    if (bytes.length !== expected.bytes) {
      const how = bytes.length < expected.bytes ? "truncated" : "longer than it should be";
      throw new BundleError(
        `${name} is ${how}: it has ${bytes.length.toLocaleString("en")} bytes, ` +
          `the manifest says ${expected.bytes.toLocaleString("en")}.`,
      );
    }
    if (Bundle.canHash) {
      const found = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
      if (found !== expected.sha256) {
        throw new BundleError(
          `${name} was changed: its SHA-256 is ${found}, the manifest says ${expected.sha256}.`,
        );
      }
    }
    return { bytes, metadata: this.checkMetadata(name, bytes) };
  }

  private checkMetadata(name: string, bytes: Uint8Array): Map<string, string> {
    const { dims, dataset } = this.manifest;
    let metadata: Map<string, string>;
    try {
      metadata = readMetadata(bytes);
    } catch (error) {
      throw new BundleError(`${name} is not an ONNX model: ${(error as Error).message}.`);
    }
    const expected = new Map([
      ["digitvae.schema", SCHEMA],
      ["digitvae.latent_dim", String(dims.latent)],
    ]);
    if (dataset !== undefined) expected.set("digitvae.dataset", dataset);
    if (name !== PRIOR) {
      expected.set("digitvae.height", String(dims.height));
      expected.set("digitvae.width", String(dims.width));
    }
    for (const [key, value] of expected) {
      if (metadata.get(key) === value) continue;
      throw new BundleError(
        `${name} says ${key} = ${show(metadata.get(key))}; the manifest says ${show(value)}.`,
      );
    }
    return metadata;
  }
}
