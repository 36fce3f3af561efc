// The views, as people use them: pointer, keys, fingers, addresses.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  addressSays,
  digitvae,
  type Explorer,
  explore,
  launch,
  newFolder,
  newPage,
  numbers,
  onCanvas,
  open,
  python,
  ROOT,
  removeFolders,
  TestBundle,
  type Watched,
} from "./explorer.ts";

const VIEWS = ["samples", "plane", "latents", "draw", "morph"];

let browser: Browser;
let bundle: TestBundle;
let explorer: Explorer;
let watched: Watched;
let page: Page;

beforeAll(async () => {
  browser = await launch();
  bundle = TestBundle.labelled();
  explorer = await explore(bundle.folder);
});
afterAll(async () => {
  await browser.close();
  expect(await explorer.stop()).toBe(130); // what Ctrl-C means
  removeFolders();
});
beforeEach(async () => {
  watched = await newPage(browser);
  page = watched.page;
});
afterEach(async () => {
  await watched.close();
  expect(watched.complaints).toEqual([]);
  expect(watched.foreign).toEqual([]);
});

const tab = (name: string) => page.getByRole("tab", { name });
const bytes = async (call: string): Promise<number[]> => [
  ...new Uint8Array(await numbers(page, call)),
];
const ink = (image: number[]): number => image.reduce((sum, value) => sum + value, 0);

/** Until a canvas shows these bytes. */
async function shows(selector: string, expected: number[]): Promise<void> {
  const differing = async (): Promise<number> => {
    const found = await onCanvas(page, selector);
    if (found.length !== expected.length) return Number.POSITIVE_INFINITY;
    return found.filter((value, i) => value !== expected[i]).length;
  };
  await expect.poll(differing, { timeout: 10_000 }).toBe(0);
}

/** Bytes of images in a row of their own each, as a sheet of some columns has them. */
function sheetOf(images: number[], columns: number): number[] {
  const sheet = new Array<number>(images.length);
  images.forEach((value, at) => {
    const [i, y, x] = [Math.floor(at / 784), Math.floor((at % 784) / 28), at % 28];
    const [row, column] = [Math.floor(i / columns) * 28 + y, (i % columns) * 28 + x];
    sheet[row * columns * 28 + column] = value;
  });
  return sheet;
}

async function drag(selector: string, points: [number, number][]): Promise<void> {
  const box = (await page.locator(selector).boundingBox())!;
  const at = ([x, y]: [number, number]): [number, number] => [
    box.x + x * box.width,
    box.y + y * box.height,
  ];
  await page.mouse.move(...at(points[0]));
  await page.mouse.down();
  for (const point of points) await page.mouse.move(...at(point), { steps: 4 });
  await page.mouse.up();
}

const THREE: [number, number][] = [
  [0.3, 0.2],
  [0.6, 0.2],
  [0.65, 0.35],
  [0.45, 0.5],
  [0.7, 0.65],
  [0.55, 0.85],
  [0.25, 0.8],
];

