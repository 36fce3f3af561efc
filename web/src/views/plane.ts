// The plane between four digits, to drag through.

import { latest } from "../model/client.ts";
import { onPlane } from "../model/paths.ts";
import { h } from "../ui/dom.ts";
import { downloads, type Shown } from "../ui/downloads.ts";
import { digits, paint } from "../ui/picture.ts";
import { corners } from "./corners.ts";
import { layout, type MakeView } from "./view.ts";

const SIDE = 9; // digits along a side of the map

export const plane: MakeView = (context) => {
  const { state, dims, model } = context;
  let shown: Shown | null = null;

  const map = h("canvas", { class: "digits", "aria-hidden": "true" });
  const handle = h("div", { class: "handle" });
  const area = h(
    "div",
    {
      class: "paper frame map",
      tabindex: 0,
      role: "application",
      "aria-roledescription": "plane",
      "aria-label": "Plane between four digits. Arrow keys move through it, with Shift faster.",
    },
    map,
    handle,
  );
  const large = digits("The digit here");
  const caption = h("p", { class: "caption" });

  const between = corners(
    context,
    ["Top left", "Top right", "Bottom left", "Bottom right"],
    ["c0", "c1", "c2", "c3"],
    [4, 9, 3, 8],
    () => {
      drawMap();
      drawHere();
    },
  );
  const place = (): [number, number] => [
    state.number("x", 0, 1, 0.3),
    state.number("y", 0, 1, 0.15),
  ];

  const drawMap = latest(async () => {
    const points = new Float32Array(SIDE * SIDE * dims.latent);
    for (let i = 0; i < SIDE * SIDE; i++) {
      const [right, down] = [(i % SIDE) / (SIDE - 1), Math.floor(i / SIDE) / (SIDE - 1)];
      points.set(onPlane(between.latents, right, down), i * dims.latent);
    }
    const bytes = await model.decode(points, "uint8");
    shown = { bytes, columns: SIDE, labels: null, name: `plane-seed${state.u64("seed")}` };
    paint(map, bytes, SIDE, dims);
  }, context.fail);

  const drawHere = latest(async () => {
    if (between.latents.length === 0) return;
    const [x, y] = place();
    const bytes = await model.decode(onPlane(between.latents, x, y), "uint8");
    paint(large, bytes, 1, dims);
    context.painted();
  }, context.fail);

  function show(): void {
    const [x, y] = place();
    // The map's digits stand for points: the outer ones for the edges.
    const share = (value: number): string => `${((value * (SIDE - 1) + 0.5) / SIDE) * 100}%`;
    handle.style.left = share(x);
    handle.style.top = share(y);
    const text = `${Math.round(x * 100)} % right, ${Math.round(y * 100)} % down`;
    caption.textContent = text;
    large.setAttribute("aria-label", `The digit at ${text}`);
  }

  function move(x: number, y: number): void {
    const clamp = (value: number): number => Math.min(1, Math.max(0, value));
    state.set("x", Number(clamp(x).toFixed(4)));
    state.set("y", Number(clamp(y).toFixed(4)));
    show();
    drawHere();
    context.tell(`${caption.textContent}.`);
  }

  const follow = (event: PointerEvent): void => {
    const box = area.getBoundingClientRect();
    const along = (part: number): number => (part * SIDE - 0.5) / (SIDE - 1);
    move(
      along((event.clientX - box.left) / box.width),
      along((event.clientY - box.top) / box.height),
    );
  };
  area.addEventListener("pointerdown", (event) => {
    area.setPointerCapture(event.pointerId);
    follow(event);
  });
  area.addEventListener("pointermove", (event) => {
    if (area.hasPointerCapture(event.pointerId)) follow(event);
  });
  area.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 0.1 : 0.02;
    const steps: Record<string, [number, number]> = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
      Home: [-1, -1],
      End: [1, 1],
    };
    const by = steps[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const [x, y] = place();
    move(x + by[0], y + by[1]);
  });

  show();
  const files = downloads(() => shown, dims, context.say);
  return layout(
    "Plane",
    [
      h(
        "div",
        { class: "two" },
        area,
        h("div", { class: "here" }, h("div", { class: "paper" }, large), caption),
      ),
    ],
    [...between.fields, files.element],
  );
};
