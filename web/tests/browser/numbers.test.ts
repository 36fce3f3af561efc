// The numbers that the real browser computes, beside those of the native engine and of NumPy.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Console } from "../../src/console.ts";
import {
  bundleOfOtherSizes,
  type Explorer,
  explore,
  hasPrior,
  launch,
  newPage,
  numbers,
  open,
  ROOT,
  readManifest,
  reference,
  removeFolders,
  SHIPPED,
  TestBundle,
  type Watched,
} from "./explorer.ts";

const ROWS = 5000;
const COUNT = 1000;
const LATENTS: Record<string, [seed: bigint, stream: number, first: bigint]> = {
  zero: [0n, 0, 0n],
  "large-seed": [2n ** 64n - 1n, 0, 2n ** 63n],
  "index-carries": [0x0123456789abcdefn, 0, 2n ** 32n - 2500n],
  "index-wraps": [7n, 2, 2n ** 64n - 2500n],
  posterior: [2n ** 32n + 5n, 2, 123_456_789_012n],
};
const REQUESTS: Record<string, string> = {
  standard: "seed: 7n",
  "standard-truncated": "seed: 2n ** 64n - 1n, first: 2n ** 40n, truncation: 0.7",
  mixture: 'seed: 7n, prior: "mixture"',
  "mixture-digits": "seed: 3n, first: 5n, digits: [3, 8, 1], truncation: 0.35",
};

let browser: Browser;
beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
  removeFolders();
});

/** Positions where two files differ. */
function differences(a: ArrayBuffer, b: ArrayBuffer): number {
  const [x, y] = [new Uint32Array(a), new Uint32Array(b)];
  expect(x.length).toBe(y.length);
  return x.reduce((sum, value, i) => sum + (value === y[i] ? 0 : 1), 0);
}

describe("latents", () => {
  let explorer: Explorer;
  let watched: Watched;
  let made: (name: string) => ArrayBuffer;
  beforeAll(async () => {
    explorer = await explore();
    watched = await newPage(browser);
    await open(watched.page, explorer.url);
    made = reference("latents");
  });
  afterAll(async () => {
    await watched.close();
    await explorer.stop();
  });

  test.each(Object.entries(LATENTS))(
    "have the bits of C++ and of NumPy: %s",
    async (name, [seed, stream, first]) => {
      const call = `digitvae.standardNormal(${seed}n, ${stream}, ${first}n, ${ROWS}, 40)`;
      const found = await numbers(watched.page, call);
      expect(found.byteLength).toBe(ROWS * 40 * 4);
      expect(differences(found, made(`${name}.native`))).toBe(0);
      expect(differences(found, made(`${name}.numpy`))).toBe(0);
    },
  );

  test.each(Object.entries(LATENTS))(
    "of a mixture choose with the bits of NumPy: %s",
    async (name, [seed, , first]) => {
      const call = `digitvae.mixtureUniforms(${seed}n, ${first}n, ${ROWS})`;
      expect(differences(await numbers(watched.page, call), made(`${name}.mixture`))).toBe(0);
    },
  );
});

const bundles: [string, () => string][] = [
  ["the shipped bundle", () => SHIPPED],
  ["a bundle with a small prior", () => TestBundle.labelled().folder],
  ["a bundle of other sizes", bundleOfOtherSizes],
];