describe("samples", () => {
  test("are there when the page opens, and are the engine's", async () => {
    await open(page, explorer.url);
    expect(await page.title()).toBe("digitvae: latent explorer");
    await expect.poll(() => page.locator("#facts").textContent()).toContain("mnist · 40 latents");
    const images = await bytes("(await digitvae.sample({ count: 100 })).images");
    await shows(".sheet", sheetOf(images, 10));
    await expect
      .poll(() => page.locator("#status").textContent())
      .toBe("100 digits of seed 0 from N(0, I).");
  });

  test("follow the address, and the address follows them", async () => {
    await open(
      page,
      explorer.url,
      "#samples?seed=18446744073709551615&count=12&first=5&t=0.5&digit=7",
    );
    const request = "seed: 2n ** 64n - 1n, count: 12, first: 5n, truncation: 0.5, digits: [7]";
    await shows(
      ".sheet",
      sheetOf(await bytes(`(await digitvae.sample({ ${request} })).images`), 4),
    );
    expect(await page.getByRole("radio", { name: "mixture" }).isChecked()).toBe(true);
    await page.getByLabel("Count", { exact: true }).fill("6");
    await addressSays(page, "count", "6");
    await page.getByLabel("Digit", { exact: true }).selectOption("3");
    await addressSays(page, "digit", "3");
    await page.getByText("N(0, I)", { exact: true }).click();
    await addressSays(page, "prior", "standard");
    await addressSays(page, "digit", "any");
    const shared = page.url();
    await page.goto("about:blank");
    await page.goto(shared);
    const plain = request.replace(", digits: [7]", "").replace("12", "6");
    await shows(".sheet", sheetOf(await bytes(`(await digitvae.sample({ ${plain} })).images`), 3));
  });

  test("are not disturbed by what is no number, and say what is one", async () => {
    await open(page, explorer.url, "#samples?count=4");
    const before = await onCanvas(page, ".sheet");
    for (const [label, text] of [
      ["Seed", "18446744073709551616"],
      ["Count", "0"],
      ["Count", "10001"],
    ]) {
      const field = page.getByLabel(label, { exact: true });
      await field.fill(text);
      expect(await field.getAttribute("aria-invalid")).toBe("true");
      expect(await page.locator(".hint.bad:visible").first().textContent()).toContain(
        "whole number",
      );
    }
    expect(await onCanvas(page, ".sheet")).toEqual(before);
  });

  test("can be chosen, and go with their latents and to the pad", async () => {
    await open(page, explorer.url, "#samples?seed=4&prior=mixture");
    const box = (await page.locator(".sheet").boundingBox())!;
    await page.mouse.click(box.x + box.width * 0.35, box.y + box.height * 0.25);
    await addressSays(page, "at", "23");
    const image = await bytes(
      '(await digitvae.sample({ seed: 4n, first: 23n, prior: "mixture" })).images',
    );
    await shows(".chosen canvas", image);
    await page.getByRole("button", { name: "Adjust its latents" }).click();
    await shows(".stage .big canvas", image);
    await tab("Samples").click();
    await page.getByRole("button", { name: "Vary it" }).click();
    await shows(".results .pair canvas >> nth=0", image);
  });
});

describe("the plane", () => {
  test("has its digits in its corners, and is dragged through", async () => {
    await open(page, explorer.url, "#plane?seed=2&ct=0.5");
    const corner = (k: number, digit: number): Promise<number[]> =>
      bytes(
        `(await digitvae.sample({ seed: 2n, first: ${k}n, digits: [${digit}], truncation: 0.5 })).images`,
      );
    await drag(".map", [
      [0.5, 0.5],
      [0, 0],
    ]);
    await shows(".here canvas", await corner(0, 4));
    await drag(".map", [
      [0.5, 0.5],
      [1, 0],
    ]);
    await shows(".here canvas", await corner(1, 9));
    await drag(".map", [
      [0.5, 0.5],
      [0.3, 0.7],
      [0, 1],
    ]);
    await shows(".here canvas", await corner(2, 3));
    await addressSays(page, "x", "0");
    await page.getByLabel("Bottom right", { exact: true }).selectOption("6");
    await drag(".map", [
      [0.5, 0.5],
      [1, 1],
    ]);
    await shows(".here canvas", await corner(3, 6));
    await page.getByRole("button", { name: "Another image for bottom right" }).click();
    await shows(".here canvas", await corner(7, 6));
    await addressSays(page, "c3", "6.7");
    const map = await onCanvas(page, ".map canvas");
    const topLeft = Array.from({ length: 784 }, (_, i) => map[Math.floor(i / 28) * 252 + (i % 28)]);
    expect(topLeft).toEqual(await corner(0, 4));
  });

  test("is moved through by keys", async () => {
    await open(page, explorer.url, "#plane?x=0.5&y=0.5");
    await page.locator(".map").focus();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft"]) {
      await page.keyboard.press(key);
    }
    await addressSays(page, "x", "0.44");
    await addressSays(page, "y", "0.48");
    await expect.poll(() => page.locator("#status").textContent()).toBe("44 % right, 48 % down.");
    const before = await onCanvas(page, ".here canvas");
    await page.keyboard.press("End");
    await addressSays(page, "x", "1");
    await expect.poll(() => onCanvas(page, ".here canvas")).not.toEqual(before);
  });
});

