import { randomBytes } from 'node:crypto';
import { sameContent, type Content } from '../core/facts.ts';
import type { Change, EntryChange } from '../core/plan.ts';
import { RUNS } from '../core/records.ts';
import { joinPath, type RemotePath } from '../core/remote-path.ts';

/** One change as a run wrote it down before making it. */
export interface JournalLine {
  /** Its number within the run; what it replaced is kept under this name. */
  readonly number: number;
  /** The name of the step that wanted it. */
  readonly step: string;
  readonly change: Change;
}

/**
 * The name of the run after those in `runs`: they are ordered by number, whatever the clocks say. Two that begin
 * at once after the same runs differ by chance.
 */
export function nextRun(
  runs: readonly string[],
  now: Date,
  chance = randomBytes(4).toString('hex'),
): string {
  const last = Math.max(0, ...runs.map((run) => Number.parseInt(run, 10) || 0));
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  return `${String(last + 1).padStart(4, '0')}-${time}-${chance}`;
}

/** By number; of two that began at once, by the clocks of their machines. */
export function runsInOrder(runs: readonly string[]): readonly string[] {
  const number = (run: string): number => Number.parseInt(run, 10);
  return runs.toSorted((a, b) => number(a) - number(b) || (a < b ? -1 : 1));
}

/** A run's folder on the server. */
export function runFolder(run: string): RemotePath {
  return joinPath(RUNS, run);
}

/** Where a run writes down what it does. */
export function journalOf(run: string): RemotePath {
  return joinPath(runFolder(run), 'journal');
}

/** The link that says whose a run's folder is, for as long as the run is at work; see lock.ts. */
export function ownerOf(run: string): RemotePath {
  return joinPath(runFolder(run), 'owner');
}

/** Where a run writes down the folders that it has temporary files in; see lock.ts. */
export function besideOf(run: string): RemotePath {
  return joinPath(runFolder(run), 'beside');
}

/** Where a content that does not travel in a script is sent beforehand: a name that tells what it will be. */
export function sentTo(run: string, number: number, { checksum, size }: Content): RemotePath {
  return joinPath(runFolder(run), `sent-${number}-${checksum}-${size}`);
}

/** Where a run keeps the content that its change `number` replaces. */
export function keptAt(run: string, number: number): RemotePath {
  return joinPath(runFolder(run), String(number));
}

/** A name beside the target of a run's change, on the same file system, for the rename to be atomic. */
export function temporaryAt(path: RemotePath, run: string, number: number): RemotePath {
  const folder = path.slice(0, path.lastIndexOf('/') + 1);
  return `${folder}.prep-${run}-${number}` as RemotePath;
}

/** A change as one line of the journal: JSON in ASCII, no contents. */
export function journalLine(line: JournalLine): string {
  const bare = JSON.stringify(line, (key, value: unknown) =>
    key === 'content'
      ? { size: (value as Content).size, checksum: (value as Content).checksum }
      : key === 'otherwise'
        ? undefined
        : value,
  );
  return bare.replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Reads a journal; a last line cut off by a full disk is left out, and so is what a later version, or another hand, may have added. */
export function readJournal(text: string, run: string): readonly JournalLine[] {
  const lines: JournalLine[] = [];
  for (const line of text.split('\n')) {
    const read = parseLine(line);
    if (read === undefined) continue;
    const { change, number } = read;
    lines.push(change.what === 'entry' ? { ...read, change: withKept(change, run, number) } : read);
  }
  return lines;
}

function parseLine(line: string): JournalLine | undefined {
  try {
    const read = JSON.parse(line) as Partial<JournalLine> | null;
    if (typeof read?.number !== 'number' || typeof read.step !== 'string') return undefined;
    return isChange((read.change ?? {}) as Change) ? (read as JournalLine) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether what claims to be a change has all that undoing it takes. */
function isChange(change: Change): boolean {
  const isText = (value: unknown): boolean => typeof value === 'string';
  switch (change.what) {
    case 'entry':
      return isText(change.path) && isEntry(change.before) && isEntry(change.after);
    case 'login-shell':
      return isText(change.before) && isText(change.after);
    case 'command':
      return Array.isArray(change.argv) && change.argv.every(isText);
    default:
      return false;
  }
}

function isEntry(entry: Partial<Record<string, unknown>> | undefined): boolean {
  switch (entry?.['kind']) {
    case 'absent':
      return true;
    case 'directory':
      return typeof entry['mode'] === 'number';
    case 'symlink':
      return typeof entry['target'] === 'string';
    case 'file': {
      const { size } = (entry['content'] ?? {}) as Partial<Content>;
      return typeof entry['mode'] === 'number' && typeof size === 'number';
    }
    default:
      return false;
  }
}

/** Whether a change replaces a file's content, so that a copy of it is kept. */
export function keepsCopy({ before, after }: EntryChange): boolean {
  if (before.kind !== 'file') return false;
  return after.kind !== 'file' || !sameContent(before.content, after.content);
}

function withKept(change: EntryChange, run: string, number: number): EntryChange {
  const { before } = change;
  if (before.kind !== 'file' || !keepsCopy(change)) return change;
  const content = { ...before.content, keptAt: keptAt(run, number) };
  return { ...change, before: { ...before, content } };
}
