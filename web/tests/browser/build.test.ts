// What is built, and what becomes of it in a wheel.

import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, expect, test } from "vitest";
import { newFolder, PYTHON, ROOT, removeFolders } from "./explorer.ts";

afterAll(removeFolders);

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

test("the licence of what is in it goes with it", () => {
  const { version } = JSON.parse(
    readFileSync(join(ROOT, "web/node_modules/onnxruntime-web/package.json"), "utf8"),
  );
  expect(textOf("licenses.txt")).toContain(`onnxruntime-web ${version}`);
});

/** Names and sizes in an archive below a folder, by Python. */
function listed(code: string, ...words: string[]): Record<string, number> {
  const output = execFileSync(PYTHON, ["-c", code, ...words], { encoding: "utf8" });
  return JSON.parse(output.split("\n").at(-2) ?? "");
}

const expected = Object.fromEntries(
  files.map((name) => [`digitvae/explorer/page/${name}`, size(name)]),
);

// What the page needs is told from the files alone: nothing is compiled here.
test("wheels hold the page, once", () => {
  const folder = newFolder();
  const build = ["-m", "pip", "wheel", "--quiet", "--no-deps"];
  const settings = ["--config-settings", "wheel.cmake=false"];
  execFileSync(PYTHON, [...build, ...settings, "-w", folder, ROOT], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const code = `
import json, sys, zipfile
[wheel] = __import__("pathlib").Path(sys.argv[1]).glob("*.whl")
entries = zipfile.ZipFile(wheel).infolist()
print(json.dumps({e.filename: e.file_size for e in entries if "/page/" in e.filename or "wasm" in e.filename}))
`;
  expect(listed(code, folder)).toEqual(expected);
});

test("so do source distributions, from which wheels are made without Node.js", () => {
  const folder = newFolder();
  const project = readFileSync(join(ROOT, "pyproject.toml"), "utf8");
  const requires: string[] = JSON.parse(/^requires = (\[.*?\])$/m.exec(project)![1]);
  const install = ["-m", "pip", "install", "--quiet", "--target", folder, ...requires];
  execFileSync(PYTHON, install, { stdio: ["ignore", "ignore", "inherit"] });
  const code = `
import json, os, sys, tarfile
sys.path.insert(0, sys.argv[1])
from scikit_build_core.build import build_sdist
os.chdir(sys.argv[2])
archive = tarfile.open(os.path.join(sys.argv[1], build_sdist(sys.argv[1])))
files = {m.name.split("/", 1)[1]: m.size for m in archive if m.isfile()}
assert "web/package-lock.json" in files and "web/src/main.ts" in files
assert not any("node_modules" in name for name in files)
print(json.dumps({n.removeprefix("python/"): s for n, s in files.items() if "/page/" in n or "wasm" in n}))
`;
  expect(listed(code, folder, ROOT)).toEqual(expected);
});