describe("latents", () => {
  const KL = /^z(\d+) (\d+\.\d\d) nats$/;

  test("are sorted by what they say", async () => {
    await open(page, explorer.url, "#latents");
    await expect.poll(() => page.locator(".latents .kl").last().textContent()).toContain("nats");
    const shown = (await page.locator(".latents label").allTextContents()).map(
      (text) => KL.exec(text)!,
    );
    expect(shown).toHaveLength(40);
    expect(new Set(shown.map(([, j]) => j)).size).toBe(40);
    const kl = new Float64Array(await numbers(page, "digitvae.klPerLatent()"));
    const expected = [...kl].sort((a, b) => b - a);
    expect(shown.map(([, , value]) => value)).toEqual(expected.map((value) => value.toFixed(2)));
    expect(shown.map(([, j]) => kl[Number(j)])).toEqual(expected);
    expect(expected[0]).toBeGreaterThan(1);
    expect(expected[39]).toBeGreaterThanOrEqual(0);
  });

  test("are set by sliders, remembered in the address, and taken back", async () => {
    await open(page, explorer.url, "#latents?seed=5&at=2");
    await expect.poll(() => page.locator(".latents .kl").last().textContent()).toContain("nats");
    const start = await bytes("(await digitvae.sample({ seed: 5n, first: 2n })).images");
    await shows(".stage .big canvas", start);
    const slider = page.locator(".latents input").first();
    await slider.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    const j = KL.exec((await page.locator(".latents label").first().textContent())!)![1];
    await addressSays(page, "z", `${j}_-3.99`);
    const call = `(async () => {
      const { z } = await digitvae.latents({ seed: 5n, first: 2n });
      z[${j}] = -3.99;
      return digitvae.decode(z);
    })()`;
    const changed = await bytes(call);
    expect(changed).not.toEqual(start);
    await shows(".stage .big canvas", changed);
    const shared = page.url();
    await page.goto("about:blank");
    await page.goto(shared);
    await shows(".stage .big canvas", changed);
    await page.getByRole("button", { name: "Undo changes" }).click();
    await shows(".stage .big canvas", start);
    await addressSays(page, "z", null);
    await page.getByRole("button", { name: "All to zero" }).click();
    await shows(".stage .big canvas", await bytes("digitvae.decode(new Float32Array(40))"));
  });
});

describe("the pad", () => {
  const INPUT = ".results .pair canvas >> nth=0";
  const OUTPUT = ".results .pair canvas >> nth=1";
  const AROUND = ".results > figure canvas";

  async function isCentred(): Promise<void> {
    const image = await onCanvas(page, INPUT);
    const mass = ink(image);
    expect(mass / 255).toBeGreaterThan(40);
    for (const coordinate of [(i: number) => i % 28, (i: number) => Math.floor(i / 28)]) {
      const mean = image.reduce((sum, value, i) => sum + value * coordinate(i), 0) / mass;
      expect(mean).toBeGreaterThanOrEqual(13.5);
      expect(mean).toBeLessThanOrEqual(14.5);
    }
  }

  test("takes a drawing, reconstructs it, and varies it", async () => {
    await open(page, explorer.url, "#draw?vseed=9");
    expect(ink(await onCanvas(page, OUTPUT))).toBe(0);
    await drag(".pad", THREE);
    await expect.poll(() => page.locator("#status").textContent()).toContain("24 variations");
    await isCentred();
    const image = JSON.stringify(await onCanvas(page, INPUT));
    const encode = `digitvae.encode(Float32Array.from(${image}, (value) => value / 255))`;
    await shows(OUTPUT, await bytes(`digitvae.decode((await ${encode}).mu)`));
    const vary = (t: number): string =>
      `digitvae.decode(digitvae.variations(await ${encode}, 24, 9n, ${t}))`;
    await shows(AROUND, sheetOf(await bytes(vary(1)), 8));
    await page.getByLabel("Truncation").fill("0.25");
    await shows(AROUND, sheetOf(await bytes(vary(0.25)), 8));

    await addressSays(page, "vt", "0.25");
    const shared = page.url();
    await page.goto("about:blank");
    await page.goto(shared);
    await shows(AROUND, sheetOf(await bytes(vary(0.25)), 8));
    await drag(".pad", [
      [0.8, 0.1],
      [0.9, 0.2],
    ]);
    await expect.poll(() => onCanvas(page, INPUT)).not.toEqual(JSON.parse(image));
    await page.getByRole("button", { name: "Undo" }).click();
    await shows(INPUT, JSON.parse(image));
    await page.getByRole("button", { name: "Clear" }).click();
    await expect.poll(async () => ink(await onCanvas(page, INPUT))).toBe(0);
    await addressSays(page, "ink", null);
  });

  test("is drawn on by keys", async () => {
    await open(page, explorer.url, "#draw");
    await page.locator(".pad").focus();
    await page.keyboard.press(" ");
    await expect.poll(() => page.locator("#status").textContent()).toBe("Pen down.");
    for (let i = 0; i < 12; i++) await page.keyboard.press("ArrowDown");
    await page.keyboard.press(" ");
    for (let i = 0; i < 3; i++) await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press(" ");
    for (let i = 0; i < 12; i++) await page.keyboard.press("ArrowUp");
    await expect.poll(async () => ink(await onCanvas(page, OUTPUT))).toBeGreaterThan(0);
    await isCentred();
    await page.keyboard.press("Backspace");
    await page.keyboard.press("Backspace");
    await expect.poll(async () => ink(await onCanvas(page, INPUT))).toBe(0);
  });
});

