import { PrepError } from '../core/problem.ts';
import { inQuotes } from '../core/shell-word.ts';

/** A word, quoted or not, behind blanks; or what begins a comment. */
const PART = /[^\s'"\\]+|\\.|'[^']*'|"(?:[^"\\]|\\.)*"/y;

/**
 * Splits a line into words, as a shell does: blanks apart, quotes and backslashes, a comment behind a `#` that
 * begins a word. Nothing is expanded. @throws PrepError `bad-hosts-line` for a quote that does not end
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    at += /^\s*/.exec(line.slice(at))![0].length;
    if (at === line.length || line[at] === '#') return words;
    let word = '';
    while (at < line.length && !/\s/.test(line[at]!)) {
      PART.lastIndex = at;
      const part = PART.exec(line)?.[0];
      if (part === undefined) throw unfinished();
      word += meaning(part);
      at += part.length;
    }
    words.push(word);
  }
}

/** A line that splits into these words again. */
export function joinWords(words: readonly string[]): string {
  return words
    .map((word) => (/^[\w@%+=:,./[\]~-][\w@%+=:,./[\]~#-]*$/.test(word) ? word : inQuotes(word)))
    .join(' ');
}

function meaning(part: string): string {
  if (part.startsWith("'")) return part.slice(1, -1);
  if (part.startsWith('"')) return part.slice(1, -1).replace(/\\(["\\])/g, '$1');
  return part.startsWith('\\') ? part.slice(1) : part;
}

function unfinished(): PrepError {
  return new PrepError({
    code: 'bad-hosts-line',
    cause: 'a quote or a backslash is left open',
    action: 'close it',
  });
}
