// What is in sight, as files.

import { idx } from "../idx.ts";
import { button, h } from "./dom.ts";
import { contactSheet, type Size } from "./picture.ts";

/** Images that a view shows. */
export interface Shown {
  bytes: Uint8Array;
  columns: number;
  /** The class of each, where they have one. */
  labels: Int32Array | null;
  /** Of files. */
  name: string;
}

function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export interface Downloads {
  element: HTMLElement;
  /** That there are labels to be had, or why not. Until it is called, nothing is said of any. */
  labelled(why: string | null): void;
}

export function downloads(
  shown: () => Shown | null,
  size: Size,
  say: (text: string) => void,
): Downloads {
  const saveFile = async (make: (shown: Shown) => Promise<[Blob, string]>): Promise<void> => {
    const what = shown();
    if (what === null) return say("There is nothing to save yet.");
    try {
      const [blob, name] = await make(what);
      save(blob, name);
      say(`Saved ${name}.`);
    } catch (error) {
      say(`It could not be saved: ${(error as Error).message}.`);
    }
  };
  const octets = (bytes: Uint8Array<ArrayBuffer>): Blob =>
    new Blob([bytes], { type: "application/octet-stream" });
  const labels = button("IDX labels", () =>
    saveFile(async ({ labels: values, name }) => {
      const bytes = Uint8Array.from(values ?? []);
      return [octets(idx(bytes, [bytes.length])), `${name}-labels.idx`];
    }),
  );
  labels.hidden = true;
  const why = h("p", { class: "hint", id: "labels-why" });
  labels.setAttribute("aria-describedby", why.id);
  return {
    element: h(
      "section",
      { class: "downloads", "aria-label": "Download" },
      h(
        "span",
        { class: "row wrap" },
        button("PNG", () =>
          saveFile(async ({ bytes, columns, name }) => [
            await contactSheet(bytes, columns, size),
            `${name}.png`,
          ]),
        ),
        button("IDX images", () =>
          saveFile(async ({ bytes, name }) => {
            const count = bytes.length / (size.height * size.width);
            return [octets(idx(bytes, [count, size.height, size.width])), `${name}-images.idx`];
          }),
        ),
        labels,
      ),
      why,
    ),
    labelled(reason) {
      labels.hidden = false;
      labels.disabled = reason !== null;
      why.textContent = reason ?? "";
    },
  };
}