describe("the morph", () => {
  const end = (k: number, digit: number): Promise<number[]> =>
    bytes(`(await digitvae.sample({ first: ${k}n, digits: [${digit}], truncation: 0.6 })).images`);

  test("goes from one digit to the other", async () => {
    await open(page, explorer.url, "#morph");
    await shows(".stage .big canvas", await end(0, 3));
    await page.getByLabel("Position").fill("1");
    await shows(".stage .big canvas", await end(1, 8));
    await page.getByLabel("Position").fill("0.5");
    await addressSays(page, "m", "0.5");
    const straight = await onCanvas(page, ".stage .big canvas");
    await page.getByText("great circle").click();
    await expect.poll(() => onCanvas(page, ".stage .big canvas")).not.toEqual(straight);
    await page.getByLabel("To", { exact: true }).selectOption("5");
    await page.getByLabel("Position").fill("1");
    await shows(".stage .big canvas", await end(1, 5));
  });

  test("plays, pauses, and stops when one leaves", async () => {
    await open(page, explorer.url, "#morph");
    const position = (): Promise<number> =>
      page.getByLabel("Position").evaluate((input) => (input as HTMLInputElement).valueAsNumber);
    await page.getByRole("button", { name: "Play" }).click();
    await expect.poll(position).toBeGreaterThan(0.1);
    await page.getByRole("button", { name: "Pause" }).click();
    const at = await position();
    await page.waitForTimeout(300);
    expect(await position()).toBe(at);
    await page.getByRole("button", { name: "Play" }).click();
    await tab("Samples").click();
    await page.waitForTimeout(600);
    expect(await page.evaluate(() => location.hash)).toMatch(/^#samples(\?|$)/);
  });

  test("goes by steps where less motion is asked for", async () => {
    await page.emulateMedia({ reducedMotion: "reduce" });
    await open(page, explorer.url, "#morph");
    const seen: number[] = await page.evaluate(async () => {
      const input = [...document.querySelectorAll("input")].find(
        (one) => one.max === "1" && one.step === "0.001",
      )!;
      [...document.querySelectorAll("button")].find((one) => one.textContent === "Play")!.click();
      const values = new Set<number>();
      for (let frame = 0; frame < 120; frame++) {
        await new Promise(requestAnimationFrame);
        values.add(input.valueAsNumber);
      }
      return [...values];
    });
    expect(seen.length).toBeGreaterThan(1);
    for (const value of seen) {
      expect(Math.abs(value * 15 - Math.round(value * 15))).toBeLessThan(0.01);
    }
  });
});

describe("downloads", () => {
  async function save(name: string): Promise<Buffer> {
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name, exact: true }).click(),
    ]);
    return readFileSync((await download.path())!);
  }
  const ready = (count: number): Promise<void> =>
    expect
      .poll(() => page.locator("#status").textContent())
      .toContain(`${count} digits of seed`) as unknown as Promise<void>;

  test("are the files that digitvae generate writes, but for rounding", async () => {
    await open(page, explorer.url, "#samples?seed=7&count=200&prior=mixture&t=0.8");
    await ready(200);
    const folder = newFolder();
    const words = ["--seed", "7", "--prior", "mixture", "--truncation", "0.8"];
    const place = [
      "--bundle",
      bundle.folder,
      "--format",
      "mnist",
      "-q",
      "-o",
      join(folder, "data"),
    ];
    digitvae("generate", "200", ...words, ...place);
    const native = (name: string): Buffer =>
      readFileSync(join(folder, "data", "MNIST", "raw", `train-${name}-ubyte`));
    const images = await save("IDX images");
    const expected = native("images-idx3");
    expect(images.subarray(0, 16)).toEqual(expected.subarray(0, 16));
    expect(images.length).toBe(expected.length);
    const same = images.reduce((sum, value, i) => sum + (value === expected[i] ? 1 : 0), 0);
    expect(same / images.length).toBeGreaterThanOrEqual(0.9999);
    expect(await save("IDX labels")).toEqual(native("labels-idx1"));
  });

  test("have no labels where there are none, and say why", async () => {
    await open(page, explorer.url, "#samples?count=4");
    await ready(4);
    const labels = page.getByRole("button", { name: "IDX labels" });
    expect(await labels.isDisabled()).toBe(true);
    expect(await page.locator(".downloads .hint").textContent()).toContain(
      "N(0, I) knows no classes",
    );
  });

  test("of pictures are PNGs with the digits in them", async () => {
    await open(page, explorer.url, "#samples?seed=3&count=12");
    await ready(12);
    const folder = newFolder();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "PNG" }).click(),
    ]);
    expect(download.suggestedFilename()).toBe("digits-seed3.png");
    const file = join(folder, "sheet.png");
    await download.saveAs(file);
    python(join(ROOT, "web/tests/browser/reference.py"), folder, "grey", file);
    const [height, width] = new Int32Array(
      Uint8Array.from(readFileSync(join(folder, "grey.size"))).buffer,
    );
    expect([width, height]).toEqual([(4 * 30 + 2) * 2, (3 * 30 + 2) * 2]);
    const pixels = readFileSync(join(folder, "grey.pixels"));
    const images = await bytes("(await digitvae.sample({ seed: 3n, count: 12 })).images");
    images.forEach((value, at) => {
      const [i, y, x] = [Math.floor(at / 784), Math.floor((at % 784) / 28), at % 28];
      const [row, column] = [Math.floor(i / 4) * 30 + 2 + y, (i % 4) * 30 + 2 + x];
      for (const [down, right] of [
        [0, 0],
        [1, 1],
      ]) {
        const found = pixels[(2 * row + down) * width + 2 * column + right];
        if (found !== value) throw new Error(`pixel ${at} is ${found}, not ${value}`);
      }
    });
    expect(pixels[0]).toBe(0);
  });

  test.each([
    ["plane", 81],
    ["latents", 1],
    ["morph", 16],
  ])("of the %s hold what is in sight", async (view, count) => {
    await open(page, explorer.url, `#${view}`);
    await page.waitForTimeout(300);
    const file = await save("IDX images");
    expect([...file.subarray(0, 8)]).toEqual([0, 0, 8, 3, 0, 0, 0, count]);
    expect(file.length).toBe(16 + count * 784);
    expect(ink([...file.subarray(16)])).toBeGreaterThan(0);
  });
});

