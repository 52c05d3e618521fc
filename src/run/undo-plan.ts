import { addKeys, parseAuthorizedKey, removeLines } from '../core/authorized-key.ts';
import type { Destination } from '../core/destination.ts';
import {
  ABSENT,
  contentOf,
  entryAt,
  same,
  sameContent,
  type Entry,
  type Facts,
} from '../core/facts.ts';
import { isMarkedBlock, putBlock, takeOutBlock } from '../core/marked-block.ts';
import {
  commandText,
  rehearse,
  type Change,
  type EntryChange,
  type LoginShellChange,
  type Plan,
  type PlannedStep,
} from '../core/plan.ts';
import { printable, printablePath } from '../core/printable.ts';
import { parentOf, type RemotePath } from '../core/remote-path.ts';
import type { JournalLine } from '../remote/journal.ts';

/** The plan that takes a run back, from what stands there now: pure, like any plan. Later changes are undone first. */
export function undoPlan(
  destination: Destination,
  facts: Facts,
  lines: readonly JournalLine[],
): Plan {
  let predicted = facts;
  const changes = new Map<string, Change[]>();
  const left = new Map<string, Left[]>();
  for (const { step, change } of coalesced(lines).toReversed()) {
    const back = changeBack(predicted, facts, change);
    if (typeof back !== 'string' && 'what' in back) {
      changes.set(step, [...(changes.get(step) ?? []), back]);
      predicted = rehearse(predicted, back);
      continue;
    }
    const why = typeof back === 'string' ? { why: back } : back;
    left.set(step, [...(left.get(step) ?? []), why]);
  }
  const names = [...new Set(lines.map(({ step }) => step))].toReversed();
  const steps = names.map((name) => undoStep(name, changes.get(name) ?? [], left.get(name) ?? []));
  return { destination, facts, predicted, steps };
}

/** Why something is not put back; whether it should have been. */
interface Left {
  readonly why: string;
  readonly amiss?: true;
}

/** The change that takes one back, or why none is needed or wanted, or why there can be none. */
type Back = Change | string | Left;

function changeBack(now: Facts, found: Facts, change: Change): Back {
  if (change.what === 'entry') return entryBack(now, found, change);
  if (change.what === 'login-shell') return shellBack(found, change);
  return `what was done by ${commandText(change)} is not undone`;
}

function undoStep(name: string, changes: readonly Change[], left: readonly Left[]): PlannedStep {
  const words = (amiss: true | undefined): string =>
    [...new Set(left.flatMap((one) => (one.amiss === amiss ? one.why : [])))].join('; ');
  const [besides, except] = [words(undefined), words(true)];
  const title = `put back what ${name} changed`;
  if (changes.length === 0) {
    const because = [except, besides].filter(Boolean).join('; ') || 'nothing to put back';
    return { name, title, verdict: { kind: except === '' ? 'settled' : 'blocked', because } };
  }
  const verdict = { changes, ...(except && { except }), ...(besides && { besides }) };
  return { name, title, verdict: { kind: 'changes', ...verdict } };
}

/** Of several changes of the login shell in one run (there, and back again), only what they came to. */
function coalesced(lines: readonly JournalLine[]): readonly JournalLine[] {
  const shells = lines.filter(({ change }) => change.what === 'login-shell');
  const [first] = shells;
  const last = shells.at(-1);
  if (first === undefined || last === undefined) return lines;
  const others = lines.filter(({ change }) => change.what !== 'login-shell');
  const before = (first.change as LoginShellChange).before;
  const change = { ...(last.change as LoginShellChange), before };
  return before === change.after ? others : [...others, { ...last, change }];
}

function shellBack(facts: Facts, change: LoginShellChange): Back {
  const { loginShell, access } = facts.account;
  if (access === 'sftp') {
    const why = 'SFTP can neither tell nor change the login shell; undo it where there is a shell';
    return { why, amiss: true };
  }
  if (loginShell === change.before)
    return `the login shell is ${printable(loginShell)} again already`;
  if (loginShell !== change.after)
    return `the login shell was changed since, to ${printable(loginShell)}; left alone`;
  const root = facts.account.uid === 0;
  const as = root ? 'root' : facts.system.sudo ? 'sudo' : 'self';
  const by = as === 'self' || !facts.system.tools.has('usermod') ? 'chsh' : 'usermod';
  return {
    what: 'login-shell',
    before: change.after,
    after: change.before,
    by,
    as,
    reason: 'it was this before',
  };
}

