// A sheet of samples.

import { latest } from "../model/client.ts";
import { parseU64 } from "../state.ts";
import { button, h, written } from "../ui/dom.ts";
import { downloads, type Shown } from "../ui/downloads.ts";
import { digits, gridOf, paint } from "../ui/picture.ts";
import {
  layout,
  type MakeView,
  NO_MIXTURE,
  readSource,
  seedField,
  sourceFields,
  u64Field,
} from "./view.ts";

const MOST = 10_000;
const NARROWEST = 30; // pixels of the screen for a digit

export const samples: MakeView = (context) => {
  const { state, dims, model } = context;
  const pixels = dims.height * dims.width;
  let shown: (Shown & { first: bigint }) | null = null;

  const sheet = h("canvas", { class: "digits sheet", role: "img", "aria-label": "Samples" });
  const mark = h("div", { class: "mark", hidden: true });
  const frame = h("div", { class: "paper frame" }, sheet, mark);
  const large = digits("The chosen image");
  const caption = h("p", { class: "caption" });

  const count = written<number>({
    label: "Count",
    value: state.whole("count", 1, MOST, 100),
    parse: (text) => {
      const value = parseU64(text);
      return value !== null && value >= 1n && value <= MOST ? Number(value) : null;
    },
    hint: `A whole number from 1 to ${MOST.toLocaleString("en")}.`,
    change: (value) => {
      state.set("count", value);
      refresh();
    },
  });
  const at = written<bigint>({
    label: "Chosen image",
    value: state.u64("at"),
    parse: (text) => {
      const value = parseU64(text);
      return value !== null && positionOf(value) !== null ? value : null;
    },
    hint: "The index of an image in sight.",
    change: (value) => choose(value),
  });
  const files = downloads(() => shown, dims, context.say);

  const refresh = latest(async () => {
    const source = readSource(context);
    const first = state.u64("first");
    const count = state.whole("count", 1, MOST, 100);
    if (count > 2000) context.say(`Decoding ${count.toLocaleString("en")} digits …`);
    const { images, labels } = await model.sample({ ...source, first, count }, "uint8");
    const room = frame.clientWidth || 600;
    const { columns } = gridOf(count, Math.max(4, Math.floor(room / NARROWEST)));
    shown = { bytes: images, columns, labels, first, name: `digits-seed${source.seed}` };
    paint(sheet, images, columns, dims);
    context.painted();
    const origin = source.prior === "standard" ? "N(0, I)" : "the mixture";
    const what = `${count.toLocaleString("en")} digits of seed ${source.seed} from ${origin}`;
    sheet.setAttribute("aria-label", what);
    context.tell(`${what}.`);
    files.labelled(labels === null ? labelsWhy(context.classes) : null);
    choose(positionOf(state.u64("at")) === null ? first : state.u64("at"));
  }, context.fail);

  function positionOf(index: bigint): number | null {
    if (shown === null) return null;
    const position = BigInt.asUintN(64, index - shown.first);
    return position < BigInt(shown.bytes.length / pixels) ? Number(position) : null;
  }

  function choose(index: bigint): void {
    const position = positionOf(index);
    if (shown === null || position === null) return;
    if (index !== state.u64("at")) state.set("at", index);
    at.set(index);
    const { bytes, columns, labels } = shown;
    paint(large, bytes.subarray(position * pixels, (position + 1) * pixels), 1, dims);
    const rows = Math.ceil(bytes.length / pixels / columns);
    mark.hidden = false;
    mark.style.left = `${((position % columns) / columns) * 100}%`;
    mark.style.top = `${(Math.floor(position / columns) / rows) * 100}%`;
    mark.style.width = `${100 / columns}%`;
    mark.style.height = `${100 / rows}%`;
    const label = labels === null ? "" : `, a ${labels[position]}`;
    caption.textContent = `Image ${index}${label}`;
    large.setAttribute("aria-label", `Image ${index}${label}`);
  }

  sheet.addEventListener("click", (event) => {
    if (shown === null) return;
    const box = sheet.getBoundingClientRect();
    const { columns } = shown;
    const rows = sheet.height / dims.height;
    const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
    choose(BigInt.asUintN(64, shown.first + BigInt(y * columns + x)));
  });

  refresh();
  return layout(
    "Samples",
    [frame],
    [
      seedField(state, refresh),
      h("div", { class: "pair" }, count.element, u64Field(state, "first", "First index", refresh)),
      ...sourceFields(context, refresh),
      h(
        "section",
        { class: "chosen", "aria-label": "The chosen image" },
        h("div", { class: "paper" }, large),
        h(
          "div",
          {},
          at.element,
          caption,
          h(
            "span",
            { class: "row wrap" },
            button("Adjust its latents", () => context.goTo("latents")),
            button("Vary it", () => {
              state.set("from", "sample");
              context.goTo("draw");
            }),
          ),
        ),
      ),
      files.element,
    ],
  );
};

function labelsWhy(classes: number): string {
  return classes === 0
    ? NO_MIXTURE
    : "No labels: N(0, I) knows no classes. Take latents from the mixture.";
}
