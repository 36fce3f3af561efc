// What is shown, in the address: #view?name=value&…, so that it can be shared. Values that cannot be
// are replaced by the nearest that can, or by the default.

const MAX_U64 = 2n ** 64n - 1n;
const WAIT = 250; // ms; browsers refuse addresses that change a hundred times a second

export class State {
  view = "";
  private values = new Map<string, string>();
  /** Names of what the view in sight writes into the address. */
  private shown = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly write: (hash: string) => void;

  constructor(write: (hash: string) => void) {
    this.write = write;
  }

  /** Take over an address. What it does not name has its default. */
  read(hash: string, views: readonly string[]): void {
    clearTimeout(this.timer);
    const [view, query] = hash.replace(/^#/, "").split("?", 2);
    this.view = views.includes(view) ? view : views[0];
    this.values = new Map(new URLSearchParams(query ?? ""));
    this.shown = new Set(this.values.keys());
  }

  /** Go to another view; what the others were at is remembered. */
  goTo(view: string): void {
    this.view = view;
    this.shown = new Set();
    this.schedule();
  }

  text(name: string, otherwise: string): string {
    this.shown.add(name);
    return this.values.get(name) ?? otherwise;
  }

  choice<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.text(name, otherwise);
    return choices.find((choice) => choice === value) ?? otherwise;
  }

  number(name: string, least: number, most: number, otherwise: number): number {
    const text = this.text(name, "");
    const value = text.trim() === "" ? Number.NaN : Number(text);
    return Number.isNaN(value) ? otherwise : Math.min(most, Math.max(least, value));
  }

  whole(name: string, least: number, most: number, otherwise: number): number {
    return Math.round(this.number(name, least, most, otherwise));
  }

  /** A 64-bit number without a sign. */
  u64(name: string): bigint {
    return parseU64(this.text(name, "")) ?? 0n;
  }

  set(name: string, value: string | number | bigint): void {
    this.shown.add(name);
    this.values.set(name, String(value));
    this.schedule();
  }

  unset(name: string): void {
    this.values.delete(name);
    this.schedule();
  }

  get hash(): string {
    const query = new URLSearchParams(
      [...this.values].filter(([name]) => this.shown.has(name)),
    ).toString();
    return `#${this.view}${query ? `?${query}` : ""}`;
  }

  /** Write the address now. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.write(this.hash);
  }

  private schedule(): void {
    this.timer ??= setTimeout(() => this.flush(), WAIT);
  }
}

/** A number in [0, 2⁶⁴), in decimal; null for any other text. */
export function parseU64(text: string): bigint | null {
  const digits = text.trim().replaceAll("_", "");
  if (!/^\d{1,20}$/.test(digits)) return null;
  const value = BigInt(digits);
  return value <= MAX_U64 ? value : null;
}
