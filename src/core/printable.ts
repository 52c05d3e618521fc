import { pathBytes, type RemotePath } from './remote-path.ts';

/** C0, DEL, C1, and the Unicode controls that reorder or hide text. */
const HARMFUL =
  // oxlint-disable-next-line no-control-regex -- finding control characters is what this is for
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function escaped(character: string): string {
  const code = character.charCodeAt(0);
  if (code === 0x09) return '\\t';
  if (code === 0x0a) return '\\n';
  if (code === 0x0d) return '\\r';
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** One line of text from elsewhere, with every control character spelled out so that no terminal obeys it. */
export function printable(text: string): string {
  return text.replace(HARMFUL, escaped);
}

/** Like `printable`, for text of several lines: line feeds and tabs stay, a CR before a line feed goes. */
export function printableLines(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(HARMFUL, (character) =>
      character === '\n' || character === '\t' ? character : escaped(character),
    );
}

/** Bytes as text: UTF-8 where they are, `\xHH` where they are not; controls as in `printableLines`. */
export function printableBytes(bytes: Uint8Array): string {
  return printableLines(decoded(bytes));
}

/** A path as people read it, on one line. */
export function printablePath(path: RemotePath): string {
  return printable(decoded(pathBytes(path)));
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes)
      .toString('latin1')
      .replace(/[\u0080-\u00ff]/g, escaped);
  }
}