describe.each(bundles)("samples of %s", (_, make) => {
  let explorer: Explorer;
  let watched: Watched;
  let made: (name: string) => ArrayBuffer;
  let names: string[];
  let latents: number;
  let pixels: number;
  beforeAll(async () => {
    const bundle = make();
    const { dims } = readManifest(bundle);
    [latents, pixels] = [dims.latent, dims.height * dims.width];
    names = Object.keys(REQUESTS).filter((name) => hasPrior(bundle) || !name.startsWith("mixture"));
    explorer = await explore(bundle);
    watched = await newPage(browser);
    await open(watched.page, explorer.url);
    made = reference("images", bundle);
  });
  afterAll(async () => {
    await watched.close();
    await explorer.stop();
  });

  const of = (name: string, what: string): string => `(await digitvae.${what}).${name}`;

  test("are those of the native engine: latents, intensities, bytes, labels", async () => {
    expect(names.length).toBeGreaterThanOrEqual(2);
    for (const name of names) {
      const request = `{ ${REQUESTS[name]}, count: ${COUNT} }`;
      const call = `sample({ ...${request}, type: "float32" })`;
      const x = new Float32Array(await numbers(watched.page, of("images", call)));
      const expected = new Float32Array(made(`${name}.float32`));
      expect(x.length).toBe(COUNT * pixels);
      const furthest = x.reduce(
        (most, value, i) => Math.max(most, Math.abs(value - expected[i])),
        0,
      );
      expect(furthest, name).toBeLessThanOrEqual(1e-6);

      const bytes = new Uint8Array(await numbers(watched.page, of("images", `sample(${request})`)));
      const native = new Uint8Array(made(`${name}.uint8`));
      const same = bytes.reduce((sum, value, i) => sum + (value === native[i] ? 1 : 0), 0);
      expect(same / native.length, name).toBeGreaterThanOrEqual(0.9999);
      expect(bytes.every((value, i) => Math.abs(value - native[i]) <= 1)).toBe(true);

      const z = new Float32Array(await numbers(watched.page, of("z", `latents(${request})`)));
      const latents = new Float32Array(made(`${name}.latents`));
      if (name.startsWith("standard")) expect(differences(z.buffer, latents.buffer)).toBe(0);
      else {
        expect(z.every((value, j) => Math.abs(value - latents[j]) <= 2e-6)).toBe(true);
        const labels = await numbers(watched.page, of("labels", `latents(${request})`));
        expect(differences(labels, made(`${name}.labels`))).toBe(0);
      }
    }
  });

  test("are to be had in the console, as docs/explorer.md has it", async () => {
    const document = readFileSync(join(ROOT, "docs/explorer.md"), "utf8");
    const shown = /```js\n(.*?)```/s.exec(document)![1]; // with the sizes of the shipped bundle
    const block = shown.replaceAll("784", `${pixels}`).replaceAll("40", `${latents}`);
    const result = `(async () => {
      ${names.includes("mixture") ? block : block.replace("digits: [3, 8], ", "")}
      if (z.join() !== noise.join()) throw new Error("the noise is not z");
      const sizes = [images, labels ?? [], z, x, posterior.mu, posterior.logvar, around];
      return Int32Array.from(sizes, (values) => values.length);
    })()`;
    const sizes = [...new Int32Array(await numbers(watched.page, result))];
    const labels = names.includes("mixture") ? 100 : 0;
    expect(sizes).toEqual([
      ...[100 * pixels, labels, 2 * latents, 2 * pixels],
      ...[latents, latents, 16 * pixels],
    ]);
  });

  test("do not depend on what is made with them, to the bit", async () => {
    for (const name of names) {
      const request = `${REQUESTS[name]}, type: "float32"`;
      const all = await numbers(watched.page, of("images", `sample({ ${request}, count: 300 })`));
      for (const i of [0, 1, 127, 128, 299]) {
        const first = /first: ([^,]+)/.exec(request)?.[1] ?? "0n";
        const alone = `sample({ ${request}, first: ${first} + ${i}n, count: 1 })`;
        const image = await numbers(watched.page, of("images", alone));
        expect(
          differences(image, all.slice(4 * i * pixels, 4 * (i + 1) * pixels)),
          `${name} ${i}`,
        ).toBe(0);
      }
    }
  });

  test("are encoded, and varied, as the native engine does it", async () => {
    const { page } = watched;
    // The same image for both: its bytes may have been rounded differently.
    const image = [...new Uint8Array(made("standard.uint8"), 0, pixels)];
    await page.evaluate(async (bytes) => {
      const { digitvae } = globalThis as unknown as { digitvae: Console };
      const x = Float32Array.from(bytes, (value) => value / 255);
      Object.assign(globalThis, { posterior: await digitvae.encode(x) });
    }, image);
    for (const part of ["mu", "logvar"]) {
      const found = new Float32Array(await numbers(page, `posterior.${part}`));
      const expected = new Float32Array(made(`posterior.${part}`));
      expect(found.length).toBe(latents);
      expect(found.every((value, j) => Math.abs(value - expected[j]) <= 1e-5)).toBe(true);
    }
    const z = "digitvae.variations(posterior, 100, 2n ** 63n + 1n, 0.8)";
    const x = new Float32Array(await numbers(page, `digitvae.decode(${z}, "float32")`));
    const expected = new Float32Array(made("variations.float32"));
    expect(x.length).toBe(100 * pixels);
    expect(x.every((value, i) => Math.abs(value - expected[i]) <= 1e-5)).toBe(true);
  });
});
