/**
 * The text of an ssh_config(5) file, one character for each byte (latin1), and careful edits of it: whatever is
 * not added or taken out stays as it is, byte for byte.
 */
export type ConfigText = string;

/** One line of ssh_config that says something. */
export interface Directive {
  /** In lower case. */
  readonly keyword: string;
  readonly values: readonly string[];
  /** Counted from 1. */
  readonly line: number;
  /** Where its line begins in the text. */
  readonly start: number;
  /** What stands in the Host or Match line above it, as written; undefined where it holds for every host. */
  readonly block?: string;
}

const LINE = /^[ \t]*([A-Za-z][A-Za-z0-9]*)(?:[ \t]*=[ \t]*|[ \t]+|(?="))(.*?)[ \t\r\f]*$/;

/** Reads the directives of a file, in order. Lines that say nothing (or nothing that ssh understands) are passed over. */
export function directives(text: ConfigText): Directive[] {
  const found: Directive[] = [];
  let [start, block]: [number, string | undefined] = [0, undefined];
  for (const [index, content] of text.split('\n').entries()) {
    const [, word, rest = ''] = LINE.exec(content) ?? [];
    if (word !== undefined) {
      const keyword = word.toLowerCase();
      if (keyword === 'host' || keyword === 'match') block = `${word} ${rest}`;
      const values = wordsOf(rest);
      found.push({
        keyword,
        values,
        line: index + 1,
        start,
        ...(block !== undefined && { block }),
      });
    }
    start += content.length + 1;
  }
  return found;
}

/** Splits the values of a directive as argv_split in OpenSSH's misc.c does: quotes, backslashes, a comment at the end. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  const one = /[ \t]*(#.*$|(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\["'\\ ]|[^ \t"'])+)/y;
  for (let match = one.exec(text); match !== null; match = one.exec(text)) {
    if (match[1]!.startsWith('#')) break;
    words.push(match[1]!.replace(QUOTED, unquoted));
  }
  return words;
}

const QUOTED = /"((?:\\.|[^"\\])*)"|'((?:\\.|[^'\\])*)'|\\(["'\\ ])/g;

function unquoted(_: string, double?: string, single?: string, escaped?: string): string {
  return escaped ?? (double ?? single ?? '').replace(/\\(["'\\])/g, '$1');
}

/** A value as it must stand in ssh_config to be read as one word. */
export function configWord(value: string): string {
  return /^=|[\s"'#\\]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;
}

/** The marks around the block that `prep mastering` adds; what the first says in between is how to take it out exactly. */
const BEGIN =
  /^# prep mastering: begin(, in a file made for it|, after a line that had no end)? \(.*\)$/;
const END = '# prep mastering: end';
const HINT = '(take it out with: prep mastering --remove)';

interface Block {
  readonly start: number;
  readonly end: number;
  readonly lineEnd: string;
  readonly note: string | undefined;
}

/** Whether the block that `addBlock` writes is there already. */
export function hasBlock(text: ConfigText): boolean {
  return blockIn(text) !== undefined;
}

/** The lines of the block that is there, its marks left out; empty where there is none. */
export function blockLines(text: ConfigText): string[] {
  const block = blockIn(text);
  if (block === undefined) return [];
  return text.slice(block.start, block.end).trimEnd().split(/\r?\n/).slice(1, -1);
}

/**
 * Adds some lines as a marked block at the end, where every Host block before it wins; a text that has the block
 * already stays as it is. `undefined` stands for a file that is not there.
 */
export function addBlock(text: ConfigText | undefined, lines: readonly string[]): ConfigText {
  const before = text ?? '';
  if (hasBlock(before)) return before;
  const lineEnd = lineEndOf(before);
  const ended = before === '' || before.endsWith('\n');
  const note =
    text === undefined ? ', in a file made for it' : ended ? '' : ', after a line that had no end';
  const gap = before === '' ? '' : ended ? lineEnd : lineEnd + lineEnd;
  const block = [`# prep mastering: begin${note} ${HINT}`, ...lines, END];
  return before + gap + block.map((line) => line + lineEnd).join('');
}

/** Takes the block out again; `undefined` where the file was made for it and nothing else is in it. */
export function removeBlock(text: ConfigText): ConfigText | undefined {
  const block = blockIn(text);
  if (block === undefined) return text;
  const { lineEnd, note = '' } = block;
  let before = text.slice(0, block.start);
  const after = text.slice(block.end);
  const gapped = before.endsWith(lineEnd) && /(^|\n)$/.test(before.slice(0, -lineEnd.length));
  if (gapped) before = before.slice(0, -lineEnd.length);
  const unended = note.includes('no end') && after === '' && before.endsWith(lineEnd);
  if (unended) before = before.slice(0, -lineEnd.length);
  const left = before + after;
  return left === '' && note.includes('made for it') ? undefined : left;
}

function blockIn(text: ConfigText): Block | undefined {
  let begun: Omit<Block, 'end'> | undefined;
  let start = 0;
  for (const whole of text.split(/(?<=\n)/)) {
    const lineEnd = whole.endsWith('\r\n') ? '\r\n' : '\n';
    const line = whole.endsWith(lineEnd) ? whole.slice(0, -lineEnd.length) : whole;
    const begin = BEGIN.exec(line);
    if (begin !== null) begun = { start, lineEnd, note: begin[1] };
    start += whole.length;
    if (line === END && begun !== undefined) return { ...begun, end: start };
  }
  return undefined;
}

/**
 * Puts a Host block in front of all others (and of the comment right above the first), so that none of them wins
 * over it; the directives that hold for every host stay before it.
 */
export function insertHost(text: ConfigText | undefined, lines: readonly string[]): ConfigText {
  const whole = text ?? '';
  const lineEnd = lineEndOf(whole);
  const at = placeForHost(whole);
  const [before, after] = [whole.slice(0, at), whole.slice(at)];
  const ended = before === '' || before.endsWith('\n') ? '' : lineEnd;
  const apart = before === '' || /\n\r?\n$/.test(before) || /^\r?\n$/.test(before) ? '' : lineEnd;
  const gap = after === '' ? '' : lineEnd;
  return before + ended + apart + lines.map((line) => line + lineEnd).join('') + gap + after;
}

function placeForHost(text: ConfigText): number {
  const first = directives(text).find(({ block }) => block !== undefined);
  if (first === undefined) return text.length;
  let at = first.start;
  for (;;) {
    const above = text.lastIndexOf('\n', at - 2) + 1;
    if (at === 0 || !/^[ \t]*#/.test(text.slice(above, at))) return at;
    at = above;
  }
}

function lineEndOf(text: ConfigText): string {
  return /\r\n/.test(text.slice(0, text.indexOf('\n') + 1)) ? '\r\n' : '\n';
}
