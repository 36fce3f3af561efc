// Bundles that lack something, or are not what they say: what people are told.

import { copyFileSync, rmSync, writeFileSync } from "node:fs";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  ELSEWHERE,
  type Explorer,
  explore,
  host,
  launch,
  newPage,
  numbers,
  onCanvas,
  open,
  removeFolders,
  TestBundle,
  type Watched,
} from "./explorer.ts";

let browser: Browser;
let watched: Watched;
let page: Page;
let explorer: Explorer;
let bundle: TestBundle;

beforeAll(async () => {
  browser = await launch();
});
afterAll(async () => {
  await browser.close();
  removeFolders();
});
beforeEach(async () => {
  watched = await newPage(browser);
  page = watched.page;
  bundle = TestBundle.labelled();
  explorer = await explore(bundle.folder);
});
afterEach(async () => {
  await watched.close();
  await explorer.stop();
  expect(watched.foreign).toEqual([]);
  // A 404 is the browser's own complaint; there must be no other.
  expect(watched.complaints.filter((text) => !text.includes("404"))).toEqual([]);
});

async function told(): Promise<string> {
  await page.goto(explorer.url);
  const alarm = page.getByRole("alert");
  await alarm.waitFor();
  expect(await alarm.getByRole("heading").textContent()).toBe("This bundle cannot be used");
  return (await alarm.textContent()) ?? "";
}

function flip(name: string): void {
  const content = bundle.read(name);
  content[content.length >> 1] ^= 1;
  writeFileSync(bundle.path(name), content);
}

type Damage = [what: string, damage: () => void, said: string[]];

const damages: Damage[] = [
  [
    "no manifest",
    () => rmSync(bundle.path("manifest.json")),
    ["There is no manifest.json", "answered 404", "digitvae explore --bundle DIR"],
  ],
  [
    "a manifest that is a page",
    () => writeFileSync(bundle.path("manifest.json"), "<!doctype html><title>Home</title>"),
    ["manifest.json is not JSON", "a page of its own"],
  ],
  [
    "a schema of the future",
    () => bundle.writeManifest({ ...bundle.manifest, schema: "digitvae-bundle/9" }),
    ['the schema "digitvae-bundle/9"', "of the same version"],
  ],
  [
    "dims that are not the decoder's",
    () =>
      bundle.writeManifest({ ...bundle.manifest, dims: { ...bundle.manifest.dims, latent: 41 } }),
    ['digitvae.latent_dim = "40"', 'the manifest says "41"'],
  ],
  [
    "images of another form",
    () => {
      const dims = { ...bundle.manifest.dims, height: 14, width: 56 };
      bundle.writeManifest({ ...bundle.manifest, dims });
    },
    ['digitvae.height = "28"', 'the manifest says "14"'],
  ],
  [
    "a prior for other images",
    () => {
      const model = bundle.read("prior.onnx");
      const at = model.indexOf("mnist", model.indexOf("digitvae.dataset"));
      expect(at).toBeGreaterThan(0);
      model.write("tsinm", at);
      bundle.write("prior.onnx", model);
    },
    ['prior.onnx says digitvae.dataset = "tsinm"', 'the manifest says "mnist"'],
  ],
  [
    "no decoder",
    () => rmSync(bundle.path("decoder.onnx")),
    ["There is no decoder.onnx", "answered 404"],
  ],
  [
    "half a decoder",
    () =>
      writeFileSync(bundle.path("decoder.onnx"), bundle.read("decoder.onnx").subarray(0, 800_000)),
    ["decoder.onnx is truncated", "800,000 bytes", "Export the bundle again"],
  ],
  ["a changed decoder", () => flip("decoder.onnx"), ["decoder.onnx was changed", "SHA-256 is"]],
  ["a changed encoder", () => flip("encoder.onnx"), ["encoder.onnx was changed", "SHA-256 is"]],
  ["a changed prior", () => flip("prior.onnx"), ["prior.onnx was changed", "SHA-256 is"]],
  [
    "a decoder that is no model",
    () => bundle.write("decoder.onnx", Buffer.from("not a model at all")),
    ["decoder.onnx is not an ONNX model"],
  ],
  [
    "a decoder that is the encoder",
    () => bundle.write("decoder.onnx", bundle.read("encoder.onnx")),
    ["The inputs of decoder.onnx are x float32 [batch, 784]", "z float32 [batch, 40]"],
  ],
  [
    "a decoder that the runtime does not know",
    () => {
      // The name of an operation, replaced by another of the same length.
      const model = bundle.read("decoder.onnx");
      const at = model.indexOf("Sigmoid");
      expect(at).toBeGreaterThan(0);
      model.write("Sigmund", at);
      bundle.write("decoder.onnx", model);
    },
    ["ONNX Runtime cannot load decoder.onnx"],
  ],
];

