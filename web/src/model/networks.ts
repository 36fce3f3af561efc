// The bundle's three models in ONNX Runtime's WebAssembly, on one thread. Runs in the worker.

import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import * as ort from "onnxruntime-web/wasm";
import {
  mixtureUniforms,
  Stream,
  standardNormal,
  truncate,
  wantedDigits,
} from "../random/latents.ts";
import { Bundle, BundleError, DECODER, ENCODER, type Manifest, PRIOR } from "./bundle.ts";
import { requireIntensities, toBytes } from "./pixels.ts";

ort.env.wasm.numThreads = 1; // so that pages need no cross-origin isolation
ort.env.wasm.wasmPaths = { wasm: new URL(wasmUrl, import.meta.url).href };
ort.env.logLevel = "error";

const ROWS = 128; // of one run, as in the native engine
const MAX_LATENT = 1e20;
const KL_DRAWS = 256;

/** Where latents come from: as the arguments of `Model.latents` in Python. */
export interface Source {
  seed: bigint;
  first: bigint;
  count: number;
  prior: "standard" | "mixture";
  /** Classes that the images take in turn; none: any. */
  digits: readonly number[];
  truncation: number;
}

export interface Latents {
  z: Float32Array<ArrayBuffer>;
  /** The class of each, if they come from the mixture. */
  labels: Int32Array<ArrayBuffer> | null;
}

export interface Posterior {
  mu: Float32Array<ArrayBuffer>;
  logvar: Float32Array<ArrayBuffer>;
}

export interface Images {
  float32: Float32Array<ArrayBuffer>;
  uint8: Uint8Array<ArrayBuffer>;
}

interface Prior {
  session: ort.InferenceSession;
  labels: number;
}

// y = x, one number. To run it is to start the runtime, while the bundle is on its way.
const SMALLEST_MODEL =
  "CAg6NwoQCgF4EgF5IghJZGVudGl0eRIBZ1oPCgF4EgoKCAgBEgQKAggBYg8KAXkSCgoICAESBAoCCAFCBAoAEBI=";

/** Start ONNX Runtime. */
export async function startRuntime(): Promise<void> {
  const model = Uint8Array.from(atob(SMALLEST_MODEL), (char) => char.charCodeAt(0));
  await (await ort.InferenceSession.create(model)).release();
}

export class Networks {
  readonly manifest: Manifest;
  private readonly decoder: ort.InferenceSession;
  private readonly encoder: Promise<ort.InferenceSession>;
  private readonly prior: Promise<Prior | null>;

  private constructor(bundle: Bundle, decoder: ort.InferenceSession) {
    this.manifest = bundle.manifest;
    this.decoder = decoder;
    this.encoder = openEncoder(bundle);
    // One after the other: what is looked at first needs neither.
    this.prior = this.encoder.then(() => openPrior(bundle));
    this.prior.catch(() => {}); // whoever awaits it is told
  }

  /** Open a bundle. When this returns, the decoder is ready; the others follow. */
  static async open(base: URL): Promise<Networks> {
    const started = startRuntime();
    started.catch(() => {});
    const bundle = await Bundle.open(base);
    const { latent, height, width } = bundle.manifest.dims;
    const { bytes } = await bundle.read(DECODER);
    await started;
    const decoder = await createSession(
      DECODER,
      bytes,
      [`z float32 [batch, ${latent}]`],
      [`x float32 [batch, ${height * width}]`],
    );
    return new Networks(bundle, decoder);
  }

  get dim(): number {
    return this.manifest.dims.latent;
  }

  get pixels(): number {
    return this.manifest.dims.height * this.manifest.dims.width;
  }

  /** Wait for the encoder and the prior. Returns how many classes the prior knows; 0 without one. */
  async ready(): Promise<number> {
    await this.encoder;
    return (await this.prior)?.labels ?? 0;
  }

  async latents(source: Source): Promise<Latents> {
    const { seed, first, count, truncation } = source;
    const noise = standardNormal(seed, Stream.latent, first, count, this.dim);
    truncate(noise, truncation);
    if (source.prior === "standard") return { z: noise, labels: null };
    const prior = await this.prior;
    if (prior === null) throw new Error(`this bundle has no ${PRIOR}, and so no mixture`);
    const u = mixtureUniforms(seed, first, count);
    const digit = wantedDigits(source.digits, first, count);
    const z = new Float32Array(count * this.dim);
    const labels = new Int32Array(count);
    for (let start = 0; start < count; start += ROWS) {
      const rows = Math.min(ROWS, count - start);
      const result = await prior.session.run({
        u: new ort.Tensor("float32", u.subarray(start, start + rows), [rows]),
        digit: new ort.Tensor("int64", digit.subarray(start, start + rows), [rows]),
        eps: rowsOf(noise, this.dim, start, rows),
      });
      z.set(floats(result.z), start * this.dim);
      labels.set(Int32Array.from(result.label.data as BigInt64Array, Number), start);
    }
    requireSound(z, labels, digit, prior.labels);
    return { z, labels };
  }

  async sample<T extends keyof Images>(
    source: Source,
    type: T,
  ): Promise<Latents & { images: Images[T] }> {
    const made = await this.latents(source);
    return { ...made, images: await this.decode(made.z, type) };
  }

