// What is built, and what becomes of it in a wheel.

import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { ROOT } from "./explorer.ts";

const PAGE = join(ROOT, "python/digitvae/explorer/page");
const files = readdirSync(PAGE, { recursive: true, encoding: "utf8" }).filter((name) =>
  statSync(join(PAGE, name)).isFile(),
);
const size = (name: string): number => statSync(join(PAGE, name)).size;
const textOf = (name: string): string => readFileSync(join(PAGE, name), "utf8");

test("without WebAssembly the page has less than 250 kB", () => {
  const own = files.filter((name) => !name.endsWith(".wasm"));
  const total = own.reduce((sum, name) => sum + size(name), 0);
  expect(total).toBeGreaterThan(50_000);
  expect(total).toBeLessThan(250_000);
});

test("of the WebAssembly builds it has one, the smallest", () => {
  const wasm = files.filter((name) => name.endsWith(".wasm"));
  expect(wasm).toHaveLength(1);
  const dist = join(ROOT, "web/node_modules/onnxruntime-web/dist");
  const offered = readdirSync(dist).filter((name) => name.endsWith(".wasm"));
  const smallest = Math.min(...offered.map((name) => statSync(join(dist, name)).size));
  expect(size(wasm[0])).toBe(smallest);
  expect(gzipSync(readFileSync(join(PAGE, wasm[0])), { level: 6 }).length).toBeLessThan(4_500_000);
});

test("no model is in it, and nothing of it is elsewhere", () => {
  expect(files.filter((name) => /\.onnx$|manifest\.json$/.test(name))).toEqual([]);
  const html = textOf("index.html");
  const addresses = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, address]) => address);
  expect(addresses.length).toBeGreaterThanOrEqual(3);
  for (const address of addresses) {
    expect(address).toMatch(/^\.\//);
    expect(files).toContain(address.slice(2));
  }
  expect(html).not.toMatch(/<script(?![^>]*src=)|<style|\sstyle=|\son\w+=/); // the policy forbids it
});
