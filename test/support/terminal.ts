const COMPLETE =
  /\x1b(?:\[([?>=]?)([\d;]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][\w]|[^[\]()])/y;

/** How characters look; a terminal's other ways are passed over. */
export interface Style {
  readonly bold: boolean;
  readonly dim: boolean;
  /** Of the sixteen: 0 to 7 as SGR 30 to 37 have them, 8 to 15 as 90 to 97; undefined is the terminal's own. */
  readonly colour: number | undefined;
}

/** Characters that stand beside each other and look alike. */
export interface StyledText extends Style {
  readonly text: string;
}

interface Cell {
  readonly character: string;
  readonly style: Style;
}

const PLAIN: Style = { bold: false, dim: false, colour: undefined };
const BLANK: Cell = { character: ' ', style: PLAIN };

/** Just enough of a terminal to know what a person would see: text, colours, cursor, erasing, scrolling. */
export class Terminal {
  readonly columns: number;
  readonly rows: number;
  /** Whether the cursor shows. */
  cursorVisible = true;
  /** Everything that scrolled away, then the screen. */
  readonly #lines: { cells: Cell[]; wrapped: boolean }[] = [{ cells: [], wrapped: false }];
  #row = 0;
  #column = 0;
  #pending = '';
  #style = PLAIN;

  constructor(columns = 100, rows = 30) {
    this.columns = columns;
    this.rows = rows;
  }

  /** The line the cursor is in, counted from the first line ever written. */
  get row(): number {
    return this.#row;
  }

  /** Takes in what a program wrote. A sequence cut in two waits for its other half. */
  write(text: string): void {
    const input = this.#pending + text;
    this.#pending = '';
    let at = 0;
    while (at < input.length) {
      const code = input.codePointAt(at)!;
      if (code !== 0x1b) {
        this.#put(String.fromCodePoint(code));
        at += code > 0xffff ? 2 : 1;
        continue;
      }
      COMPLETE.lastIndex = at;
      const match = COMPLETE.exec(input);
      if (match === null) {
        this.#pending = input.slice(at);
        return;
      }
      if (match[3] !== undefined) this.#control(match[1]!, match[2]!, match[3]);
      at = COMPLETE.lastIndex;
    }
  }

  /** What is to be read from a line (counted as `row` does) to the end, scrolled away or not. */
  text(from = 0): string {
    let text = '';
    this.#lines.slice(from).forEach(({ cells, wrapped }, index) => {
      text += (index > 0 && !wrapped ? '\n' : '') + row(cells);
    });
    return text.replace(/[ \n]+$/, '');
  }

  /** Every line as it looks, one that was too long as several. */
  styled(): readonly (readonly StyledText[])[] {
    return this.#lines.map(({ cells }) => runs(cells));
  }

  /** The whole line that the cursor stands in, up to the cursor. */
  cursorLine(): string {
    let first = this.#row;
    while (this.#lines[first]!.wrapped) first--;
    const before = this.#lines.slice(first, this.#row).map(({ cells }) => row(cells));
    return before.join('') + row(this.#lines[this.#row]!.cells.slice(0, this.#column));
  }

  /** What stands behind the cursor in its row. */
  get afterCursor(): string {
    return row(this.#lines[this.#row]!.cells.slice(this.#column)).trimEnd();
  }

  #put(character: string): void {
    if (character === '\r') this.#column = 0;
    else if (character === '\n') this.#down();
    else if (character === '\b') this.#column = Math.max(0, this.#column - 1);
    else if (character === '\t') this.#column = Math.min(this.columns - 1, (this.#column | 7) + 1);
    else if (character >= ' ' && character !== '\x7f') this.#print(character);
  }

  #print(character: string): void {
    if (this.#column >= this.columns) {
      this.#column = 0;
      this.#down();
      this.#lines[this.#row]!.wrapped = true;
    }
    const { cells } = this.#lines[this.#row]!;
    while (cells.length < this.#column) cells.push(BLANK);
    cells[this.#column++] = { character, style: this.#style };
  }

  #down(): void {
    this.#row++;
    if (this.#row === this.#lines.length) this.#lines.push({ cells: [], wrapped: false });
  }

  #control(mark: string, parameters: string, final: string): void {
    if (mark === '?') {
      if (parameters === '25') this.cursorVisible = final === 'h';
      return;
    }
    const numbers = parameters.split(';').map(Number);
    const count = numbers[0] || 1;
    if (final === 'A' || final === 'F') this.#moveTo(this.#row - count);
    if (final === 'B' || final === 'E') this.#moveTo(this.#row + count);
    if (final === 'E' || final === 'F') this.#column = 0;
    if (final === 'C') this.#column = Math.min(this.columns - 1, this.#column + count);
    if (final === 'D') this.#column = Math.max(0, this.#column - count);
    if (final === 'G') this.#column = count - 1;
    if (final === 'H' || final === 'f') {
      this.#moveTo(this.#top() + count - 1);
      this.#column = (numbers[1] || 1) - 1;
    }
    if (final === 'J') this.#eraseBelow(numbers[0]!);
    if (final === 'K') this.#eraseInLine(numbers[0]!);
    if (final === 'm') for (const number of numbers) this.#style = restyled(this.#style, number);
  }

  #top(): number {
    return Math.max(0, this.#lines.length - this.rows);
  }

  #moveTo(wanted: number): void {
    const top = this.#top();
    this.#row = Math.min(Math.max(wanted, top), top + this.rows - 1);
    while (this.#lines.length <= this.#row) this.#lines.push({ cells: [], wrapped: false });
  }

  #eraseBelow(how: number): void {
    if (how === 0) this.#lines.splice(this.#row + 1);
    if (how === 0) return this.#eraseInLine(0);
    for (const line of this.#lines.slice(this.#top()))
      Object.assign(line, { cells: [], wrapped: false });
  }

  #eraseInLine(how: number): void {
    const line = this.#lines[this.#row]!;
    if (how === 0) line.cells.length = Math.min(line.cells.length, this.#column);
    if (how === 1) {
      line.cells = line.cells.map((cell, column) => (column > this.#column ? cell : BLANK));
    }
    if (how === 2) line.cells = [];
    if (how === 2) line.wrapped = false;
  }
}

function row(cells: readonly Cell[]): string {
  return cells.map(({ character }) => character).join('');
}

/** What one number of "select graphic rendition" (ECMA-48, 8.3.117) makes of a style. */
function restyled(style: Style, number: number): Style {
  if (number === 0) return PLAIN;
  if (number === 1) return { ...style, bold: true };
  if (number === 2) return { ...style, dim: true };
  if (number === 22) return { ...style, bold: false, dim: false };
  if (number === 39) return { ...style, colour: undefined };
  const [bright, plain] = [number - 90, number - 30];
  if (bright >= 0 && bright < 8) return { ...style, colour: bright + 8 };
  return plain >= 0 && plain < 8 ? { ...style, colour: plain } : style;
}

function runs(cells: readonly Cell[]): StyledText[] {
  const found: StyledText[] = [];
  for (const { character, style } of cells) {
    const last = found.at(-1);
    const same =
      last?.bold === style.bold && last.dim === style.dim && last.colour === style.colour;
    if (same) found[found.length - 1] = { ...style, text: last.text + character };
    else found.push({ ...style, text: character });
  }
  return found;
}
