import type { Writable } from 'node:stream';

/** The part of a terminal that drawing needs. */
export type Screen = Writable & { readonly columns?: number; readonly rows?: number };

/** One picture of a list. */
export interface Frame {
  /** Counts up from one picture to the next. */
  readonly turn: number;
  /** No more lines than these fit on the screen. */
  readonly rows: number;
  /** As much of a line as fits; the whole line in the last picture. */
  readonly fitted: (text: string) => string;
}

/** Milliseconds between two drawings. */
const INTERVAL = 100;

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** What turns in front of what is under way. */
export function spinner(turn: number): string {
  return SPINNER[turn % SPINNER.length]!;
}

/**
 * Draws a list over itself, ten times a second, whatever happens. listr2's own renderer costs some 100 ms of
 * computing in a run, for it loads tables to measure and wrap text; this one cuts lines short.
 */
export class Drawing {
  readonly #lines: (frame: Frame) => readonly string[];
  readonly #screen: Screen;
  readonly #timer: NodeJS.Timeout;
  /** How many lines the last drawing has. */
  #height = 0;
  #turn = 0;
  #ended = false;

  constructor(screen: Screen, lines: (frame: Frame) => readonly string[]) {
    this.#lines = lines;
    this.#screen = screen;
    this.#timer = setInterval(() => this.#draw(), INTERVAL);
  }

  /** The last drawing, lines whole; or none, where something else says it all. */
  end(last: 'stays' | 'goes' = 'stays'): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    const whole = { turn: this.#turn, rows: Infinity, fitted: (text: string) => text };
    this.#replace(last === 'goes' ? [] : this.#lines(whole));
  }

  /** No line wraps and no more lines than the screen has, so that the cursor finds its way back. */
  #draw(): void {
    const { columns = 80, rows = 24 } = this.#screen;
    const fitted = (text: string): string => cut(text, columns - 1);
    const lines = this.#lines({ turn: ++this.#turn, rows: rows - 1, fitted });
    this.#replace(lines.slice(1 - rows));
  }

  #replace(lines: readonly string[]): void {
    if (this.#height + lines.length === 0) return;
    const up = this.#height === 0 ? '' : `\u001b[${this.#height}A`;
    this.#screen.write(`${up}\r\u001b[J${lines.map((line) => `${line}\n`).join('')}`);
    this.#height = lines.length;
  }
}

/** As much of a line as fits; everything beyond Latin, Greek and Cyrillic counts double. */
function cut(text: string, columns: number): string {
  let width = 0;
  let fits = '';
  for (const character of text) {
    width += character >= '\u1100' ? 2 : 1;
    if (width > columns) return `${fits.slice(0, -1)}\u2026`;
    fits += character;
  }
  return text;
}
