// What views have in common.

import type { Dims, Manifest } from "../model/bundle.ts";
import type { Source } from "../model/networks.ts";
import type { Methods } from "../model/worker.ts";
import { parseU64, type State } from "../state.ts";
import { button, type Field, h, radios, select, slider, written } from "../ui/dom.ts";

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

/** A view: what is looked at, and beside it how it is made. */
export function layout(heading: string, stage: (Node | string)[], controls: Node[]): View {
  return {
    element: h(
      "div",
      { class: "view" },
      h("h2", { class: "unseen" }, heading),
      h("div", { class: "stage" }, ...stage),
      h("aside", { class: "controls", "aria-label": `${heading}: settings` }, ...controls),
    ),
  };
}

/** A field for a 64-bit number in the address, and perhaps a button for another. */
export function u64Field(
  state: State,
  name: string,
  label: string,
  change: () => void,
  other?: { text: string; label: string; value: () => bigint },
): HTMLElement {
  const changed = (value: bigint): void => {
    state.set(name, value);
    change();
  };
  const click = (): void => {
    const value = other!.value();
    field.set(value);
    changed(value);
  };
  const field: Field<bigint> = written<bigint>({
    label,
    value: state.u64(name),
    parse: parseU64,
    hint: "A whole number from 0 to 2⁶⁴ − 1.",
    change: changed,
    button: other === undefined ? null : button(other.text, click, "icon", other.label),
  });
  return field.element;
}

export function seedField(state: State, change: () => void, name = "seed"): HTMLElement {
  return u64Field(state, name, "Seed", change, {
    text: "⟳",
    label: "Another seed",
    value: () => BigInt(crypto.getRandomValues(new Uint32Array(1))[0]) % 1_000_000n,
  });
}

export function truncationField(
  state: State,
  name: string,
  usual: number,
  change: () => void,
): HTMLElement {
  const value = state.number(name, 0, 1, usual);
  const changed = (value: number): void => {
    state.set(name, value);
    change();
  };
  return slider({ label: "Truncation", least: 0, most: 1, step: 0.01, value, change: changed })
    .element;
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
  return [prior.element, digit.element, truncationField(state, "t", 1, change)];
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
