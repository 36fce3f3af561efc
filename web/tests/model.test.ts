// The page's own arithmetic, without a browser.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { idx } from "../src/idx.ts";
import { centre, rasterize, type Stroke, strokesToText, textToStrokes } from "../src/ink.ts";
import { BundleError, parseManifest } from "../src/model/bundle.ts";
import { latest } from "../src/model/client.ts";
import { readMetadata } from "../src/model/metadata.ts";
import { onPath, onPlane } from "../src/model/paths.ts";
import { requireIntensities, toBytes, toIntensities } from "../src/model/pixels.ts";
import { variations } from "../src/model/variations.ts";
import { Stream, standardNormal } from "../src/random/latents.ts";
import { parseU64, State } from "../src/state.ts";
import { gridOf } from "../src/ui/picture.ts";

const ROOT = new URL("../../", import.meta.url);
const bundleFile = (name: string): Uint8Array =>
  readFileSync(new URL(`export/mnist/${name}`, ROOT));

test("intensities become bytes by rounding half to even", () => {
  const halves = Float32Array.from([0.5, 1.5, 2.5, 126.5, 127.5, 253.5, 254.5], (v) => v / 255);
  for (let k = 0; k < halves.length; k++) {
    const exact = Math.fround(halves[k] * 255);
    const down = Math.floor(exact);
    const even = down % 2 === 0 ? down : down + 1;
    const expected = exact - down === 0.5 ? even : Math.round(exact);
    expect(toBytes(halves.subarray(k, k + 1))[0]).toBe(expected);
  }
  expect([...toBytes(Float32Array.of(0.5, 0, 1, 0.25))]).toEqual([128, 0, 255, 64]);
});

test("every byte comes back from its intensity", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  expect(toBytes(toIntensities(all))).toEqual(all);
});

test("a sigmoid may leave [0, 1] by one unit; anything else outside it is an error", () => {
  const x = Float32Array.of(0, 0.5, 1 + 2 ** -23, -(2 ** -23));
  requireIntensities(x);
  expect([...x]).toEqual([0, 0.5, 1, 0]);
  for (const bad of [1 + 2 ** -22, -1.2e-7, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => requireIntensities(Float32Array.of(0, bad))).toThrow("0 to 1 is expected");
  }
});

test("paths begin and end at their ends, and a great circle keeps the length", () => {
  const a = Float32Array.of(3, 0, 0);
  const b = Float32Array.of(0, 3, 0);
  for (const method of ["lerp", "slerp"] as const) {
    expect(onPath(a, b, 0, method)).toEqual(a);
    expect(onPath(a, b, 1, method)).toEqual(b);
  }
  expect([...onPath(a, b, 0.5, "lerp")]).toEqual([1.5, 1.5, 0]);
  for (const t of [0.1, 0.37, 0.5, 0.9]) {
    expect(Math.hypot(...onPath(a, b, t, "slerp"))).toBeCloseTo(3, 6);
  }
  // Where there is no great circle, or more than one, the line is taken.
  const opposite = a.map((value) => -2 * value);
  expect([...onPath(a, opposite, 0.5, "slerp")]).toEqual([-1.5, 0, 0]);
  expect([...onPath(a, new Float32Array(3), 0.5, "slerp")]).toEqual([1.5, 0, 0]);
});

test("a plane has its corners, its edges are straight lines, and its middle is the mean", () => {
  const corners = [0, 1, 2, 3].map((k) => standardNormal(5n, Stream.latent, BigInt(k), 1, 40));
  const [a, b, c, d] = corners;
  expect(onPlane(corners, 0, 0)).toEqual(a);
  expect(onPlane(corners, 1, 0)).toEqual(b);
  expect(onPlane(corners, 0, 1)).toEqual(c);
  expect(onPlane(corners, 1, 1)).toEqual(d);
  expect(onPlane(corners, 0.3, 0)).toEqual(onPath(a, b, 0.3, "lerp"));
  const mean = Float32Array.from(a, (_, j) => (a[j] + b[j] + c[j] + d[j]) / 4);
  onPlane(corners, 0.5, 0.5).forEach((value, j) => {
    expect(value).toBeCloseTo(mean[j], 6);
  });
});

test("variations without noise are the reconstruction; their noise is stream 2", () => {
  const posterior = { mu: Float32Array.of(1, -2, 3), logvar: new Float32Array(3) };
  expect([...variations(posterior, 2, 9n, 0)]).toEqual([1, -2, 3, 1, -2, 3]);
  const noise = standardNormal(9n, Stream.posterior, 0n, 2, 3);
  expect(variations(posterior, 2, 9n, 1)).toEqual(
    noise.map((value, i) => posterior.mu[i % 3] + value),
  );
});

test("the metadata of models is read", () => {
  const metadata = readMetadata(bundleFile("decoder.onnx"));
  expect(Object.fromEntries(metadata)).toEqual({
    "digitvae.schema": "digitvae-bundle/1",
    "digitvae.latent_dim": "40",
    "digitvae.height": "28",
    "digitvae.width": "28",
    "digitvae.dataset": "mnist",
  });
});