test.each(damages)("of a bundle with %s, what is wrong is told", async (_, damage, said) => {
  damage();
  await explorer.stop();
  explorer = await host(bundle); // which looks at nothing, as `digitvae explore` does
  const message = await told();
  for (const part of said) expect(message).toContain(part);
  expect(message).toContain(`Bundle: ${explorer.url}bundle/`);
});

test("when the server has ended, the page says how to start it", async () => {
  await page.route("**/bundle/manifest.json", (route) => route.abort("connectionrefused"));
  expect(await told()).toContain("Start `digitvae explore` again");
  watched.complaints.length = 0; // the refused connection
});

test("a decoder that leaves [0, 1] is an error, and no picture", async () => {
  // Its last operation becomes one that passes the logits on.
  const model = bundle.read("decoder.onnx");
  const at = model.indexOf("Sigmoid");
  expect(at).toBeGreaterThan(0);
  model.write("Flatten", at);
  bundle.write("decoder.onnx", model);
  await explorer.stop();
  explorer = await explore(bundle.folder);
  await page.goto(explorer.url);
  const alarm = page.getByRole("alert");
  await alarm.waitFor();
  expect(await alarm.textContent()).toMatch(/the decoder computed -\d.* for a pixel; 0 to 1/);
});

test("without a prior, everything but the mixture works, and the page says why", async () => {
  await explorer.stop();
  bundle = new TestBundle();
  explorer = await explore(bundle.folder);
  await open(page, explorer.url, "#samples?prior=mixture&digit=3&count=9");
  const images = new Uint8Array(
    await numbers(page, "(await digitvae.sample({ count: 9 })).images"),
  );
  const ink = (values: Iterable<number>): number =>
    [...values].reduce((sum, value) => sum + value, 0);
  await expect.poll(async () => ink(await onCanvas(page, ".sheet"))).toBe(ink(images));
  for (const name of ["N(0, I)", "mixture"]) {
    expect(await page.getByRole("radio", { name }).isDisabled()).toBe(true);
  }
  expect(await page.getByLabel("Digit", { exact: true }).isDisabled()).toBe(true);
  expect(await page.locator("aside").textContent()).toContain("This bundle has no prior.onnx");
  await page.getByRole("tab", { name: "Plane" }).click();
  await expect.poll(async () => ink(await onCanvas(page, ".here canvas"))).toBeGreaterThan(0);
  expect(await page.getByLabel("Top left", { exact: true }).isDisabled()).toBe(true);
  expect(await page.locator("aside").textContent()).toContain("This bundle has no prior.onnx");
  await page.getByRole("tab", { name: "Morph" }).click();
  await expect.poll(async () => ink(await onCanvas(page, ".stage .big canvas"))).toBeGreaterThan(0);
});

test("a bundle that is changed on the disk is shown as it was opened", async () => {
  await open(page, explorer.url);
  const before = await onCanvas(page, ".sheet");
  copyFileSync(bundle.path("encoder.onnx"), bundle.path("decoder.onnx"));
  rmSync(bundle.path("manifest.json"));
  await open(page, explorer.url);
  expect(await onCanvas(page, ".sheet")).toEqual(before);
  expect(before.some((value) => value > 0)).toBe(true);
});

// docs/explorer.md says how.
test("any web server will do, from any folder of it", async () => {
  const hosted = await host(bundle);
  try {
    await open(page, hosted.url, "#samples?prior=mixture&count=4");
    await expect.poll(() => page.locator("#facts").textContent()).toMatch(/nats$/);
    expect((await onCanvas(page, ".sheet")).some((value) => value > 200)).toBe(true);

    // From another machine, and not by https, browsers compute no hashes: the page says so, and works.
    await open(page, hosted.url.replace("127.0.0.1", ELSEWHERE), "#samples?prior=mixture&count=4");
    expect(await page.evaluate(() => isSecureContext)).toBe(false);
    expect(await page.locator("#facts").textContent()).toContain("SHA-256 not checked");
    expect((await onCanvas(page, ".sheet")).some((value) => value > 200)).toBe(true);
  } finally {
    await hosted.stop();
  }
});
