// The page: opens the bundle beside it, and shows the view that its address names.

import { makeConsole } from "./console.ts";
import { BundleError, type Manifest } from "./model/bundle.ts";
import { startModel } from "./model/client.ts";
import { State } from "./state.ts";
import { h } from "./ui/dom.ts";
import { draw } from "./views/draw.ts";
import { latents } from "./views/latents.ts";
import { morph } from "./views/morph.ts";
import { plane } from "./views/plane.ts";
import { samples } from "./views/samples.ts";
import type { Context, MakeView, View } from "./views/view.ts";

const VIEWS: Record<string, { name: string; make: MakeView }> = {
  samples: { name: "Samples", make: samples },
  plane: { name: "Plane", make: plane },
  latents: { name: "Latents", make: latents },
  draw: { name: "Draw", make: draw },
  morph: { name: "Morph", make: morph },
};
const NAMES = Object.keys(VIEWS);
const USUAL_CLASSES = 10; // until the prior, which is read later, says how many

const byId = (id: string): HTMLElement => document.getElementById(id)!;
const panel = byId("panel");
const status = byId("status");

const model = startModel();
const base = new URL("./bundle/", document.baseURI);
const opened = model.open(base.href);

const state = new State((hash) => {
  if (hash !== location.hash) history.replaceState(null, "", hash);
});
state.read(location.hash, NAMES);

let context: Context | null = null;
let view: View | null = null;
let first = true;

const tabs = NAMES.map((name) =>
  h(
    "button",
    {
      type: "button",
      role: "tab",
      id: `tab-${name}`,
      "aria-controls": "panel",
      click: () => goTo(name),
    },
    VIEWS[name].name,
  ),
);
byId("tabs").append(...tabs);
byId("tabs").addEventListener("keydown", (event) => {
  const at = NAMES.indexOf(state.view);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: NAMES.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const to = (next + NAMES.length) % NAMES.length;
  goTo(NAMES[to]);
  tabs[to].focus();
});

function goTo(name: string): void {
  if (name !== state.view) state.goTo(name);
  show();
}

let telling: ReturnType<typeof setTimeout> | undefined;

/** Write into the status line, which screen readers read out; what waited to be told is not. */
function say(text: string): void {
  clearTimeout(telling);
  status.textContent = text;
}

/** Make the view that the state names. */
function show(): void {
  tabs.forEach((tab, i) => {
    const selected = NAMES[i] === state.view;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
  });
  panel.setAttribute("aria-labelledby", `tab-${state.view}`);
  if (context === null) return;
  view?.stop?.();
  say("");
  view = VIEWS[state.view].make(context);
  panel.replaceChildren(view.element);
}

/** Something failed: say so in place of the view. */
function fail(error: Error): void {
  view?.stop?.();
  view = null;
  context = null;
  const ours = error instanceof BundleError;
  panel.replaceChildren(
    h(
      "section",
      { class: "alarm", role: "alert" },
      h("h2", {}, ours ? "This bundle cannot be used" : "Something went wrong"),
      h("p", {}, error.message),
      h("p", {}, ours ? error.advice : "Load the page again; if that does not help, report it."),
      h("p", { class: "hint" }, `Bundle: ${base.href}`),
    ),
  );
}

function facts({ dataset, dims, metrics }: Manifest, hashed: boolean): string {
  const loss = metrics?.test_nelbo;
  return [
    dataset,
    `${dims.latent} latents`,
    typeof loss === "number" ? `−ELBO ${loss.toFixed(2)} nats` : null,
    hashed ? null : "SHA-256 not checked (needs https)",
  ]
    .filter((fact) => fact !== null && fact !== undefined)
    .join(" · ");
}

async function start(): Promise<void> {
  const { manifest, hashed } = await opened;
  byId("facts").textContent = facts(manifest, hashed);
  const mixture = Object.hasOwn(manifest.files, "prior.onnx");
  context = {
    model,
    manifest,
    dims: manifest.dims,
    state,
    classes: mixture ? USUAL_CLASSES : 0,
    say,
    tell: (text) => {
      clearTimeout(telling);
      telling = setTimeout(() => say(text), 400);
    },
    fail,
    painted: () => {
      if (first) performance.mark("first-digit");
      first = false;
    },
    goTo,
  };
  show();
  const classes = await model.ready();
  if (context !== null && classes !== context.classes) {
    context = { ...context, classes };
    show();
  }
}

document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault(); // the address is the view's
  panel.focus();
});
addEventListener("hashchange", () => {
  state.read(location.hash, NAMES);
  show();
});
addEventListener("pagehide", () => state.flush());
makeConsole(model);
show();
start().catch(fail);
