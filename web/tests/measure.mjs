// How soon the first digit is there, and how smoothly the plane is dragged through:
//
//     make web && cd web && npm run measure [-- DIR]
//
// starts `digitvae explore` (on the bundle DIR, if one is named) and Chromium without a window. A frame
// is what requestAnimationFrame counts; a picture is a digit that was decoded and painted.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const PYTHON = process.env.DIGITVAE_PYTHON ?? join(ROOT, ".venv/bin/python");
const LOADS = 7;
const SECONDS = 10;

const bundle = process.argv[2] ? ["--bundle", process.argv[2]] : [];
const server = spawn(PYTHON, ["-m", "digitvae", "explore", "--no-browser", "--json", ...bundle], {
  stdio: ["ignore", "pipe", "inherit"],
});
const url = await new Promise((resolve) => {
  server.stdout.once("data", (line) => resolve(JSON.parse(String(line)).url));
});
const inPath = ["chromium", "chromium-browser", "google-chrome"]
  .flatMap((name) => process.env.PATH.split(":").map((folder) => join(folder, name)))
  .find((path) => existsSync(path));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? inPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
});

const quantile = (values, q) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(q * values.length))];

async function firstDigit(page, address) {
  await page.goto("about:blank");
  await page.goto(address);
  const mark = await page.waitForFunction(
    () => performance.getEntriesByName("first-digit")[0]?.startTime,
  );
  return mark.jsonValue();
}

const fresh = [];
const again = [];
for (let i = 0; i < LOADS; i++) {
  const context = await browser.newContext();
  const page = await context.newPage();
  fresh.push(await firstDigit(page, url));
  again.push(await firstDigit(page, url));
  await context.close();
}
console.log(
  `first digit, ${LOADS} loads with an empty cache: median ${quantile(fresh, 0.5).toFixed(0)} ms, ` +
    `most ${Math.max(...fresh).toFixed(0)} ms`,
);
console.log(
  `first digit, loaded again: median ${quantile(again, 0.5).toFixed(0)} ms, ` +
    `most ${Math.max(...again).toFixed(0)} ms`,
);

const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
await firstDigit(page, `${url}#plane`);
await page.waitForTimeout(1000);
const result = await page.evaluate(async (seconds) => {
  const area = document.querySelector(".map");
  const large = document.querySelector(".here canvas");
  area.setPointerCapture = () => {};
  area.hasPointerCapture = () => true;
  let pictures = 0;
  const put = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function (...words) {
    if (this.canvas === large) pictures++;
    return put.apply(this, words);
  };
  const box = area.getBoundingClientRect();
  const frames = [];
  const start = await new Promise(requestAnimationFrame);
  for (let now = start, last = start; now - start < 1000 * seconds; ) {
    // A new place in every frame, round and round.
    const turn = (now - start) / 700;
    area.dispatchEvent(
      new PointerEvent("pointermove", {
        clientX: box.left + box.width * (0.5 + 0.4 * Math.cos(turn)),
        clientY: box.top + box.height * (0.5 + 0.4 * Math.sin(1.3 * turn)),
      }),
    );
    now = await new Promise(requestAnimationFrame);
    frames.push(now - last);
    last = now;
  }
  const { digitvae } = globalThis;
  const z = new Float32Array(40);
  const decoding = [];
  for (let i = 0; i < 200; i++) {
    const began = performance.now();
    await digitvae.decode(z);
    decoding.push(performance.now() - began);
  }
  const began = performance.now();
  await digitvae.sample({ count: 10_000 });
  const many = performance.now() - began;
  const noise = performance.now();
  digitvae.standardNormal(1n, 0, 0n, 25_000, 40);
  return { frames, pictures, decoding, many, noise: performance.now() - noise };
}, SECONDS);
const mean = result.frames.reduce((sum, value) => sum + value, 0) / result.frames.length;
console.log(
  `dragging for ${SECONDS} s: ${(1000 / mean).toFixed(1)} frames a second, 99 of 100 within ` +
    `${quantile(result.frames, 0.99).toFixed(1)} ms; ${(result.pictures / SECONDS).toFixed(1)} pictures a second`,
);
console.log(
  `one digit, there and back: median ${quantile(result.decoding, 0.5).toFixed(2)} ms, ` +
    `99 of 100 within ${quantile(result.decoding, 0.99).toFixed(2)} ms`,
);
console.log(`10,000 digits: ${(result.many / 1000).toFixed(2)} s`);
console.log(`1,000,000 normals: ${result.noise.toFixed(0)} ms`);

await browser.close();
server.kill("SIGINT");
