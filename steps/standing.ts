import { entryAt, type Entry, type Facts } from '../src/core/facts.ts';
import { printablePath } from '../src/core/printable.ts';
import { parentOf, remotePath, type RemotePath } from '../src/core/remote-path.ts';

/** A mode as ls -l users write it: `0644`. */
export function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}

/** Why this user cannot change what stands at `path`, where it belongs to somebody else. */
export function foreign(facts: Facts, path: RemotePath): string | undefined {
  const entry = entryAt(facts, path);
  const owner = 'owner' in entry ? entry.owner : undefined;
  const { uid, user } = facts.account;
  if (owner === undefined || owner === uid || uid === 0) return undefined;
  // Over SFTP it may be unknown whose account this is; root's it is not, by its name.
  if (uid === undefined && (owner !== 0 || user === 'root')) return undefined;
  return `${printablePath(path)} belongs to ${owner === 0 ? 'root' : `user ${owner}`}; ask them to change it`;
}

/** Why nothing can be written at `path`, where the folder that would hold it is closed to this user. */
export function closed(facts: Facts, path: RemotePath): string | undefined {
  const folder = parentOf(path) ?? remotePath('.');
  if (!facts.unwritable.has(folder)) return undefined;
  const name = folder === '.' ? 'the home directory' : printablePath(folder);
  return `${name} may not be written; ask its owner`;
}

/** Why it is not known what stands at a path, where the folder that would hold it may not be entered. */
export function hidden(entry: Entry): string | undefined {
  if (entry.kind !== 'unreadable' || entry.within === undefined) return undefined;
  return `${named(entry.within)} may not be entered as yet, so what is in it cannot be seen; run prep again once it may`;
}

type InTheWay = Exclude<Entry['kind'], 'absent' | 'directory'>;

const KINDS: Readonly<Record<InTheWay, string>> = {
  file: 'file',
  unreadable: 'file',
  symlink: 'link to nowhere',
  special: 'socket, pipe or device',
};

/** What stands there, in a word or a few. */
export function kindOf(entry: { readonly kind: InTheWay; readonly link?: true }): string {
  if (entry.link === true) return 'link whose target is not UTF-8, which SFTP cannot keep';
  return KINDS[entry.kind];
}

/** Says that something else stands where a directory must be. */
export function notADirectory(name: string, entry: Parameters<typeof kindOf>[0]): string {
  return `${name} is a ${kindOf(entry)}, not a directory; move it away`;
}

/** A path as a person writes it: `~/.ssh`, `/etc/ssh/keys`. */
export function named(path: RemotePath): string {
  return path.startsWith('/') ? printablePath(path) : `~/${printablePath(path)}`;
}