describe("without a pointer", () => {
  test("every view is reached and used by keys alone", async () => {
    await open(page, explorer.url);
    await page.keyboard.press("Tab");
    expect(await page.evaluate(() => document.activeElement?.textContent)).toContain("Skip");
    const hash = new URL(page.url()).hash;
    await page.keyboard.press("Enter");
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("panel");
    expect(new URL(page.url()).hash).toBe(hash);
    await page.keyboard.press("Shift+Tab");
    await tab("Samples").focus();
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Tab");
    const focused = (): Promise<string> =>
      page.evaluate(() => {
        const at = document.activeElement!;
        return at.getAttribute("aria-label") ?? at.textContent ?? "";
      });
    expect(await focused()).toBe("Samples");
    for (const name of ["Plane", "Latents", "Draw", "Morph", "Samples"]) {
      await page.keyboard.press("ArrowRight");
      expect(await focused()).toBe(name);
      expect(await tab(name).getAttribute("aria-selected")).toBe("true");
      expect(await page.getByRole("tabpanel").getAttribute("aria-labelledby")).toBe(
        `tab-${name.toLowerCase()}`,
      );
    }
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Tab");
    expect(await focused()).toContain("Plane between four digits");
    await page.keyboard.press("ArrowDown");
    await addressSays(page, "y", "0.17");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("End");
    await page.keyboard.press("Tab");
    expect(await focused()).toBe("Play");
    await page.keyboard.press("Enter");
    await expect.poll(() => page.locator("#status").textContent()).toBe("Playing.");
  });

  test.each(VIEWS)(
    "everything in %s has a name, and can be seen to have the focus",
    async (view) => {
      await open(page, explorer.url, `#${view}`);
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll("button, input, select, canvas[role], [tabindex='0']")]
          .filter((element) => {
            const { labels } = element as HTMLInputElement;
            const name =
              element.getAttribute("aria-label") ??
              (labels?.length ? labels[0].textContent : element.textContent);
            return !name?.trim();
          })
          .map((element) => element.outerHTML),
      );
      expect(nameless).toEqual([]);
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      const outline = await page.evaluate(() => {
        const { parentElement } = document.activeElement!;
        const label = document.activeElement!.matches("[type=radio]") ? parentElement! : null;
        return getComputedStyle(label?.querySelector("label") ?? document.activeElement!)
          .outlineStyle;
      });
      expect(outline).toBe("solid");
    },
  );
});