test("what is not protobuf is refused, wherever it is cut", () => {
  const model = bundleFile("encoder.onnx");
  expect(() => readMetadata(model.subarray(0, 1_000_000))).toThrow("shorter than it says");
  expect(() => readMetadata(Uint8Array.of(0x77, 1, 2, 3))).toThrow("type 7");
  expect(() => readMetadata(new Uint8Array(12).fill(0xff))).toThrow("ten bytes");
  expect(() => readMetadata(Uint8Array.of(0x80))).toThrow("mid-field");
});

const manifest = JSON.parse(new TextDecoder().decode(bundleFile("manifest.json")));
const changed = (change: (copy: typeof manifest) => void): Uint8Array => {
  const copy = structuredClone(manifest);
  change(copy);
  return new TextEncoder().encode(JSON.stringify(copy));
};

test("the shipped manifest is accepted", () => {
  expect(parseManifest(bundleFile("manifest.json")).dims.latent).toBe(40);
});

test.each<[string, (copy: typeof manifest) => void, string]>([
  ["no schema", (m) => delete m.schema, "names no schema"],
  ["a schema of the future", (m) => (m.schema = "digitvae-bundle/2"), '"digitvae-bundle/2"'],
  ["no dims", (m) => delete m.dims, "dims.latent is nothing"],
  ["a fractional dim", (m) => (m.dims.width = 28.5), "dims.width is 28.5"],
  ["a dim of 0", (m) => (m.dims.latent = 0), "dims.latent is 0"],
  ["files that are a list", (m) => (m.files = []), "files is []"],
  ["no encoder", (m) => delete m.files["encoder.onnx"], "does not list encoder.onnx"],
  ["a path", (m) => (m.files["../x"] = m.files["decoder.onnx"]), "not a plain file name"],
  ["a hidden file", (m) => (m.files[".x"] = m.files["decoder.onnx"]), "not a plain file name"],
  [
    "an upper-case hash",
    (m) => (m.files["decoder.onnx"].sha256 = "A".repeat(64)),
    "64 hexadecimal",
  ],
  ["a negative size", (m) => (m.files["decoder.onnx"].bytes = -1), "is -1"],
  ["a size that is text", (m) => (m.files["decoder.onnx"].bytes = "9"), 'is "9"'],
])("a manifest with %s is refused, and the message shows it", (_, change, message) => {
  expect(() => parseManifest(changed(change))).toThrow(BundleError);
  expect(() => parseManifest(changed(change))).toThrow(message);
});

test("manifests that are not JSON, or too large, are refused", () => {
  expect(() => parseManifest(new TextEncoder().encode("<!doctype html>"))).toThrow("not JSON");
  expect(() => parseManifest(Uint8Array.of(0xff, 0xfe))).toThrow("not JSON");
  expect(() => parseManifest(new TextEncoder().encode("[]"))).toThrow("names no schema");
  expect(() => parseManifest(new Uint8Array((1 << 20) + 1))).toThrow("1,048,577");
});

test("IDX files have the header of MNIST's", () => {
  const file = idx(Uint8Array.of(1, 2, 3, 4, 5, 6), [1, 2, 3]);
  const header = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
  expect([...file]).toEqual([...header, 1, 2, 3, 4, 5, 6]);
  expect([...idx(Uint8Array.of(7), [1])]).toEqual([0, 0, 8, 1, 0, 0, 0, 1, 7]);
});

const THREE: Stroke[] = [
  [
    [60, 40],
    [150, 30],
    [180, 80],
    [110, 120],
    [190, 170],
    [150, 230],
    [50, 220],
  ],
];

function extent(image: Uint8Array): { width: number; height: number; x: number; y: number } {
  let [left, right, top, bottom, mass, x, y] = [28, -1, 28, -1, 0, 0, 0];
  image.forEach((value, i) => {
    if (value === 0) return;
    const [column, row] = [i % 28, Math.floor(i / 28)];
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
    mass += value;
    x += value * column;
    y += value * row;
  });
  return { width: right - left + 1, height: bottom - top + 1, x: x / mass, y: y / mass };
}

test("drawings are centred as MNIST's are: 20 pixels at most, the centre of mass in the middle", () => {
  for (const [grow, right, down] of [
    [1, 0, 0],
    [0.4, 100, 20],
    [0.5, 0, 120],
  ]) {
    const strokes = THREE.map((stroke) =>
      stroke.map(([x, y]) => [x * grow + right, y * grow + down] as const),
    );
    const { width, height, x, y } = extent(rasterize(strokes));
    expect(Math.max(width, height)).toBeGreaterThanOrEqual(19);
    expect(Math.max(width, height)).toBeLessThanOrEqual(20);
    for (const mean of [x, y]) {
      expect(mean).toBeGreaterThanOrEqual(13.5);
      expect(mean).toBeLessThanOrEqual(14.5);
    }
  }
});

test("size and place on the pad do not matter", () => {
  const half = THREE.map((stroke) => stroke.map(([x, y]) => [x / 2 + 100, y / 2 + 17] as const));
  expect(rasterize(half)).toEqual(rasterize(THREE));
});