  async decode<T extends keyof Images>(z: Float32Array, type: T): Promise<Images[T]> {
    const { dim, pixels } = this;
    const count = z.length / dim;
    for (const value of z) {
      if (Math.abs(value) <= MAX_LATENT) continue;
      throw new Error(`a latent is ${value}; finite ones within ±1e20 are expected`);
    }
    const images =
      type === "uint8" ? new Uint8Array(count * pixels) : new Float32Array(count * pixels);
    for (let start = 0; start < count; start += ROWS) {
      const rows = Math.min(ROWS, count - start);
      const x = floats((await this.decoder.run({ z: rowsOf(z, dim, start, rows) })).x);
      requireIntensities(x);
      images.set(type === "uint8" ? toBytes(x) : x, start * pixels);
    }
    return images as Images[T];
  }

  async encode(x: Float32Array): Promise<Posterior> {
    const encoder = await this.encoder;
    const { dim, pixels } = this;
    const count = x.length / pixels;
    const mu = new Float32Array(count * dim);
    const logvar = new Float32Array(count * dim);
    for (let start = 0; start < count; start += ROWS) {
      const rows = Math.min(ROWS, count - start);
      const result = await encoder.run({ x: rowsOf(x, pixels, start, rows) });
      mu.set(floats(result.mu), start * dim);
      logvar.set(floats(result.logvar), start * dim);
    }
    if (![mu, logvar].every((values) => values.every(Number.isFinite))) {
      throw new Error("the encoder computed something that is not a number");
    }
    return { mu, logvar };
  }

  /** Mean KL(q(z|x) ‖ N(0, 1)) of each latent, in nats, over images drawn from the prior N(0, I). */
  async klPerLatent(): Promise<Float64Array> {
    const { z } = await this.latents({
      seed: 0n,
      first: 0n,
      count: KL_DRAWS,
      prior: "standard",
      digits: [],
      truncation: 1,
    });
    const { mu, logvar } = await this.encode(await this.decode(z, "float32"));
    const kl = new Float64Array(this.dim);
    for (let i = 0; i < mu.length; i++) {
      const each = 0.5 * (mu[i] * mu[i] + Math.exp(logvar[i]) - 1 - logvar[i]);
      kl[i % this.dim] += each / KL_DRAWS;
    }
    return kl;
  }
}

async function openEncoder(bundle: Bundle): Promise<ort.InferenceSession> {
  const { latent, height, width } = bundle.manifest.dims;
  const { bytes } = await bundle.read(ENCODER);
  return createSession(
    ENCODER,
    bytes,
    [`x float32 [batch, ${height * width}]`],
    [`logvar float32 [batch, ${latent}]`, `mu float32 [batch, ${latent}]`],
  );
}

async function openPrior(bundle: Bundle): Promise<Prior | null> {
  if (!bundle.has(PRIOR)) return null;
  const { latent } = bundle.manifest.dims;
  const { bytes, metadata } = await bundle.read(PRIOR);
  const labels = Number(metadata.get("digitvae.labels"));
  if (!Number.isInteger(labels) || labels < 1) {
    throw new BundleError(
      `${PRIOR} says digitvae.labels = ${metadata.get("digitvae.labels")}; ` +
        "the number of classes is expected.",
    );
  }
  const session = await createSession(
    PRIOR,
    bytes,
    ["digit int64 [batch]", `eps float32 [batch, ${latent}]`, "u float32 [batch]"],
    ["label int64 [batch]", `z float32 [batch, ${latent}]`],
  );
  return { session, labels };
}

/** Load a model that must have these inputs and outputs, each as text, sorted. */
async function createSession(
  name: string,
  bytes: Uint8Array,
  inputs: readonly string[],
  outputs: readonly string[],
): Promise<ort.InferenceSession> {
  let session: ort.InferenceSession;
  try {
    session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  } catch (error) {
    throw new BundleError(`ONNX Runtime cannot load ${name}: ${(error as Error).message}`);
  }
  requireInterface(name, "inputs", session.inputMetadata, inputs);
  requireInterface(name, "outputs", session.outputMetadata, outputs);
  return session;
}

function requireInterface(
  name: string,
  which: string,
  found: readonly ort.InferenceSession.ValueMetadata[],
  expected: readonly string[],
): void {
  const describe = (value: ort.InferenceSession.ValueMetadata): string => {
    if (!value.isTensor) return `${value.name} no tensor []`;
    const shape = value.shape.map((axis) => (typeof axis === "number" ? axis : "batch"));
    return `${value.name} ${value.type} [${shape.join(", ")}]`;
  };
  const [has, wanted] = [found.map(describe).sort().join("; "), expected.join("; ")];
  if (has === wanted) return;
  throw new BundleError(`The ${which} of ${name} are ${has}; expected are ${wanted}.`);
}

const floats = (tensor: ort.Tensor): Float32Array => tensor.data as Float32Array;

function rowsOf(values: Float32Array, dim: number, start: number, rows: number): ort.Tensor {
  return new ort.Tensor("float32", values.subarray(start * dim, (start + rows) * dim), [rows, dim]);
}

function requireSound(
  z: Float32Array,
  labels: Int32Array,
  wanted: BigInt64Array,
  classes: number,
): void {
  const bad = z.find((value) => !(Math.abs(value) <= MAX_LATENT));
  if (bad !== undefined) throw new Error(`the prior computed the latent ${bad}`);
  labels.forEach((label, i) => {
    const digit = Number(wanted[i]);
    const known = label >= 0 && label < classes;
    if (known && (digit < 0 || label === digit)) return;
    const expected = digit < 0 ? `0 to ${classes - 1}` : String(digit);
    throw new Error(`the prior gave the label ${label}; ${expected} is expected`);
  });
}
