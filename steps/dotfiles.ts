import {
  entryAt,
  realPath,
  same,
  sameContent,
  type Entry,
  type Facts,
  type Reading,
} from '../src/core/facts.ts';
import type { Change, LocalFile, Step } from '../src/core/plan.ts';
import { printablePath } from '../src/core/printable.ts';
import { parentOf, type RemotePath } from '../src/core/remote-path.ts';
import { closed, hidden, kindOf, octal } from './standing.ts';

/** Each local file stands at its path: same bytes, mode and modification time, as `scp -p` left them. */
export const dotfiles: Step = {
  name: 'dotfiles',
  title: 'your dotfiles are there',

  reads: ({ dotfiles: files }) =>
    files.map(({ path, entry }) => ({
      path,
      bytes: 'some',
      follow: true,
      ...(entry.kind === 'file' && { unless: contentAndTime(entry) }),
    })),

  plan(facts, { dotfiles: files }) {
    if (files.length === 0) return { kind: 'settled', because: 'there are none to copy' };
    const obstacles = new Map<RemotePath, string>();
    const changes: Change[] = [];
    for (const file of files) {
      const folder = parentOf(file.path);
      const obstacle = folder !== undefined && obstacles.has(folder) ? '' : inTheWay(facts, file);
      if (obstacle !== undefined) obstacles.set(file.path, obstacle);
      else changes.push(...needed(facts, file));
    }
    const except = [...new Set(obstacles.values())].filter((words) => words !== '').join('; ');
    if (changes.length > 0) return { kind: 'changes', changes, ...(except !== '' && { except }) };
    if (except !== '') return { kind: 'blocked', because: except };
    const count = files.filter(({ entry }) => entry.kind !== 'directory').length;
    return {
      kind: 'settled',
      because: count === 1 ? 'already there' : `all ${count} already there`,
    };
  },
};

/** A time that prep has set tells a large file that nobody has touched since. */
function contentAndTime({
  content,
  mode,
  mtime,
}: Entry & { kind: 'file' }): Required<Reading>['unless'] {
  return { ...content, mode, ...(mtime !== undefined && { mtime }) };
}

/** Why a file cannot stand where it should, or nothing. */
function inTheWay(facts: Facts, { path, entry }: LocalFile): string | undefined {
  const there = entryAt(facts, path);
  const name = printablePath(path);
  if (there.kind === 'special') return `${name} is a ${kindOf(there)}; move it away`;
  if (there.kind === 'unreadable')
    return (
      hidden(there) ?? `${name} may not be read, so no copy of it could be kept; ask its owner`
    );
  if (there.kind === 'directory' && entry.kind !== 'directory')
    return `${name} is a directory; move it away`;
  if (
    entry.kind === 'directory' &&
    there.kind !== 'absent' &&
    entryAt(facts, realPath(facts, path)).kind !== 'directory'
  ) {
    return `${name} is not a directory; move it away`;
  }
  return needed(facts, { path, entry }).length > 0 ? closed(facts, path) : undefined;
}

function needed(facts: Facts, { path, entry: after }: LocalFile): readonly Change[] {
  const before = entryAt(facts, path);
  if (before.kind !== 'absent' && after.kind === 'directory') return [];
  if (same(before, after) || leadsToTheSame(facts, path, after)) return [];
  return [{ what: 'entry', path, before, after, reason: difference(before, after) }];
}

/** A link of the user's own to a file with the same content (a dotfiles repository there) is left alone. */
function leadsToTheSame(facts: Facts, path: RemotePath, after: Entry): boolean {
  if (entryAt(facts, path).kind !== 'symlink' || after.kind !== 'file') return false;
  const real = entryAt(facts, realPath(facts, path));
  return real.kind === 'file' && sameContent(real.content, after.content);
}

function difference(before: Entry, after: Entry): string {
  if (before.kind === 'absent') return 'not there yet';
  if (before.kind !== after.kind)
    return `a ${before.kind === 'symlink' ? 'link' : before.kind} is there instead`;
  if (before.kind !== 'file' || after.kind !== 'file') return 'leads elsewhere';
  if (!sameContent(before.content, after.content)) return 'differs from yours';
  if (before.mode !== after.mode)
    return `mode ${octal(before.mode)} instead of ${octal(after.mode)}`;
  return 'its modification time differs';
}
