import {
  addKeys,
  keyFingerprint,
  optionNames,
  type AuthorizedKey,
} from '../src/core/authorized-key.ts';
import { contentOf, entryAt, realPath, type Entry, type Facts } from '../src/core/facts.ts';
import type { Change, Step, Verdict } from '../src/core/plan.ts';
import { printable, printableBytes, printablePath } from '../src/core/printable.ts';
import { remotePath, type RemotePath } from '../src/core/remote-path.ts';
import { closed, foreign, notADirectory } from './standing.ts';

const SSH_DIR = remotePath('.ssh');
const AUTHORIZED_KEYS = remotePath('.ssh/authorized_keys');

/** Every wanted key may log in: its line is in authorized_keys, whatever options it has; no other byte moves. */
export const authorizedKeys: Step = {
  name: 'authorized-keys',
  title: 'each key has its line in ~/.ssh/authorized_keys',

  reads: () => [
    { path: SSH_DIR, follow: true },
    { path: AUTHORIZED_KEYS, bytes: 'all', follow: true },
  ],

  plan(facts, { keys }) {
    const path = realPath(facts, AUTHORIZED_KEYS);
    const before = entryAt(facts, path);
    const blocked =
      unusable(before) ?? noFolder(facts) ?? foreign(facts, path) ?? closed(facts, path);
    if (blocked !== undefined) return { kind: 'blocked', because: blocked };
    const old = before.kind === 'file' ? before.content.bytes! : new Uint8Array();
    const { bytes, added, lines, present } = addKeys(old, keys);
    if (added.length === 0) return settled(keys, present);
    const mode = before.kind === 'file' ? before.mode : 0o600;
    const after: Entry = { kind: 'file', mode, content: contentOf(bytes) };
    const where = path === AUTHORIZED_KEYS ? '' : ` (in ${printablePath(path)}, where it leads)`;
    const reason = `add ${added.map(named).join(', ')}${where}`;
    const change: Change = { what: 'entry', path, before, after, reason, adds: lines };
    const folder = realPath(facts, SSH_DIR);
    const missing = entryAt(facts, folder).kind === 'absent';
    return { kind: 'changes', changes: missing ? [makeFolder(folder), change] : [change] };
  },
};

/** Where the step runs without ssh-dir on a new account. */
function makeFolder(path: RemotePath): Change {
  return {
    what: 'entry',
    path,
    before: { kind: 'absent' },
    after: { kind: 'directory', mode: 0o700 },
    reason: 'to hold authorized_keys',
  };
}

/** Why there is no folder for the file, and none can be made. */
function noFolder(facts: Facts): string | undefined {
  const path = realPath(facts, SSH_DIR);
  const folder = entryAt(facts, path);
  if (folder.kind === 'absent') return closed(facts, path);
  return folder.kind === 'directory' ? undefined : notADirectory('~/.ssh', folder);
}

function unusable(entry: Entry): string | undefined {
  if (entry.kind === 'absent') return undefined;
  if (entry.kind === 'unreadable') return '~/.ssh/authorized_keys may not be read; ask its owner';
  if (entry.kind !== 'file')
    return `~/.ssh/authorized_keys is a ${entry.kind}, not a file; move it away`;
  if (entry.content.bytes === undefined)
    return '~/.ssh/authorized_keys could not be read whole; rename the file that it leads to';
  return undefined;
}

function settled(
  keys: readonly AuthorizedKey[],
  present: readonly { readonly key: AuthorizedKey; readonly options: string }[],
): Verdict {
  if (keys.length === 0) return { kind: 'settled', because: 'no key was asked for' };
  const restricted = present.flatMap(({ options }) => optionNames(options));
  const because = keys.length === 1 ? 'already there' : `all ${keys.length} already there`;
  if (restricted.length === 0) return { kind: 'settled', because };
  const names = [...new Set(restricted)].map(printable).join(', ');
  return { kind: 'settled', because: `${because}, restricted by ${names}` };
}

function named(key: AuthorizedKey): string {
  const comment = printableBytes(Buffer.from(key.comment, 'latin1'));
  return `${comment || key.type} ${keyFingerprint(key)}`;
}
