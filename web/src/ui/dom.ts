// Elements and form fields, without a framework.

type Child = Node | string | null;
type Value = string | number | boolean | null | undefined | ((event: never) => void);

/** An element. Functions become listeners, booleans attributes without a value. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, Value> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if ((value ?? false) !== false) element.setAttribute(name, String(value));
  }
  if (attributes.value !== undefined) (element as HTMLInputElement).value = `${attributes.value}`;
  element.append(...children.filter((child) => child !== null));
  return element;
}

let ids = 0;
const newId = (): string => `field-${ids++}`;

export interface Field<T> {
  element: HTMLElement;
  set(value: T): void;
}

interface Options<T> {
  label: string;
  value: T;
  change: (value: T) => void;
}

interface SliderOptions extends Options<number> {
  least: number;
  most: number;
  step: number;
  format?: (value: number) => string;
}

/** A labelled slider that shows its value. */
export function slider(options: SliderOptions): Field<number> & { input: HTMLInputElement } {
  const { least, most, step, format = (value) => value.toFixed(2).replace("-", "−") } = options;
  const id = newId();
  const shown = h("span", { class: "value", "aria-hidden": "true" }); // the slider says it
  const input = h("input", { type: "range", id, min: least, max: most, step });
  const show = (): void => {
    shown.textContent = format(input.valueAsNumber);
    input.setAttribute("aria-valuetext", shown.textContent);
    input.style.setProperty("--share", String((input.valueAsNumber - least) / (most - least)));
  };
  const set = (value: number): void => {
    input.value = String(value);
    show();
  };
  input.addEventListener("input", () => {
    show();
    options.change(input.valueAsNumber);
  });
  set(options.value);
  const label = h("label", { for: id }, options.label);
  return {
    element: h("div", { class: "field" }, h("span", { class: "row" }, label, shown), input),
    input,
    set,
  };
}

interface TextOptions<T> extends Options<T> {
  /** null: the text is no value. */
  parse: (text: string) => T | null;
  /** What is expected, shown where something else was written. */
  hint: string;
  button?: HTMLElement | null;
}

/** A field for a number that is written. */
export function written<T extends number | bigint>(options: TextOptions<T>): Field<T> {
  const id = newId();
  const hintId = newId();
  const hint = h("p", { class: "hint bad", id: hintId, hidden: true }, options.hint);
  const input = h("input", {
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    spellcheck: "false",
    id,
    value: String(options.value),
    "aria-describedby": hintId,
  });
  const valid = (value: T | null): void => {
    input.setAttribute("aria-invalid", String(value === null));
    hint.hidden = value !== null;
  };
  input.addEventListener("input", () => {
    const value = options.parse(input.value);
    valid(value);
    if (value !== null) options.change(value);
  });
  const { button = null } = options;
  return {
    element: h(
      "div",
      { class: "field" },
      h("label", { for: id }, options.label),
      h("span", { class: "row" }, input, button),
      hint,
    ),
    set(value) {
      input.value = String(value);
      valid(value);
    },
  };
}

interface ChoiceOptions extends Options<string> {
  choices: readonly (readonly [value: string, text: string])[];
  /** Why it cannot be used; null: it can. */
  disabled?: string | null;
}

const hintOf = ({ disabled = null }: ChoiceOptions): HTMLElement | null =>
  disabled === null ? null : h("p", { class: "hint", id: newId() }, disabled);

/** One of many. */
export function select(options: ChoiceOptions): Field<string> {
  const id = newId();
  const hint = hintOf(options);
  const input = h(
    "select",
    { id, disabled: hint !== null, "aria-describedby": hint?.id },
    ...options.choices.map(([value, text]) => h("option", { value }, text)),
  );
  input.value = options.value;
  input.addEventListener("change", () => options.change(input.value));
  return {
    element: h("div", { class: "field" }, h("label", { for: id }, options.label), input, hint),
    set(value) {
      input.value = value;
    },
  };
}

/** One of few, all in sight. */
export function radios(options: ChoiceOptions): Field<string> {
  const name = newId();
  const hint = hintOf(options);
  const inputs = options.choices.map(([value]) =>
    h("input", {
      type: "radio",
      name,
      id: `${name}-${value}`,
      value,
      disabled: hint !== null,
      change: () => options.change(value),
    }),
  );
  const set = (value: string): void => {
    for (const input of inputs) input.checked = input.value === value;
  };
  set(options.value);
  const pills = options.choices.flatMap(([value, text], i) => [
    inputs[i],
    h("label", { for: `${name}-${value}` }, text),
  ]);
  return {
    element: h(
      "fieldset",
      { class: "field", "aria-describedby": hint?.id },
      h("legend", {}, options.label),
      h("span", { class: "pills" }, ...pills),
      hint,
    ),
    set,
  };
}

/** `label`: what screen readers say in place of the text. */
export function button(
  text: string,
  click: () => void,
  kind = "",
  label: string | null = null,
): HTMLButtonElement {
  return h("button", { type: "button", class: kind, "aria-label": label, click }, text);
}
