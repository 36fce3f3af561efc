// What tests of the browser share: the real `digitvae explore`, the real browser, bundles to damage.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
export const PYTHON = process.env.DIGITVAE_PYTHON ?? join(ROOT, ".venv/bin/python");
/** The bundle under test, with whatever prior it has. */
export const SHIPPED = process.env.DIGITVAE_TEST_BUNDLE ?? join(ROOT, "export/mnist");
const SMALL_PRIOR = join(ROOT, "cpp/tests/data/prior.onnx");

const folders: string[] = [];

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "digitvae-web-"));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
}

export const python = (...words: string[]): void => {
  execFileSync(PYTHON, words, { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
};

export const digitvae = (...words: string[]): void => python("-m", "digitvae", ...words);

/** Numbers that tests/browser/reference.py makes. */
export function reference(...words: string[]): (name: string) => ArrayBuffer {
  const folder = newFolder();
  python(join(ROOT, "web/tests/browser/reference.py"), folder, ...words);
  return (name) => {
    const bytes = readFileSync(join(folder, name));
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  };
}

export type Manifest = {
  schema: string;
  dims: Record<string, number>;
  files: Record<string, { bytes: number; sha256: string }>;
};

export const readManifest = (bundle: string): Manifest =>
  JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));

/** 16 latents, 256 hidden units, images of 20 × 24 pixels. */
export function bundleOfOtherSizes(): string {
  const folder = join(newFolder(), "bundle");
  python("-m", "tests.support.sizes", folder);
  return folder;
}

/** A bundle of what the page reads, in a folder of its own. */
export class TestBundle {
  readonly folder = join(newFolder(), "bundle");
  readonly manifest: Manifest;

  constructor() {
    cpSync(SHIPPED, this.folder, { recursive: true });
    this.manifest = readManifest(this.folder);
    for (const name of Object.keys(this.manifest.files)) {
      if (/^(decoder|encoder)\.onnx$/.test(name)) continue;
      delete this.manifest.files[name];
      rmSync(this.path(name));
    }
    this.writeManifest();
  }

  /** With the small prior of ten classes that the tests of the native engine have. */
  static labelled(): TestBundle {
    const bundle = new TestBundle();
    bundle.write("prior.onnx", readFileSync(SMALL_PRIOR));
    return bundle;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  /** Put a file in, and into the manifest. */
  write(name: string, content: Uint8Array): void {
    writeFileSync(this.path(name), content);
    const sha256 = createHash("sha256").update(content).digest("hex");
    this.manifest.files[name] = { bytes: content.length, sha256 };
    this.writeManifest();
  }

  writeManifest(manifest: object = this.manifest): void {
    writeFileSync(this.path("manifest.json"), JSON.stringify(manifest));
  }
}

export const hasPrior = (bundle: string): boolean => existsSync(join(bundle, "prior.onnx"));

/** The name of this machine for pages that are not from it. */
export const ELSEWHERE = "digits.test";

/** Any web server: the page in a folder of it, the bundle in the page's, as docs/explorer.md has it. */
export async function host(bundle: TestBundle): Promise<Explorer> {
  const folder = newFolder();
  cpSync(join(ROOT, "python/digitvae/explorer/page"), join(folder, "some/where"), {
    recursive: true,
  });
  cpSync(bundle.folder, join(folder, "some/where/bundle"), { recursive: true });
  const words = ["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", folder, "0"];
  const server = spawn(PYTHON, words, { stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise<number | null>((resolve) => {
    server.once("exit", (code) => resolve(code));
  });
  const line = await new Promise<string>((resolve) => {
    server.stdout.once("data", (data) => resolve(String(data)));
  });
  const port = /port (\d+)/.exec(line)![1];
  return {
    url: `http://127.0.0.1:${port}/some/where/`,
    process: server,
    stop: () => {
      server.kill("SIGTERM");
      return ended;
    },
  };
}

export interface Explorer {
  url: string;
  process: ChildProcess;
  stop: () => Promise<number | null>;
}

/** Start `digitvae explore` on a free port. */
export async function explore(bundle = SHIPPED): Promise<Explorer> {
  const words = ["-m", "digitvae", "explore", "--no-browser", "--port", "0", "--json"];
  const server = spawn(PYTHON, [...words, "--bundle", bundle], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => {
    server.once("exit", (code) => resolve(code));
  });
  const url = await new Promise<string>((resolve, reject) => {
    server.stdout.once("data", (line) => resolve(JSON.parse(String(line)).url));
    server.once("error", reject);
    ended.then((code) => reject(new Error(`digitvae explore ended with ${code}`)));
  });
  return {
    url,
    process: server,
    stop: () => {
      server.kill("SIGINT");
      return ended;
    },
  };
}

export function launch(): Promise<Browser> {
  const found = ["chromium", "chromium-browser", "google-chrome"]
    .flatMap((name) => (process.env.PATH ?? "").split(":").map((folder) => join(folder, name)))
    .find((path) => existsSync(path));
  const executablePath = process.env.CHROMIUM ?? found;
  if (executablePath === undefined) {
    throw new Error("no Chromium in PATH: install one, or name it in CHROMIUM");
  }
  return chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // A name that is this machine, but not to the browser: so much for https.
      `--host-resolver-rules=MAP ${ELSEWHERE} 127.0.0.1`,
    ],
  });
}

const OWN = ["127.0.0.1", ELSEWHERE];

export interface Watched {
  page: Page;
  /** What the console said that was no answer of ours. */
  complaints: string[];
  /** Addresses beyond this machine that were asked for. */
  foreign: string[];
  close: () => Promise<void>;
}

/** A page of a fresh profile. */
export async function newPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Watched> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints: string[] = [];
  const foreign: string[] = [];
  page.on("console", (message) => {
    if (message.text().startsWith("Canvas2D: Multiple readback")) return; // it is the tests who read
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  context.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (!["blob:", "data:"].includes(protocol) && !OWN.includes(hostname)) {
      foreign.push(request.url());
    }
  });
  return { page, complaints, foreign, close: () => context.close() };
}

/** Go to a view, as someone does who was sent its address, and wait for its first digit. */
export async function open(page: Page, url: string, hash = ""): Promise<void> {
  await page.goto("about:blank");
  await page.goto(url + hash);
  await page.waitForFunction(() => performance.getEntriesByName("first-digit").length === 1);
}

/** Run a function of `digitvae`, the console's, and bring its numbers here. */
export async function numbers(page: Page, expression: string): Promise<ArrayBuffer> {
  const text = await page.evaluate(async (code) => {
    const values = await new Function(`return (async () => (${code}))()`)();
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    let binary = "";
    for (let at = 0; at < bytes.length; at += 32768) {
      binary += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(binary);
  }, expression);
  const bytes = Buffer.from(text, "base64");
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

/** The bytes of the digit on a canvas (ink: 255). */
export function onCanvas(page: Page, selector: string): Promise<number[]> {
  return page.locator(selector).evaluate((element) => {
    const canvas = element as HTMLCanvasElement;
    const { data } = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: data.length / 4 }, (_, i) => 255 - data[4 * i]);
  });
}

/** The parts of the address after the view. */
const parameters = (page: Page): URLSearchParams =>
  new URLSearchParams(new URL(page.url()).hash.split("?")[1] ?? "");

/** Until the address says so. */
export async function addressSays(page: Page, name: string, value: string | null): Promise<void> {
  await expect.poll(() => parameters(page).get(name), { timeout: 10_000 }).toBe(value);
}