test("a dot stays a dot, a line a line, and nothing nothing", () => {
  expect(rasterize([]).every((value) => value === 0)).toBe(true);
  const dot = extent(rasterize([[[10, 200]]]));
  expect(dot.width).toBeLessThanOrEqual(4);
  const line = extent(
    rasterize([
      [
        [128, 20],
        [128, 230],
      ],
    ]),
  );
  expect(line.height).toBe(20);
  expect(line.width).toBeLessThanOrEqual(4);
});

test("centring shifts by whole pixels and keeps the ink", () => {
  const image = new Uint8Array(784);
  image[0] = 9;
  image[1] = 9;
  const shifted = centre(image);
  expect(shifted[14 * 28 + 14] + shifted[14 * 28 + 13] + shifted[14 * 28 + 15]).toBe(18);
  expect(centre(new Uint8Array(784))).toEqual(new Uint8Array(784));
});

test("strokes survive their way through an address", () => {
  const long: Stroke = Array.from({ length: 700 }, (_, i) => [i % 256, (i * 7) % 256] as const);
  for (const strokes of [THREE, [...THREE, [[0, 255] as const]]]) {
    expect(textToStrokes(strokesToText(strokes))).toEqual(strokes);
  }
  const back = textToStrokes(strokesToText([long]));
  expect(back.map((stroke) => stroke.length)).toEqual([255, 255, 192]);
  expect([...back[0], ...back[1].slice(1), ...back[2].slice(1)]).toEqual(long);
  expect(strokesToText(THREE)).toMatch(/^[A-Za-z0-9_-]+$/);
  for (const bad of ["%", "AAAA", "_w", "BQ"]) expect(textToStrokes(bad)).toEqual([]);
});

test("64-bit numbers are read exactly, and nothing else is", () => {
  expect(parseU64("18446744073709551615")).toBe(2n ** 64n - 1n);
  expect(parseU64(" 1_000 ")).toBe(1000n);
  for (const bad of ["18446744073709551616", "-1", "1.5", "0x10", "", "1e3", "seven"]) {
    expect(parseU64(bad)).toBeNull();
  }
});

test("an address is read, limited to what can be, and written again", () => {
  let written = "";
  const state = new State((hash) => {
    written = hash;
  });
  state.read("#plane?x=0.25&y=7&seed=18446744073709551615&c=nonsense", ["samples", "plane"]);
  expect(state.view).toBe("plane");
  expect(state.number("x", 0, 1, 0.5)).toBe(0.25);
  expect(state.number("y", 0, 1, 0.5)).toBe(1);
  expect(state.u64("seed")).toBe(2n ** 64n - 1n);
  expect(state.choice("c", ["a", "b"], "a")).toBe("a");
  expect(state.whole("n", 1, 9, 4)).toBe(4);
  state.set("x", 0.5);
  state.flush();
  expect(written).toBe("#plane?x=0.5&y=7&seed=18446744073709551615&c=nonsense");
  state.read("#elsewhere", ["samples", "plane"]);
  expect(state.view).toBe("samples");
});

test("the address holds what the view in sight has, and the others keep theirs", () => {
  const state = new State(() => {});
  state.read("#samples", ["samples", "plane"]);
  state.set("count", 5);
  state.set("seed", 3);
  state.goTo("plane");
  state.u64("seed");
  expect(state.hash).toBe("#plane?seed=3");
  state.goTo("samples");
  state.text("count", "");
  expect(state.hash).toBe("#samples?count=5");
});

test("sheets are about square, and without gaps where that goes", () => {
  expect(gridOf(100, 30)).toEqual({ columns: 10, rows: 10 });
  expect(gridOf(1, 30)).toEqual({ columns: 1, rows: 1 });
  expect(gridOf(60, 30)).toEqual({ columns: 10, rows: 6 });
  expect(gridOf(97, 30).columns).toBe(10);
  for (const count of [1, 2, 7, 48, 1000, 10_000]) {
    const { columns, rows } = gridOf(count, 12);
    expect(columns).toBeLessThanOrEqual(12);
    expect(columns * rows).toBeGreaterThanOrEqual(count);
    expect(columns * (rows - 1)).toBeLessThan(count);
  }
});

test("of what is asked for while something is made, only the last is made", async () => {
  const made: number[] = [];
  let finish = (): void => {};
  let n = 0;
  const make = latest(
    () =>
      new Promise((resolve) => {
        made.push(n);
        finish = resolve;
      }),
    () => {},
  );
  for (n of [1, 2, 3, 4]) make();
  expect(made).toEqual([1]);
  finish();
  await new Promise((resolve) => setTimeout(resolve));
  expect(made).toEqual([1, 4]);
});

test("what fails is told, and does not end what follows", async () => {
  const failures: string[] = [];
  const made: number[] = [];
  let n = 1;
  const make = latest(
    async () => {
      if (n === 1) throw new Error("one");
      made.push(n);
    },
    (error) => failures.push(error.message),
  );
  make();
  n = 2;
  make();
  await new Promise((resolve) => setTimeout(resolve));
  expect([failures, made]).toEqual([["one"], [2]]);
});
