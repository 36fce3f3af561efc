// Latents of chosen digits, for the views that go between some.

import { latest } from "../model/client.ts";
import { button, h, select } from "../ui/dom.ts";
import { type Context, digitChoices, NO_MIXTURE, seedField, truncationField } from "./view.ts";

const USUAL_TRUNCATION = 0.6;

interface Corner {
  digit: number;
  index: number;
}

export interface Corners {
  fields: HTMLElement[];
  /** Their latents, once they have been made. */
  latents: Float32Array<ArrayBuffer>[];
  describe(k: number): string;
}

/** A corner in the address: its digit and the index of its image, `3.0`. */
function parseCorner(text: string, otherwise: Corner, classes: number): Corner {
  const found = /^(\d)\.(\d{1,6})$/.exec(text);
  if (found === null) return otherwise;
  const digit = Number(found[1]);
  return { digit: digit < Math.max(classes, 1) ? digit : 0, index: Number(found[2]) };
}

/**
 * The choice of some digits. With a mixture, each is an image of its class; without one, an image of
 * N(0, I), whatever digit that is.
 */
export function corners(
  context: Context,
  names: readonly string[],
  keys: readonly string[],
  digits: readonly number[],
  made: () => void,
): Corners {
  const { state, classes, model, dims } = context;
  const read = (k: number): Corner => {
    const otherwise = { digit: classes > 0 ? digits[k] % classes : 0, index: k };
    return parseCorner(state.text(keys[k], ""), otherwise, classes);
  };
  const result: Corners = {
    fields: [],
    latents: [],
    describe: (k) => (classes > 0 ? `${read(k).digit}` : `image ${read(k).index}`),
  };
  const make = latest(async () => {
    const latents = await Promise.all(
      keys.map(async (_, k) => {
        const { digit, index } = read(k);
        const { z } = await model.latents({
          seed: state.u64("seed"),
          first: BigInt(index),
          count: 1,
          prior: classes > 0 ? "mixture" : "standard",
          digits: classes > 0 ? [digit] : [],
          truncation: state.number("ct", 0, 1, USUAL_TRUNCATION),
        });
        return z;
      }),
    );
    if (latents.some((z) => z.length !== dims.latent)) return;
    result.latents = latents;
    made();
  }, context.fail);

  const change = (k: number, corner: Corner): void => {
    state.set(keys[k], `${corner.digit}.${corner.index}`);
    make();
  };
  const choices = names.map((name, k) =>
    h(
      "div",
      { class: "row end" },
      select({
        label: name,
        choices: classes > 0 ? digitChoices(classes) : [["0", "—"]],
        value: String(read(k).digit),
        disabled: classes > 0 ? null : "",
        change: (value) => change(k, { digit: Number(value), index: read(k).index }),
      }).element,
      button(
        "⟳",
        () => change(k, { ...read(k), index: (read(k).index + names.length) % 1_000_000 }),
        "icon",
        `Another image for ${name.toLowerCase()}`,
      ),
    ),
  );
  result.fields = [
    h("div", { class: "pair" }, ...choices),
    ...(classes > 0 ? [] : [h("p", { class: "hint" }, NO_MIXTURE)]),
    seedField(state, make),
    truncationField(state, "ct", USUAL_TRUNCATION, make),
  ];
  make();
  return result;
}
