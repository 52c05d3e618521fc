import {
  addKeys,
  keyFingerprint,
  optionNames,
  type AuthorizedKey,
} from '../src/core/authorized-key.ts';
import { contentOf, entryAt, realPath, type Entry, type Facts } from '../src/core/facts.ts';
import type { Change, Step, Verdict } from '../src/core/plan.ts';
import { printable, printableBytes, printablePath } from '../src/core/printable.ts';
import { parentOf, remotePath, type RemotePath } from '../src/core/remote-path.ts';
import { closed, foreign, hidden, kindOf, named, notADirectory } from './standing.ts';

const SSH_DIR = remotePath('.ssh');
/** Where keys are looked for unless the server says otherwise; naming it makes the probe find out. */
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
    const { keysFile } = facts;
    const path = realPath(facts, keysFile);
    const before = entryAt(facts, path);
    const blocked =
      unusable(before, keysFile) ?? noFolder(facts) ?? foreign(facts, path) ?? closed(facts, path);
    if (blocked !== undefined) return { kind: 'blocked', because: elsewhere(keysFile) + blocked };
    const old = before.kind === 'file' ? before.content.bytes! : new Uint8Array();
    const { bytes, added, lines, present } = addKeys(old, keys);
    if (added.length === 0) return settled(keys, present);
    const mode = before.kind === 'file' ? before.mode : 0o600;
    const after: Entry = { kind: 'file', mode, content: contentOf(bytes) };
    const reason = `add ${added.map(described).join(', ')}${where(path, keysFile)}`;
    const change: Change = { what: 'entry', path, before, after, reason, adds: lines };
    return { kind: 'changes', changes: [...missingFolders(facts).map(makeFolder), change] };
  },
};

/** Says which file it is about, where that is not the usual one. */
function elsewhere(keysFile: RemotePath): string {
  if (keysFile === AUTHORIZED_KEYS) return '';
  return `the server looks for keys in ${named(keysFile)}: `;
}

function where(path: RemotePath, keysFile: RemotePath): string {
  if (path !== keysFile) return ` (in ${printablePath(path)}, where it leads)`;
  if (keysFile === AUTHORIZED_KEYS) return '';
  return ` (in ${named(path)}, where the server looks for keys)`;
}

/** Where the step runs without ssh-dir on a new account, or the keys are elsewhere. */
function makeFolder(path: RemotePath): Change {
  return {
    what: 'entry',
    path,
    before: { kind: 'absent' },
    after: { kind: 'directory', mode: 0o700 },
    reason: 'to hold authorized_keys',
  };
}

/** The folders from the home directory down to the file, where links lead. */
function folders({ real, keysFile }: Facts): readonly RemotePath[] {
  const all: RemotePath[] = [];
  for (let at = parentOf(keysFile); at !== undefined && at !== '/'; at = parentOf(at))
    all.unshift(real.get(at) ?? at);
  return all;
}

function missingFolders(facts: Facts): readonly RemotePath[] {
  return folders(facts).filter((path) => entryAt(facts, path).kind === 'absent');
}

/** Why there is no folder for the file, and none can be made. */
function noFolder(facts: Facts): string | undefined {
  for (const path of folders(facts)) {
    const entry = entryAt(facts, path);
    if (entry.kind === 'directory') continue;
    if (entry.kind !== 'absent') return notADirectory(named(path), entry);
    // A folder of the system's is not ours to make.
    if (facts.keysFile.startsWith('/'))
      return `${named(path)} does not exist; ask its administrator`;
    return closed(facts, path);
  }
  return undefined;
}

function unusable(entry: Entry, path: RemotePath): string | undefined {
  if (entry.kind === 'absent') return undefined;
  const name = named(path);
  if (entry.kind === 'unreadable') return hidden(entry) ?? `${name} may not be read; ask its owner`;
  if (entry.kind === 'special') return `${name} is a ${kindOf(entry)}; move it away`;
  if (entry.kind !== 'file') return `${name} is a ${entry.kind}, not a file; move it away`;
  if (entry.content.bytes === undefined)
    return `${name} could not be read whole; rename the file that it leads to`;
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

function described(key: AuthorizedKey): string {
  const comment = printableBytes(Buffer.from(key.comment, 'latin1'));
  return `${comment || key.type} ${keyFingerprint(key)}`;
}
