// The way from one digit to another.

import { latest } from "../model/client.ts";
import { type Method, onPath } from "../model/paths.ts";
import { button, h, radios, slider } from "../ui/dom.ts";
import { downloads, type Shown } from "../ui/downloads.ts";
import { digits, paint } from "../ui/picture.ts";
import { corners } from "./corners.ts";
import { layout, type MakeView } from "./view.ts";

const STEPS = 16; // as `digitvae interpolate`
const ACROSS = 3000; // ms from one end to the other
const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

export const morph: MakeView = (context) => {
  const { state, dims, model } = context;
  let shown: Shown | null = null;
  let frame = 0;

  const large = digits();
  const strip = digits();
  const between = corners(context, ["From", "To"], ["from", "to"], [3, 8], () => {
    drawStrip();
    drawHere();
  });
  const method = (): Method => state.choice("method", ["lerp", "slerp"], "lerp");
  const at = (): number => state.number("m", 0, 1, 0);

  const drawStrip = latest(async () => {
    const [a, b] = between.latents;
    if (a === undefined) return;
    const path = new Float32Array(STEPS * dims.latent);
    for (let k = 0; k < STEPS; k++) {
      path.set(onPath(a, b, k / (STEPS - 1), method()), k * dims.latent);
    }
    const bytes = await model.decode(path, "uint8");
    const [from, to] = [between.describe(0), between.describe(1)];
    const name = `morph-${from}-to-${to}-seed${state.u64("seed")}`.replaceAll(" ", "-");
    shown = { bytes, columns: STEPS, labels: null, name };
    paint(strip, bytes, STEPS, dims);
    strip.setAttribute("aria-label", `${STEPS} steps from ${from} to ${to}`);
  }, context.fail);

  const drawHere = latest(async () => {
    const [a, b] = between.latents;
    if (a === undefined) return;
    const t = at();
    paint(large, await model.decode(onPath(a, b, t, method()), "uint8"), 1, dims);
    const [from, to] = [between.describe(0), between.describe(1)];
    large.setAttribute("aria-label", `${Math.round(t * 100)} % of the way from ${from} to ${to}`);
    context.painted();
  }, context.fail);

  const scrub = slider({
    label: "Position",
    least: 0,
    most: 1,
    step: 0.001,
    value: at(),
    format: (value) => `${Math.round(value * 100)} %`,
    change: (value) => {
      pause();
      goTo(value);
      context.tell(`${Math.round(value * 100)} % of the way.`);
    },
  });
  const play = button("Play", () => (frame === 0 ? start() : pause()), "main");

  function goTo(t: number): void {
    state.set("m", Number(t.toFixed(4)));
    drawHere();
  }

  function start(): void {
    play.textContent = "Pause";
    context.say("Playing.");
    // There and back: from where it is, on.
    let phase = at();
    let last = performance.now();
    const tick = (now: number): void => {
      // Who asked for less motion gets a step at a time.
      const every = REDUCED_MOTION.matches ? 500 : 0;
      if (now - last >= every) {
        const by = every > 0 ? 1 / (STEPS - 1) : (now - last) / ACROSS;
        last = now;
        phase = (phase + by) % 2;
        const t = phase <= 1 ? phase : 2 - phase;
        scrub.set(t);
        goTo(t);
      }
      frame = requestAnimationFrame(tick);
    };
    frame = requestAnimationFrame(tick);
  }

  function pause(): void {
    if (frame === 0) return;
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = "Play";
    context.say("Paused.");
  }

  const how = radios({
    label: "Way",
    choices: [
      ["lerp", "straight line"],
      ["slerp", "great circle"],
    ],
    value: method(),
    change: (value) => {
      state.set("method", value);
      drawStrip();
      drawHere();
    },
  });
  const files = downloads(() => shown, dims, context.say);
  return {
    ...layout(
      "Morph",
      [
        h("div", { class: "paper big" }, large),
        h("div", { class: "player" }, play, scrub.element),
        h("div", { class: "paper" }, strip),
      ],
      [...between.fields, how.element, files.element],
    ),
    stop: pause,
  };
};
