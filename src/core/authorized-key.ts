import { fingerprint, isBlobOf, isCertificateType, isKeyType } from './key-blob.ts';

/**
 * One public key that may log in, as a line of authorized_keys says it (sshd(8), AUTHORIZED_KEYS FILE
 * FORMAT). Every text in it is bytes, each character standing for one (latin1); comments are usually UTF-8.
 */
export interface AuthorizedKey {
  /** `ssh-ed25519`, `sk-ssh-ed25519@openssh.com`, ... */
  readonly type: string;
  /** The base64 text of the key itself: two lines with the same blob are the same key. */
  readonly blob: string;
  readonly comment: string;
  /** The options before the key (`from="..."`, `restrict`), empty for none. */
  readonly options: string;
}

/** What `addKeys` made of a file. */
export interface AddedKeys {
  /** The whole file; the very bytes given, where nothing was added. */
  readonly bytes: Uint8Array;
  readonly added: readonly AuthorizedKey[];
  /** The lines that were added, without line endings: what `removeLines` takes out again. */
  readonly lines: readonly string[];
  /** The wanted keys that were there already, each with the options of its (first) line. */
  readonly present: readonly { readonly key: AuthorizedKey; readonly options: string }[];
}

/** Control characters of ASCII, and those of C1 in UTF-8; a lone 0x80 to 0x9f is part of some UTF-8 letter. */
const CONTROLS =
  // oxlint-disable-next-line no-control-regex -- finding control characters is what this is for
  /[\u0000-\u001f\u007f]|\u00c2[\u0080-\u009f]/g;

/**
 * Reads one line of authorized_keys or of a .pub file (as latin1), as sshd does: first as a bare key, then as
 * options and a key. Undefined for comments, blank lines and everything sshd would pass over.
 */
export function parseAuthorizedKey(line: string): AuthorizedKey | undefined {
  const text = trimmed(line);
  if (text === '' || text.startsWith('#')) return undefined;
  const bare = keyAt(text, 0, '');
  if (bare !== undefined) return bare;
  const end = endOfOptions(text);
  return keyAt(text, skipBlanks(text, end), text.slice(0, end));
}

/** The line for a key, without a line ending; whatever could end the line early becomes a space. */
export function authorizedKeyLine(key: AuthorizedKey): string {
  const words = [key.options, key.type, key.blob, key.comment];
  return words
    .map((word) => trimmed(word.replace(CONTROLS, ' ')))
    .filter((word) => word !== '')
    .join(' ');
}

/** The names in an options field, in lower case (sshd ignores case), those with a value ending in `=`. */
export function optionNames(options: string): string[] {
  const names: string[] = [];
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= options.length; i++) {
    if (options[i] === '\\' && options[i + 1] === '"') i++;
    else if (options[i] === '"') quoted = !quoted;
    else if (i === options.length || (options[i] === ',' && !quoted)) {
      names.push(optionName(options.slice(start, i)));
      start = i + 1;
    }
  }
  return names.filter((name) => name !== '');
}

/** `SHA256:...`, as ssh-keygen -l prints it. */
export function keyFingerprint(key: AuthorizedKey): string {
  return fingerprint(Buffer.from(key.blob, 'base64'));
}

/** Whether it is a certificate, which authorized_keys cannot hold. */
export function isCertificate(key: AuthorizedKey): boolean {
  return isCertificateType(key.type);
}

/** Whether the line does not admit the key itself but the certificates it signed. */
export function isCertAuthority(key: AuthorizedKey): boolean {
  return optionNames(key.options).includes('cert-authority');
}

/**
 * The file with every wanted key in it. Keys are compared by blob; no byte of the file moves, new lines come
 * last, after a missing final newline. They end as all other lines do (CRLF), or else with a line feed.
 */
export function addKeys(old: Uint8Array, keys: readonly AuthorizedKey[]): AddedKeys {
  const text = latin1(old);
  const there = optionsByBlob(text);
  const wanted = [...new Map(keys.map((key) => [key.blob, key])).values()];
  const added = wanted.filter((key) => !there.has(key.blob));
  const present = wanted.flatMap((key) => {
    const options = there.get(key.blob);
    return options === undefined ? [] : [{ key, options }];
  });
  const lines = added.map(authorizedKeyLine);
  const bytes = lines.length === 0 ? old : withLines(old, text, lines);
  return { bytes, added, lines, present };
}

/** The file without the given lines: of each, the last that equals it, with its line ending. No other byte moves. */
export function removeLines(old: Uint8Array, lines: readonly string[]): Uint8Array {
  const rest = latin1(old).split(/(?<=\n)/);
  for (const line of lines) {
    const at = rest.findLastIndex((other) => other.replace(/\r?\n$/, '') === line);
    if (at >= 0) rest.splice(at, 1);
  }
  return Buffer.from(rest.join(''), 'latin1');
}

function keyAt(text: string, start: number, options: string): AuthorizedKey | undefined {
  const typeEnd = endOfWord(text, start);
  const type = text.slice(start, typeEnd);
  if (!isKeyType(type)) return undefined;
  const blobStart = skipBlanks(text, typeEnd);
  const blobEnd = endOfWord(text, blobStart);
  const blob = text.slice(blobStart, blobEnd);
  if (!isBlobOf(type, blob)) return undefined;
  return { type, blob, comment: text.slice(skipBlanks(text, blobEnd)), options };
}

function optionName(option: string): string {
  const equals = option.indexOf('=');
  return (equals < 0 ? option : option.slice(0, equals + 1)).trim().toLowerCase();
}

/** As sshkey_advance_past_options in OpenSSH's sshkey.c; the whole text where a quote is left open. */
function endOfOptions(text: string): number {
  let quoted = false;
  let i = 0;
  for (; i < text.length && (quoted || !isBlank(text[i])); i++) {
    if (text[i] === '\\' && text[i + 1] === '"') i++;
    else if (text[i] === '"') quoted = !quoted;
  }
  return Math.min(i, text.length);
}

function optionsByBlob(text: string): Map<string, string> {
  const options = new Map<string, string>();
  for (const line of text.split('\n')) {
    const key = parseAuthorizedKey(line);
    if (key !== undefined && !options.has(key.blob) && !isCertAuthority(key)) {
      options.set(key.blob, key.options);
    }
  }
  return options;
}

function withLines(old: Uint8Array, text: string, lines: readonly string[]): Uint8Array {
  const ending = text.includes('\n') && !/(?<!\r)\n/.test(text) ? '\r\n' : '\n';
  const missing = text === '' || text.endsWith('\n') ? '' : ending;
  const more = missing + lines.map((line) => line + ending).join('');
  return Buffer.concat([old, Buffer.from(more, 'latin1')]);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

function skipBlanks(text: string, from: number): number {
  let i = from;
  while (isBlank(text[i])) i++;
  return i;
}

function endOfWord(text: string, from: number): number {
  let i = from;
  while (i < text.length && !isBlank(text[i])) i++;
  return i;
}

/** Not trim(): to it, the byte 0xa0 is white space, and so would the last byte of `à` be. */
function trimmed(text: string): string {
  let end = text.length;
  while (end > 0 && ' \t\r\n'.includes(text[end - 1]!)) end--;
  return text.slice(skipBlanks(text, 0), end);
}
