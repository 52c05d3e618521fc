import { entryAt, realPath, type Entry, type Facts } from '../src/core/facts.ts';
import type { Change, Step } from '../src/core/plan.ts';
import { printablePath } from '../src/core/printable.ts';
import { parentOf, remotePath, type RemotePath } from '../src/core/remote-path.ts';
import { foreign, octal } from './standing.ts';

const HOME = remotePath('.');
const SSH_DIR = remotePath('.ssh');
const AUTHORIZED_KEYS = remotePath('.ssh/authorized_keys');

/**
 * What sshd's StrictModes wants (auth.c, safe_path): neither the home directory nor anything from there
 * down to authorized_keys may be written by others. Group write on the home directory is left alone where
 * the group is the user's own, as Debian's sshd accepts it.
 */
export const permissions: Step = {
  name: 'permissions',
  title: 'nobody else can write what sshd relies on',

  reads: () => [
    { path: HOME },
    { path: SSH_DIR, follow: true },
    { path: AUTHORIZED_KEYS, follow: true },
  ],

  plan(facts) {
    const { ownGroup, access } = facts.account;
    // Keys that the system keeps are the system's to protect.
    const keys = facts.keysFile.startsWith('/') ? [] : [realPath(facts, facts.keysFile)];
    const wrong = [
      ...tightened(facts, HOME, 'directory', (mode) => mode & ~(ownGroup ? 0o002 : 0o022)),
      ...tightened(facts, realPath(facts, SSH_DIR), 'directory', exactly(0o700)),
      ...foldersAbove(facts).flatMap((path) =>
        tightened(facts, path, 'directory', (mode) => mode & ~0o022),
      ),
      ...keys.flatMap((path) => tightened(facts, path, 'file', exactly(0o600))),
      ...facts.privateKeys
        .filter((path) => !keys.includes(path))
        .flatMap((path) =>
          tightened(facts, path, 'file', (mode) => ((mode & 0o077) === 0 ? mode : 0o600)),
        ),
    ];
    const owners = wrong.flatMap(({ path }) => foreign(facts, path) ?? []);
    const changes = wrong.filter(({ path }) => foreign(facts, path) === undefined);
    const except = owners.length === 0 ? {} : { except: owners.join('; ') };
    if (changes.length > 0) return { kind: 'changes', changes, ...except };
    if (owners.length > 0) return { kind: 'blocked', because: owners.join('; ') };
    const seen = access === 'sftp' ? ', as far as SFTP shows' : '';
    return { kind: 'settled', because: `as sshd wants them${seen}` };
  },
};

/** The folders between the home directory and a file of keys elsewhere in it. */
function foldersAbove(facts: Facts): readonly RemotePath[] {
  const { keysFile } = facts;
  if (keysFile.startsWith('/')) return [];
  const folders: RemotePath[] = [];
  for (let at = parentOf(keysFile); at !== undefined; at = parentOf(at)) {
    if (at !== SSH_DIR) folders.unshift(realPath(facts, at));
  }
  return folders;
}

/** These permissions, whatever bits above them are set. */
function exactly(wanted: number): (mode: number) => number {
  return (mode) => ((mode & 0o777) === wanted ? mode : wanted);
}

type EntryChange = Change & { readonly what: 'entry' };

function tightened(
  facts: Facts,
  path: RemotePath,
  kind: 'directory' | 'file',
  wanted: (mode: number) => number,
): readonly EntryChange[] {
  const before = entryAt(facts, path);
  if (before.kind !== kind) return [];
  const mode = wanted(before.mode);
  if (mode === before.mode) return [];
  const after: Entry = { ...before, mode };
  const name = path === HOME ? 'the home directory' : printablePath(path);
  const others = before.mode & 0o022 ? 'write' : 'read';
  const who = before.mode & 0o077 ? `others may ${others}` : 'you may not do all with';
  const reason = `${who} ${name} (${octal(before.mode)})`;
  return [{ what: 'entry', path, before, after, reason }];
}
