import { structuredPatch, type StructuredPatchHunk } from 'diff';
import { counted, grouped } from './count.ts';
import { INLINE_LIMIT, sameContent, type Entry } from './facts.ts';
import { printableBytes, printablePath } from './printable.ts';
import type { RemotePath } from './remote-path.ts';

/** More edits than this are not searched for: the time grows with their square (0.3 s at 2,000). */
const MAX_EDITS = 2000;

/** Longer lines are cut where they are shown. */
const MAX_LINE = 4096;

/**
 * The difference between what stands at a path and what will, as unified diff lines that no terminal obeys.
 * Empty where no content changes; a single line in words where it cannot be shown line by line.
 */
export function unifiedDiff(path: RemotePath, before: Entry, after: Entry): readonly string[] {
  const old = side(path, before);
  const young = side(path, after);
  if (old.content === undefined && young.content === undefined) return [];
  if (old.content && young.content && sameContent(old.content, young.content)) return [];
  const name = printablePath(path);
  const hidden = notShown(old) ?? notShown(young);
  if (hidden !== undefined) return [`${name}: ${hidden}, ${sizes(old, young)}; not shown`];
  const hunks = hunksOf(old.text ?? '', young.text ?? '');
  if (hunks === undefined) {
    return [`${name}: too unlike to compare line by line, ${sizes(old, young)}; not shown`];
  }
  return [`--- ${old.name}`, `+++ ${young.name}`, ...hunks.flatMap(hunkLines)];
}

interface Side {
  readonly name: string;
  /** Only where it is a file. */
  readonly content?: { readonly size: number; readonly checksum?: number };
  /** One character for each byte; only where the bytes are at hand. */
  readonly text?: string;
}

function side(path: RemotePath, entry: Entry): Side {
  const name = printablePath(path);
  switch (entry.kind) {
    case 'absent':
      return { name: '/dev/null' };
    case 'symlink':
      return { name: `${name} (a link to ${printablePath(entry.target)})` };
    case 'file': {
      const { content } = entry;
      if (content.bytes === undefined) return { name, content };
      return { name, content, text: Buffer.from(content.bytes).toString('latin1') };
    }
    default:
      return { name: `${name} (${entry.kind === 'special' ? 'a special file' : entry.kind})` };
  }
}

function notShown({ content, text }: Side): string | undefined {
  if (content === undefined) return undefined;
  if (text === undefined) return content.size > INLINE_LIMIT ? 'large' : 'not read back';
  return text.includes('\0') ? 'binary' : undefined;
}

function sizes(old: Side, young: Side): string {
  const [from, to] = [old.content?.size, young.content?.size];
  if (from === undefined || to === undefined) return counted(from ?? to ?? 0, 'byte');
  return from === to ? `${grouped(to)} other bytes` : `${grouped(from)} -> ${grouped(to)} bytes`;
}

/** The differing parts; undefined where they are too many to be worth the time. */
function hunksOf(old: string, young: string): readonly StructuredPatchHunk[] | undefined {
  if (old === '' || young === '') return oneSided(old, young);
  const options = { context: 3, maxEditLength: MAX_EDITS };
  return structuredPatch('', '', old, young, '', '', options)?.hunks;
}

function oneSided(old: string, young: string): readonly StructuredPatchHunk[] {
  const sign = old === '' ? '+' : '-';
  const text = old + young;
  if (text === '') return [];
  const lines = text.split('\n').map((line) => sign + line);
  if (text.endsWith('\n')) lines.pop();
  const total = lines.length;
  if (!text.endsWith('\n')) lines.push('\\ No newline at end of file');
  const [oldLines, newLines] = old === '' ? [0, total] : [total, 0];
  return [{ oldStart: 1, newStart: 1, oldLines, newLines, lines }];
}

function hunkLines({
  oldStart,
  oldLines,
  newStart,
  newLines,
  lines,
}: StructuredPatchHunk): string[] {
  const header = `@@ -${range(oldStart, oldLines)} +${range(newStart, newLines)} @@`;
  return [header, ...lines.map(shown)];
}

/** As diff(1) writes it: an empty range is named by the line before it, a single line by itself. */
function range(start: number, lines: number): string {
  if (lines === 0) return `${start - 1},0`;
  return lines === 1 ? `${start}` : `${start},${lines}`;
}

function shown(line: string): string {
  const rest = line.length - MAX_LINE;
  const bytes = Buffer.from(rest > 0 ? line.slice(0, MAX_LINE) : line, 'latin1');
  return printableBytes(bytes) + (rest > 0 ? ` ... (${grouped(rest)} more bytes)` : '');
}
