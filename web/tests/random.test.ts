// The generator against the known answers of docs/random-numbers.md, bit for bit.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import {
  mixtureUniforms,
  Stream,
  standardNormal,
  truncate,
  wantedDigits,
} from "../src/random/latents.ts";
import { boxMuller, logOfUniform, uniform } from "../src/random/normals.ts";
import { philox } from "../src/random/philox.ts";

type Hex = string;

interface Answers {
  philox4x32_10: { counter: Hex[]; key: Hex[]; words: Hex[] }[];
  uniforms: { word: Hex; u: string }[];
  normals: { words: Hex[]; z: string[] }[];
  latents: { seed: bigint; index: bigint; "first four": Hex[]; last: Hex }[];
  "mixture choices": { seed: bigint; index: bigint; u: Hex }[];
  [sha256: string]: unknown;
}

const specification = readFileSync(
  new URL("../../docs/random-numbers.md", import.meta.url),
  "utf8",
);
const block = /```json\n(.*?)```/s.exec(specification)![1];
// Seeds and indexes beyond 2⁵³ must not become doubles.
const exact = block.replace(/"(seed|index)": (\d+)/g, '"$1": "$2n"');
const answers = JSON.parse(exact, (_, value) =>
  typeof value === "string" && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
) as Answers;

const word = (hex: Hex): number => Number.parseInt(hex, 16);

/** A C99 hexadecimal double. */
function double(text: string): number {
  const [, sign, whole, fraction, exponent] = /^(-?)0x(\d)\.([0-9a-f]*)p([+-]\d+)$/.exec(text)!;
  const digits = Number.parseInt(whole + fraction, 16); // at most 53 bits
  const value = digits * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign ? -value : value;
}

function bits(value: number): Hex {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return view.getUint32(0).toString(16).padStart(8, "0");
}

function hash(values: Float32Array): Hex {
  return createHash("sha256").update(new Uint8Array(values.buffer)).digest("hex");
}

test("hexadecimal doubles are read exactly", () => {
  expect(double("0x1.62e42fefa39efp-1")).toBe(Math.LN2);
  expect(double("-0x1.921fb54442d18p+2")).toBe(-2 * Math.PI);
});

test("Philox gives the published words", () => {
  expect(answers.philox4x32_10).toHaveLength(3);
  for (const { counter, key, words } of answers.philox4x32_10) {
    const out = new Uint32Array(4);
    const [c0, c1, c2, c3] = counter.map(word);
    const [k0, k1] = key.map(word);
    philox(out, c0, c1, c2, c3, k0, k1);
    expect([...out]).toEqual(words.map(word));
  }
});

test("uniforms are those of the document", () => {
  expect(answers.uniforms).toHaveLength(6);
  for (const { word: hex, u } of answers.uniforms) expect(uniform(word(hex))).toBe(double(u));
});

test("normals are those of the document", () => {
  expect(answers.normals).toHaveLength(5);
  for (const { words, z } of answers.normals) {
    const out = new Float64Array(2);
    boxMuller(out, 0, word(words[0]), word(words[1]));
    expect([...out]).toEqual(z.map(double));
  }
});

test("latents are those of the document, at the largest seed and index too", () => {
  expect(answers.latents).toHaveLength(4);
  for (const answer of answers.latents) {
    const row = standardNormal(answer.seed, Stream.latent, answer.index, 1, 40);
    expect([...row.subarray(0, 4)].map(bits)).toEqual(answer["first four"]);
    expect(bits(row[39])).toBe(answer.last);
  }
});

test("mixture choices are those of the document", () => {
  expect(answers["mixture choices"]).toHaveLength(4);
  for (const { seed, index, u } of answers["mixture choices"]) {
    expect(bits(mixtureUniforms(seed, index, 1)[0])).toBe(u);
  }
});

test("the first 10,000 latents have the hash of the document", () => {
  const [name] = Object.keys(answers).filter((key) => key.startsWith("sha256 of latents"));
  expect(hash(standardNormal(0n, Stream.latent, 0n, 10_000, 40))).toBe(answers[name]);
});

test("a row does not depend on what is made with it, and the index wraps", () => {
  const first = 2n ** 64n - 2n;
  const rows = standardNormal(9n, Stream.posterior, first, 5, 40);
  for (let i = 0; i < 5; i++) {
    const index = BigInt.asUintN(64, first + BigInt(i));
    const alone = standardNormal(9n, Stream.posterior, index, 1, 40);
    expect(rows.subarray(40 * i, 40 * i + 40)).toEqual(alone);
  }
  const across = standardNormal(9n, Stream.latent, 2n ** 32n - 1n, 2, 40);
  expect(across.subarray(40)).toEqual(standardNormal(9n, Stream.latent, 2n ** 32n, 1, 40));
});

test("streams differ, and a dimension that is not a multiple of four drops the rest", () => {
  const latent = standardNormal(1n, Stream.latent, 0n, 1, 40);
  expect(standardNormal(1n, Stream.posterior, 0n, 1, 40)).not.toEqual(latent);
  for (const dim of [1, 2, 3, 5, 6, 7]) {
    const rows = standardNormal(1n, Stream.latent, 0n, 2, dim);
    expect(rows.subarray(0, dim)).toEqual(latent.subarray(0, dim));
    expect(rows.subarray(dim)).toEqual(standardNormal(1n, Stream.latent, 1n, 1, dim));
  }
});

test("logarithms are those of the library, but for rounding", () => {
  let worst = 0;
  for (let i = 0; i < 100_000; i++) {
    const w = Math.imul(i, 0x9e3779b1) >>> 0;
    worst = Math.max(worst, Math.abs(logOfUniform(w) - Math.log(uniform(w))));
  }
  expect(worst).toBeLessThanOrEqual(4e-15);
});

test("images take the digits in turn by their own index", () => {
  expect([...wantedDigits([3, 8, 1], 2n, 4)]).toEqual([1n, 3n, 8n, 1n]);
  expect([...wantedDigits([3, 8], 2n ** 64n - 1n, 3)]).toEqual([8n, 3n, 8n]);
  expect([...wantedDigits([], 5n, 2)]).toEqual([-1n, -1n]);
});

test("truncation multiplies in float32, and 1 changes nothing", () => {
  const noise = Float32Array.of(1.1, -2.7, 0.3);
  const expected = noise.map((value) => Math.fround(value * Math.fround(0.7)));
  const made = noise.slice();
  truncate(made, 0.7);
  expect(made).toEqual(expected);
  truncate(made, 1);
  expect(made).toEqual(expected);
  truncate(made, 0);
  expect([...made].every((value) => value === 0)).toBe(true);
});