function entryBack(now: Facts, found: Facts, change: EntryChange): Back {
  const { path, before, after } = change;
  const name = printablePath(path);
  const current = entryAt(now, path);
  if (same(current, before)) return `${name} is as it was already`;
  const make = (to: Entry, reason: string): EntryChange => ({
    what: 'entry',
    path,
    before: current,
    after: to,
    reason,
  });
  const lines = {
    ...(change.adds && { removes: change.adds }),
    ...(change.removes && { adds: change.removes }),
  };
  const modeOnly = sameButMode(current, before, after);
  if (modeOnly !== undefined) return make(modeOnly, 'its mode and time were different before');
  if (after.kind === 'directory' && before.kind === 'absent') {
    return othersIn(now, found, path)
      ? `${name} holds other files by now; left there`
      : make(ABSENT, 'it was not there before');
  }
  const lost = lostCopy(name, found, before);
  if (lost === undefined && same(current, after)) {
    const back = shown(found, before);
    return { ...make(back, reasonFor(before, back)), ...lines };
  }
  const edited = lineByLine(current, change);
  if (edited !== undefined) {
    if (same(current, edited[0])) return `${name} is as it was already`;
    return { ...make(...edited), ...lines };
  }
  const inTheWay = current.kind === 'directory' && before.kind !== 'directory';
  if (inTheWay || current.kind === 'special' || current.kind === 'unreadable')
    return `${name} was changed since; left alone`;
  const reason = 'it was this before; it was edited since, and the edited version is kept';
  return lost ?? make(shown(found, before), reason);
}

function reasonFor(before: Entry, back: Entry): string {
  if (before.kind === 'absent') return 'it was not there before';
  const written =
    before.kind === 'file' && back.kind === 'file' && !sameContent(before.content, back.content);
  return written ? 'it was this before, with what was written into it since' : 'it was this before';
}

/** A file that only gained or lost lines gets just those back, whatever else was edited since. */
function lineByLine(current: Entry, change: EntryChange): [Entry, string] | undefined {
  if (current.kind !== 'file' || current.content.bytes === undefined) return undefined;
  const { bytes } = current.content;
  return (
    (change.adds && withoutLines(current, bytes, change.before, change.adds)) ??
    (change.removes && withLines(current, bytes, change.removes))
  );
}

/** A change of mode or time alone is taken back whatever the content is by now; the time only where nobody wrote since. */
function sameButMode(current: Entry, before: Entry, after: Entry): Entry | undefined {
  if (before.kind === 'directory' && after.kind === 'directory') {
    return current.kind === 'directory' ? { ...current, mode: before.mode } : undefined;
  }
  if (before.kind !== 'file' || after.kind !== 'file' || current.kind !== 'file') return undefined;
  if (!sameContent(before.content, after.content)) return undefined;
  return {
    ...current,
    mode: before.mode,
    ...(before.mtime !== undefined &&
      sameContent(current.content, after.content) &&
      current.mtime === after.mtime && { mtime: before.mtime }),
  };
}

type File = Entry & { readonly kind: 'file' };

/** Takes out just the lines that the run added, so that keys added since stay. */
function withoutLines(
  current: File,
  old: Uint8Array,
  before: Entry,
  adds: readonly string[],
): [Entry, string] {
  const bytes = isMarkedBlock(adds) ? takeOutBlock(old) : removeLines(old, adds);
  if (bytes.length === 0 && before.kind === 'absent') return [ABSENT, 'it was not there before'];
  const { mtime: _, ...rest } = current;
  return [{ ...rest, content: contentOf(bytes) }, 'take out the lines that were added'];
}

/** Puts in just the lines that an undo took out, so that keys added since stay. */
function withLines(current: File, old: Uint8Array, lines: readonly string[]): [Entry, string] {
  const keys = lines.flatMap((line) => parseAuthorizedKey(line) ?? []);
  const bytes = isMarkedBlock(lines) ? putBlock(old, lines) : addKeys(old, keys).bytes;
  const { mtime: _, ...rest } = current;
  return [{ ...rest, content: contentOf(bytes) }, 'put in the lines that were taken out'];
}

/** Whether a directory holds something that this undo does not remove. */
function othersIn(now: Facts, found: Facts, path: RemotePath): boolean {
  const entry = entryAt(found, path);
  const names = entry.kind === 'directory' ? (entry.names ?? []) : [];
  const gone = new Set<string>();
  for (const [other, { kind }] of now.entries) {
    if (kind !== 'absent' || parentOf(other) !== path) continue;
    // ls(1) lists a name with a line feed as several.
    for (const piece of other.slice(path.length + 1).split('\n')) gone.add(piece);
  }
  return names.some((name) => !gone.has(name));
}

/** What is wrong with the copy that was kept of an entry, if anything is. */
function lostCopy(name: string, facts: Facts, before: Entry): Left | undefined {
  const keptAt = before.kind === 'file' ? before.content.keptAt : undefined;
  if (keptAt === undefined) return undefined;
  const { kind } = entryAt(facts, keptAt);
  if (kind === 'file') return undefined;
  const wrong = kind === 'absent' ? 'is gone' : 'may not be read';
  const why = `${name} stays: what it was before ${wrong} (it was kept as ~/${printablePath(keptAt)}); restore it from a backup`;
  return { why, amiss: true };
}

/** The old entry as its kept copy is: others may have written into it until it was replaced, and on, where they have it open. */
function shown(facts: Facts, before: Entry): Entry {
  if (before.kind !== 'file' || before.content.keptAt === undefined) return before;
  const kept = entryAt(facts, before.content.keptAt);
  if (kept.kind !== 'file') return before;
  const { size, keptAt, checksum } = before.content;
  // SFTP does not tell a large file's checksum.
  const known = size === kept.content.size && checksum !== undefined ? { checksum } : {};
  const { mtime = before.mtime } = kept;
  const content = { ...known, ...kept.content, keptAt };
  return { ...before, ...(mtime !== undefined && { mtime }), content };
}
