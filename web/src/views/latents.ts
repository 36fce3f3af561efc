// The latents of one image, each a slider, the most used first.

import { latest } from "../model/client.ts";
import { button, h, slider } from "../ui/dom.ts";
import { downloads, type Shown } from "../ui/downloads.ts";
import { digits, paint } from "../ui/picture.ts";
import { layout, type MakeView, readSource, seedField, sourceFields, u64Field } from "./view.ts";

const MOST = 4; // beyond it, one in 16,000 draws of N(0, 1)
const STEPS = 9; // of the row that shows what one latent does
const UNUSED = 0.05; // nats: an image is told next to nothing by such a latent

/** Latents that were set by hand, in the address: `7_1.25~12_-0.5`. */
function parseChanges(text: string, dim: number): Map<number, number> {
  const changes = new Map<number, number>();
  for (const found of text.matchAll(/(\d{1,5})_(-?\d{1,2}(?:\.\d{1,2})?)(?:~|$)/g)) {
    const [j, value] = [Number(found[1]), Number(found[2])];
    if (j < dim && Math.abs(value) <= MOST) changes.set(j, value);
  }
  return changes;
}

export const latents: MakeView = (context) => {
  const { state, dims, model } = context;
  let base = new Float32Array(dims.latent);
  let shown: Shown | null = null;
  let chosen = 0;
  const changes = parseChanges(state.text("z", ""), dims.latent);

  const large = digits("The digit");
  const row = digits();
  const rowCaption = h("p", { class: "caption" });
  const list = h("div", { class: "latents" });
  const note = h("p", { class: "hint" }, "Measuring how much each latent is used …");

  const current = (): Float32Array<ArrayBuffer> =>
    Float32Array.from(base, (value, j) => changes.get(j) ?? value);

  const draw = latest(async () => {
    const z = current();
    const lines = new Float32Array((STEPS + 1) * dims.latent);
    for (let k = 0; k < STEPS; k++) {
      lines.set(z, k * dims.latent);
      lines[k * dims.latent + chosen] = ((2 * k) / (STEPS - 1) - 1) * 3;
    }
    lines.set(z, STEPS * dims.latent);
    const bytes = await model.decode(lines, "uint8");
    const split = STEPS * dims.height * dims.width;
    const digit = bytes.slice(split);
    paint(row, bytes.subarray(0, split), STEPS, dims);
    paint(large, digit, 1, dims);
    rowCaption.textContent = `Latent ${chosen} from −3 to 3, the others as they are`;
    row.setAttribute("aria-label", rowCaption.textContent);
    shown = { bytes: digit, columns: 1, labels: null, name: `digit-seed${state.u64("seed")}` };
    context.painted();
  }, context.fail);

  const sliders = Array.from({ length: dims.latent }, (_, j) => {
    const field = slider({
      label: `z${j}`,
      least: -MOST,
      most: MOST,
      step: 0.01,
      value: 0,
      change: (value) => {
        changes.set(j, value);
        chosen = j;
        remember();
        draw();
        context.tell(`Latent ${j}: ${value.toFixed(2)}.`);
      },
    });
    field.input.addEventListener("focus", () => {
      if (chosen === j) return;
      chosen = j;
      draw();
    });
    const kl = h("span", { class: "kl" });
    field.element.querySelector("label")!.append(kl);
    return { ...field, kl };
  });

  function remember(): void {
    const text = [...changes].map(([j, value]) => `${j}_${Number(value.toFixed(2))}`).join("~");
    if (text === "") state.unset("z");
    else state.set("z", text);
  }

  function show(): void {
    current().forEach((value, j) => {
      sliders[j].set(value);
    });
  }

  const load = latest(async () => {
    const source = { ...readSource(context), first: state.u64("at"), count: 1 };
    base = (await model.latents(source)).z;
    show();
    draw();
  }, context.fail);

  function restart(): void {
    changes.clear();
    remember();
    load();
  }

  async function sort(): Promise<void> {
    const kl = await model.klPerLatent();
    const order = sliders.map((_, j) => j).sort((a, b) => kl[b] - kl[a]);
    const used = order.filter((j) => kl[j] > UNUSED).length;
    const focused = document.activeElement;
    for (const j of order) {
      sliders[j].kl.textContent = ` ${kl[j].toFixed(2)} nats`;
      sliders[j].element.classList.toggle("unused", kl[j] <= UNUSED);
      list.append(sliders[j].element);
    }
    if (focused instanceof HTMLElement && list.contains(focused)) focused.focus();
    const total = kl.reduce((sum, value) => sum + value, 0);
    note.textContent =
      `Sorted by KL(q(z|x) ‖ N(0, 1)), the mean over 256 images drawn from N(0, I): ` +
      `${total.toFixed(1)} nats in all, ${used} of ${dims.latent} latents above ${UNUSED}.`;
    if (changes.size === 0) chosen = order[0];
    draw();
  }

  list.append(...sliders.map(({ element }) => element));
  const at = u64Field(state, "at", "Image", restart, {
    text: "→",
    label: "The next image",
    value: () => BigInt.asUintN(64, state.u64("at") + 1n),
  });
  const files = downloads(() => shown, dims, context.say);
  load();
  sort().catch(context.fail);
  return layout(
    "Latents",
    [
      h(
        "div",
        { class: "two fixed" },
        h(
          "div",
          { class: "sticky" },
          h("div", { class: "paper big" }, large),
          h("div", { class: "paper" }, row),
          rowCaption,
        ),
        h("section", { "aria-label": "Latents" }, note, list),
      ),
    ],
    [
      h("div", { class: "pair" }, seedField(state, restart), at),
      ...sourceFields(context, restart),
      h(
        "span",
        { class: "row wrap" },
        button("Undo changes", restart),
        button("All to zero", () => {
          for (let j = 0; j < dims.latent; j++) changes.set(j, 0);
          remember();
          show();
          draw();
          context.say("All latents are zero.");
        }),
      ),
      files.element,
    ],
  );
};