describe("on a phone", () => {
  test.each(VIEWS)("%s fits", async (view) => {
    await page.setViewportSize({ width: 320, height: 640 });
    await open(page, explorer.url, `#${view}`);
    const [content, width] = await page.evaluate(() => [
      document.documentElement.scrollWidth,
      document.documentElement.clientWidth,
    ]);
    expect(width).toBe(320);
    expect(content).toBeLessThanOrEqual(width);
  });

  test("fingers drag and draw, and the page stays where it is", async () => {
    const phone = await newPage(browser, {
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
    });
    try {
      page = phone.page;
      const client = await page.context().newCDPSession(page);
      const touch = async (selector: string, points: [number, number][]): Promise<void> => {
        const box = (await page.locator(selector).boundingBox())!;
        const at = ([x, y]: [number, number]) => [
          { x: box.x + x * box.width, y: box.y + y * box.height },
        ];
        await client.send("Input.dispatchTouchEvent", {
          type: "touchStart",
          touchPoints: at(points[0]),
        });
        for (const point of points) {
          await client.send("Input.dispatchTouchEvent", {
            type: "touchMove",
            touchPoints: at(point),
          });
        }
        await client.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
      };
      await open(page, explorer.url, "#plane");
      await touch(".map", [
        [0.5, 0.9],
        [0.5, 0.6],
        [0.98, 0.02],
      ]);
      await addressSays(page, "x", "1");
      await open(page, explorer.url, "#draw");
      await touch(".pad", THREE);
      await expect.poll(() => page.locator("#status").textContent()).toContain("24 variations");
      expect(await page.evaluate(() => scrollY)).toBe(0);
      expect(phone.complaints).toEqual([]);
      expect(phone.foreign).toEqual([]);
    } finally {
      await phone.close();
    }
  });

  test("a dark screen gets white digits on dark paper", async () => {
    const brightness = async (): Promise<number> => {
      const shot = await page.locator(".sheet").screenshot();
      return page.evaluate(async (data) => {
        const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
        const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
        const canvas = new OffscreenCanvas(image.width, image.height);
        const context = canvas.getContext("2d")!;
        context.drawImage(image, 0, 0);
        const { data: pixels } = context.getImageData(0, 0, image.width, image.height);
        return pixels.reduce((sum, value) => sum + value, 0) / pixels.length;
      }, shot.toString("base64"));
    };
    await open(page, explorer.url);
    const means: number[] = [];
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      means.push(await brightness());
    }
    expect(means[0]).toBeGreaterThan(170);
    expect(means[1]).toBeLessThan(130);
  });
});
