import {
  ABSENT,
  contentOf,
  entryAt,
  realPath,
  sameContent,
  type Entry,
  type Facts,
  type Reading,
} from '../src/core/facts.ts';
import { putBlock } from '../src/core/marked-block.ts';
import type { EntryChange, Verdict } from '../src/core/plan.ts';
import { printable, printablePath } from '../src/core/printable.ts';
import { parentOf, remotePath, type RemotePath } from '../src/core/remote-path.ts';
import { startBlock, type Dialect } from './start-block.ts';
import { closed, foreign, hidden } from './standing.ts';

const PROFILE = remotePath('.profile');
const LOGIN = remotePath('.login');
const FISH = remotePath('.config/fish/config.fish');

/** What bash reads of a login: the first of these that it can (bash(1), INVOCATION). */
const OF_BASH = [remotePath('.bash_profile'), remotePath('.bash_login'), PROFILE];

/** What the fallback must know: the rc file of each login shell that it knows, for which it is comes with the facts. */
export const rcReadings: readonly Reading[] = [
  ...[...OF_BASH, LOGIN, FISH].map((path) => ({ path, bytes: 'all' as const, follow: true })),
  { path: remotePath('.config') },
  { path: remotePath('.config/fish') },
];

/** The file in which a login shell can be made to start another, and the language of that file. */
interface RcFile {
  readonly path: RemotePath;
  readonly dialect: Dialect;
}

/**
 * Starts a shell from the present login shell's own rc file, at interactive logins.
 * `why` says what keeps the login shell from being changed.
 */
export function fallback(facts: Facts, shell: string, why: string): Verdict {
  const blocked = (because: string): Verdict => ({
    kind: 'blocked',
    because: `${why}; ${because}`,
  });
  const present = facts.account.loginShell;
  const rc = rcFileOf(facts, baseName(present) || 'sh');
  const name = printable(baseName(shell));
  if (rc === undefined)
    return blocked(`${name} cannot be started from ${printable(present)}; ask the administrator`);
  const block = startBlock(rc.dialect, shell);
  if (block === undefined)
    return blocked(`${printable(shell)} is too unusual a path to be started from a start-up file`);
  const path = realPath(facts, rc.path);
  const obstacle = inTheWay(facts, path) ?? foreign(facts, path) ?? closedAbove(facts, path);
  if (obstacle !== undefined) return blocked(obstacle);
  const changes = written(facts, path, block, shell);
  if (changes.length > 0) return { kind: 'changes', changes };
  return { kind: 'settled', because: `${name} is started from ${printablePath(path)}` };
}

function written(
  facts: Facts,
  path: RemotePath,
  block: readonly string[],
  shell: string,
): readonly EntryChange[] {
  const before = entryAt(facts, path);
  const old = before.kind === 'file' ? before.content.bytes! : new Uint8Array();
  const content = contentOf(putBlock(old, block));
  if (before.kind === 'file' && sameContent(before.content, content)) return [];
  const mode = before.kind === 'file' ? before.mode : 0o644;
  const after: Entry = { kind: 'file', mode, content };
  const reason = `start ${printable(shell)} at interactive logins`;
  return [
    ...missingFolders(facts, path),
    { what: 'entry', path, before, after, reason, adds: block, starts: shell },
  ];
}

function missingFolders(facts: Facts, path: RemotePath): readonly EntryChange[] {
  const folder = parentOf(path);
  // The folder of a file that a link leads to was not looked at.
  if (folder === undefined || facts.entries.get(folder)?.kind !== 'absent') return [];
  const after: Entry = { kind: 'directory', mode: 0o755 };
  const reason = `to hold ${printablePath(path)}`;
  return [
    ...missingFolders(facts, folder),
    { what: 'entry', path: folder, before: ABSENT, after, reason },
  ];
}

function rcFileOf(facts: Facts, present: string): RcFile | undefined {
  switch (present) {
    case 'bash': {
      const read = OF_BASH.find((path) => entryAt(facts, realPath(facts, path)).kind === 'file');
      return { path: read ?? PROFILE, dialect: 'sh' };
    }
    case 'sh':
    case 'dash':
    case 'ash':
    case 'busybox':
    case 'ksh':
    case 'ksh93':
    case 'mksh':
    case 'lksh':
      return { path: PROFILE, dialect: 'sh' };
    case 'csh':
    case 'tcsh':
      return { path: LOGIN, dialect: 'csh' };
    case 'fish':
      return { path: FISH, dialect: 'fish' };
    default:
      return undefined;
  }
}

function inTheWay(facts: Facts, path: RemotePath): string | undefined {
  const there = entryAt(facts, path);
  if (there.kind === 'absent') return undefined;
  const name = printablePath(path);
  if (there.kind === 'unreadable') return hidden(there) ?? `${name} may not be read; ask its owner`;
  if (there.kind !== 'file') return `${name} is a ${there.kind}, not a file; move it away`;
  return there.content.bytes === undefined ? `${name} could not be read whole` : undefined;
}

/** Whether what would be written can be: the nearest folder above that is there decides. */
function closedAbove(facts: Facts, path: RemotePath): string | undefined {
  const folder = parentOf(path);
  if (folder === undefined || path.startsWith('/')) return closed(facts, path);
  const entry = entryAt(facts, realPath(facts, folder));
  if (entry.kind === 'absent') return closedAbove(facts, folder);
  if (entry.kind !== 'directory' && entry.kind !== 'symlink')
    return `${printablePath(folder)} is not a directory; move it away`;
  return closed(facts, path);
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
