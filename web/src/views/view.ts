// What views have in common.

import type { Dims, Manifest } from "../model/bundle.ts";
import type { Source } from "../model/networks.ts";
import type { Methods } from "../model/worker.ts";
import type { State } from "../state.ts";
import { parseU64 } from "../state.ts";
import { type Field, h, radios, select, slider, written } from "../ui/dom.ts";

export interface Context {
  model: Methods;
  manifest: Manifest;
  dims: Dims;
  state: State;
  /** How many classes the mixture knows; 0: the bundle has none. */
  classes: number;
  /** Tell, in the status line, which screen readers read out. */
  say: (text: string) => void;
  /** The same once nothing has been told for a moment: dragging does not talk all the time. */
  tell: (text: string) => void;
  /** Something failed. */
  fail: (error: Error) => void;
  /** Something has been painted: the time of the first is kept. */
  painted: () => void;
  goTo: (view: string) => void;
}

export interface View {
  element: HTMLElement;
  stop?: () => void;
}

export type MakeView = (context: Context) => View;

export const NO_MIXTURE =
  "This bundle has no prior.onnx, which knows the digits: latents come from N(0, I) alone. " +
  "`digitvae export` makes bundles with one.";

export const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

/** A view: what is looked at, and beside it how it is made. */
export function layout(heading: string, stage: (Node | string)[], controls: Node[]): HTMLElement {
  return h(
    "div",
    { class: "view" },
    h("h2", { class: "unseen" }, heading),
    h("div", { class: "stage" }, ...stage),
    h("aside", { class: "controls", "aria-label": `${heading}: settings` }, ...controls),
  );
}

export function seedField(state: State, change: () => void, name = "seed"): Field<bigint> {
  const changed = (seed: bigint): void => {
    state.set(name, seed);
    change();
  };
  const field: Field<bigint> = written<bigint>({
    label: "Seed",
    value: state.u64(name),
    parse: parseU64,
    hint: "A whole number from 0 to 2⁶⁴ − 1.",
    change: changed,
    button: {
      label: "Another seed",
      text: "⟳",
      click: () => {
        const seed = BigInt(crypto.getRandomValues(new Uint32Array(1))[0]) % 1_000_000n;
        field.set(seed);
        changed(seed);
      },
    },
  });
  return field;
}

/** The choice of a prior, a digit and a truncation, which views share by their names in the address. */
export function sourceFields(context: Context, change: () => void): HTMLElement[] {
  const { state, classes } = context;
  const reason = classes === 0 ? NO_MIXTURE : null;
  const prior = radios({
    label: "Latents from",
    choices: [
      ["standard", "N(0, I)"],
      ["mixture", "mixture"],
    ],
    value: readSource(context).prior,
    disabled: reason,
    change: (value) => {
      state.set("prior", value);
      if (value === "standard") {
        state.set("digit", "any");
        digit.set("any");
      }
      change();
    },
  });
  const digit = select({
    label: "Digit",
    choices: [["any", "any"], ...digitChoices(classes)],
    value: state.text("digit", "any"),
    disabled: reason === null ? null : "Needs the mixture.",
    change: (value) => {
      state.set("digit", value);
      if (value !== "any") {
        state.set("prior", "mixture");
        prior.set("mixture");
      }
      change();
    },
  });
  const truncation = slider({
    label: "Truncation",
    least: 0,
    most: 1,
    step: 0.01,
    value: state.number("t", 0, 1, 1),
    change: (value) => {
      state.set("t", value);
      change();
    },
  });
  return [prior.element, digit.element, truncation.element];
}

export function digitChoices(classes: number): [string, string][] {
  return Array.from({ length: classes }, (_, i) => [String(i), String(i)]);
}

/** Seed, prior, digit and truncation as they are in the address. */
export function readSource({ state, classes }: Context): Omit<Source, "first" | "count"> {
  const digit = classes === 0 ? -1 : state.whole("digit", -1, classes - 1, -1);
  const prior = state.choice("prior", ["standard", "mixture"], "standard");
  const mixed = classes > 0 && (digit >= 0 || prior === "mixture");
  return {
    seed: state.u64("seed"),
    prior: mixed ? "mixture" : "standard",
    digits: digit >= 0 ? [digit] : [],
    truncation: state.number("t", 0, 1, 1),
  };
}
