// A pad to draw a digit on, its reconstruction, and variations of it.

import { type Point, rasterize, strokesToText, textToStrokes } from "../ink.ts";
import { latest } from "../model/client.ts";
import type { Posterior } from "../model/networks.ts";
import { toIntensities } from "../model/pixels.ts";
import { variations } from "../model/variations.ts";
import { button, h } from "../ui/dom.ts";
import { downloads, type Shown } from "../ui/downloads.ts";
import { digits, paint } from "../ui/picture.ts";
import { layout, type MakeView, readSource, seedField, truncationField } from "./view.ts";

const COUNT = 24;
const COLUMNS = 8;
const PAD = 560; // pixels of its canvas
const UNIT = 255; // its coordinates
const NEAR = 3; // points closer than that tell nothing
const KEY_STEP = 8;
const MOST_POINTS = 1500; // of a drawing, so that its address stays one

export const draw: MakeView = (context) => {
  const { state, dims, model } = context;
  if (dims.height !== 28 || dims.width !== 28) {
    const size = `${dims.height} × ${dims.width}`;
    const text = `The pad draws 28 × 28 pixels; the images of this bundle are ${size}.`;
    return { element: h("p", { class: "hint" }, text) };
  }
  let strokes: Point[][] = textToStrokes(state.text("ink", "")).map((stroke) => [...stroke]);
  let pen: Point = [UNIT / 2, UNIT / 2].map(Math.round) as unknown as Point;
  let down = false;
  let shown: Shown | null = null;

  const pad = h("canvas", { class: "digits", width: PAD, height: PAD, "aria-hidden": "true" });
  const cursor = h("div", { class: "cursor", hidden: true });
  const invitation = h("p", { class: "invitation" }, "Draw a digit here");
  const area = h(
    "div",
    {
      class: "paper frame pad",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "drawing pad",
      "aria-label":
        "Drawing pad. Arrow keys move the pen, Space lowers and lifts it, Backspace takes a stroke back.",
    },
    pad,
    invitation,
    cursor,
  );
  const input = digits("What the encoder sees");
  const output = digits("Its reconstruction");
  const sheet = digits("Variations");
  const results = h(
    "div",
    { class: "results" },
    h(
      "div",
      { class: "pair" },
      h("figure", {}, h("div", { class: "paper" }, input), h("figcaption", {}, "28 × 28, centred")),
      h("figure", {}, h("div", { class: "paper" }, output), h("figcaption", {}, "reconstruction")),
    ),
    h(
      "figure",
      {},
      h("div", { class: "paper" }, sheet),
      h("figcaption", {}, "variations: draws from the posterior"),
    ),
  );

  const fromSample = (): boolean => state.choice("from", ["pad", "sample"], "pad") === "sample";

  const show = latest(async () => {
    let image: Uint8Array = rasterize(strokes);
    let what = "your drawing";
    if (fromSample()) {
      const source = { ...readSource(context), first: state.u64("at"), count: 1 };
      image = (await model.sample(source, "uint8")).images;
      what = `image ${state.u64("at")} of seed ${source.seed}`;
    }
    const empty = image.every((value) => value === 0);
    results.classList.toggle("empty", empty);
    if (empty) {
      shown = null;
      for (const canvas of [input, output]) paint(canvas, new Uint8Array(784), 1, dims);
      paint(sheet, new Uint8Array(COUNT * 784), COLUMNS, dims);
      context.painted();
      return;
    }
    const posterior: Posterior = await model.encode(toIntensities(image));
    const around = variations(posterior, COUNT, state.u64("vseed"), state.number("vt", 0, 1, 1));
    const z = new Float32Array((COUNT + 1) * dims.latent);
    z.set(around);
    z.set(posterior.mu, around.length);
    const bytes = await model.decode(z, "uint8");
    const varied = bytes.slice(0, COUNT * 784);
    paint(input, image, 1, dims);
    paint(output, bytes.subarray(COUNT * 784), 1, dims);
    paint(sheet, varied, COLUMNS, dims);
    sheet.setAttribute("aria-label", `${COUNT} variations of ${what}`);
    shown = { bytes: varied, columns: COLUMNS, labels: null, name: "variations" };
    context.painted();
    context.tell(`${COUNT} variations of ${what}.`);
  }, context.fail);

  function paintPad(): void {
    const context2d = pad.getContext("2d")!;
    context2d.fillStyle = "#fff";
    context2d.fillRect(0, 0, PAD, PAD);
    context2d.lineWidth = PAD / 12;
    context2d.lineCap = context2d.lineJoin = "round";
    context2d.strokeStyle = "#000";
    for (const stroke of strokes) {
      context2d.beginPath();
      stroke.forEach(([x, y], i) => {
        const at: Point = [(x / UNIT) * PAD, (y / UNIT) * PAD];
        if (i === 0) context2d.moveTo(...at);
        context2d.lineTo(...at);
      });
      context2d.stroke();
    }
    invitation.hidden = strokes.length > 0 || fromSample();
    cursor.style.left = `${(pen[0] / UNIT) * 100}%`;
    cursor.style.top = `${(pen[1] / UNIT) * 100}%`;
    cursor.classList.toggle("down", down);
  }

  function changed(): void {
    state.unset("from");
    if (strokes.length === 0) state.unset("ink");
    else state.set("ink", strokesToText(strokes));
    paintPad();
    show();
  }

  function add(point: Point, begin: boolean): void {
    if (strokes.reduce((sum, stroke) => sum + stroke.length, 0) >= MOST_POINTS) {
      context.say(
        "The drawing has as many points as an address can hold. Clear it, or take a stroke back.",
      );
      return;
    }
    if (begin) strokes.push([point]);
    else {
      const stroke = strokes[strokes.length - 1];
      const [x, y] = stroke[stroke.length - 1];
      if (Math.hypot(point[0] - x, point[1] - y) < NEAR) return;
      stroke.push(point);
    }
    changed();
  }

  const pointOf = (event: PointerEvent): Point => {
    const box = area.getBoundingClientRect();
    const share = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * UNIT);
    return [
      share((event.clientX - box.left) / box.width),
      share((event.clientY - box.top) / box.height),
    ];
  };
  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    area.setPointerCapture(event.pointerId);
    down = false;
    cursor.hidden = true;
    add(pointOf(event), true);
  });
  area.addEventListener("pointermove", (event) => {
    if (!area.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length > 0 ? events : [event]) add(pointOf(each), false);
  });
  area.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 2 * KEY_STEP : KEY_STEP;
    const steps: Record<string, Point> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === " ") {
      down = !down;
      if (down) add(pen, true);
      context.say(down ? "Pen down." : "Pen up.");
    } else if (event.key === "Backspace") undo();
    else if (steps[event.key] !== undefined) {
      const clamp = (value: number): number => Math.min(UNIT, Math.max(0, value));
      pen = [clamp(pen[0] + steps[event.key][0]), clamp(pen[1] + steps[event.key][1])];
      if (down) add(pen, false);
    } else return;
    event.preventDefault();
    cursor.hidden = false;
    paintPad();
  });
  area.addEventListener("blur", () => {
    cursor.hidden = true;
    down = false;
  });

  function undo(): void {
    strokes.pop();
    down = false;
    changed();
    context.say(strokes.length === 0 ? "The pad is empty." : "Took a stroke back.");
  }

  function clear(): void {
    strokes = [];
    down = false;
    changed();
    context.say("The pad is empty.");
  }

  const files = downloads(() => shown, dims, context.say);
  paintPad();
  show();
  return layout(
    "Draw",
    [h("div", { class: "two" }, area, results)],
    [
      h(
        "span",
        { class: "row wrap" },
        button("Clear", clear),
        button("Undo", undo),
        button("Take the chosen sample", () => {
          strokes = [];
          state.unset("ink");
          state.set("from", "sample");
          paintPad();
          show();
        }),
      ),
      seedField(state, show, "vseed"),
      truncationField(state, "vt", 1, show),
      h(
        "p",
        { class: "hint" },
        "0: the reconstruction, as often as there is room. 1: the posterior as the encoder sees it.",
      ),
      files.element,
    ],
  );
};
