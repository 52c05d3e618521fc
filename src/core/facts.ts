import { cksum } from './cksum.ts';
import type { Barred } from './records.ts';
import { parentOf, type RemotePath } from './remote-path.ts';

/** What a file holds. Contents are compared by size and checksum; the bytes are there only where someone needs them. */
export interface Content {
  /** In bytes. */
  readonly size: number;
  /** As POSIX cksum(1) computes it; absent where it was not needed and would have cost reading the whole file over SFTP. */
  readonly checksum?: number;
  /** The bytes, where they are small enough or were asked for. */
  readonly bytes?: Uint8Array;
  /** A copy on the server (undo puts it back without sending it twice over the wire). */
  readonly keptAt?: RemotePath;
  /** The file on this machine that holds the bytes, where it is too large to keep in memory. */
  readonly localFile?: string;
}

/** What stands at a path. Modes are permission bits (0o000 to 0o7777), times are whole seconds since 1970. */
export type Entry =
  | { readonly kind: 'absent' }
  | {
      readonly kind: 'directory';
      readonly mode: number;
      readonly owner?: number;
      /** What is in it, where the reading asked for a list. */
      readonly names?: readonly string[];
    }
  | {
      readonly kind: 'file';
      readonly mode: number;
      /** Absent in a prediction where the server's clock will set it, or where the server cannot tell. */
      readonly mtime?: number;
      readonly owner?: number;
      /** Device and inode, so that two names of one file can be recognised. */
      readonly inode?: string;
      readonly content: Content;
    }
  | { readonly kind: 'symlink'; readonly target: RemotePath }
  /** A file that this user may not read; or whatever is `within` a folder that may not be entered, if anything is. */
  | {
      readonly kind: 'unreadable';
      readonly mode: number;
      readonly owner?: number;
      readonly within?: RemotePath;
    }
  /** Socket, device, pipe; or a `link` whose target SFTP cannot tell, for its bytes are not UTF-8: never replaced. */
  | { readonly kind: 'special'; readonly link?: true };

/**
 * Where the passwd entry was read from. `elsewhere`: getent knows it from a directory service, and the only chsh
 * there is changes /etc/passwd; `environment`: it could not be read and `$SHELL` was believed; `unknown`: nothing
 * tells it (SFTP).
 */
export type PasswdSource = 'getent' | 'elsewhere' | 'passwd' | 'dscl' | 'environment' | 'unknown';

/** The account itself. */
export interface AccountFacts {
  readonly user: string;
  /** Undefined where nothing tells it (SFTP in a chroot). */
  readonly uid: number | undefined;
  /** Absolute. */
  readonly home: RemotePath;
  /** Empty where it is unknown. */
  readonly loginShell: string;
  readonly passwd: PasswdSource;
  /** What the account lets in: a shell, or file transfer alone. Over SFTP tools, groups and /etc/shells are not known. */
  readonly access: 'shell' | 'sftp';
  /** Whether the home directory's group is the user's own, with no other member (Debian's sshd then allows group write). */
  readonly ownGroup: boolean;
}

/** The machine that the account is on. */
export interface SystemFacts {
  /** `uname -s`. */
  readonly os: string;
  /** The lines of /etc/shells, in order, and whether each can be executed. */
  readonly shells: readonly { readonly path: string; readonly executable: boolean }[];
  /** Where the wanted shell is: on the search path, else among the user's own programs; empty where it is not. */
  readonly found: string;
  /** Those of the programs prep may use that are there. */
  readonly tools: ReadonlySet<string>;
  /** Whether `sudo -n` works without a password. Tried only where it would be needed. */
  readonly sudo: boolean;
}

/** Everything that one probe learned of an account; immutable. */
export interface Facts {
  readonly account: AccountFacts;
  readonly system: SystemFacts;
  /** The file in which the server looks for this account's keys; `.ssh/authorized_keys` unless something readable says otherwise. */
  readonly keysFile: RemotePath;
  readonly entries: ReadonlyMap<RemotePath, Entry>;
  /** For each path that is a symbolic link and was read with `follow`: where it leads, relative to the home directory if inside. */
  readonly real: ReadonlyMap<RemotePath, RemotePath>;
  /** Folders that this user may not write, among those that something was to be read in. */
  readonly unwritable: ReadonlySet<RemotePath>;
  /** Private keys lying in ~/.ssh; only their modes are in `entries`, never their bytes. */
  readonly privateKeys: readonly RemotePath[];
  /** Runs that changed something, oldest first, by their folder's name. */
  readonly runs: readonly string[];
  /** What keeps prep from keeping what it replaces; then nothing can be changed. */
  readonly barred?: Barred;
  /** A run that did not come to its end may have left its lock or temporary files. */
  readonly brokenOff?: true;
}

/** A wish to know what stands at a path. */
export interface Reading {
  readonly path: RemotePath;
  /** Read the bytes back, however many (`all`), or only up to `INLINE_LIMIT` (`some`); else size and checksum do. */
  readonly bytes?: 'all' | 'some';
  /**
   * Bytes are not needed when the content is this one already. Over SFTP, a file larger than `INLINE_LIMIT` of the
   * same size, mode and time is taken for the same (as rsync does); any other of the same size is read for its checksum.
   */
  readonly unless?: {
    readonly size: number;
    readonly checksum?: number;
    readonly mode?: number;
    readonly mtime?: number;
  };
  /** Where it is a symbolic link, read what it leads to as well. */
  readonly follow?: boolean;
  /** Where it is a directory, list it. */
  readonly list?: boolean;
}

/** Contents up to this many bytes travel inside the script that writes them and are shown as diffs; larger ones are not. */
export const INLINE_LIMIT = 256 * 1024;

/** Nothing stands there. */
export const ABSENT: Entry = { kind: 'absent' };

/** A content known by its bytes. */
export function contentOf(bytes: Uint8Array): Content & { readonly checksum: number } {
  return { size: bytes.length, checksum: cksum(bytes), bytes };
}

/** Whether two contents are the same, as far as size and checksum tell. */
export function sameContent(a: Content, b: Content): boolean {
  return a.size === b.size && a.checksum === b.checksum;
}

/** Whether two entries are the same: kind, mode, content or target, and modification time where both know it. */
export function same(a: Entry, b: Entry): boolean {
  if (a.kind === 'directory' && b.kind === 'directory') return a.mode === b.mode;
  if (a.kind === 'unreadable' && b.kind === 'unreadable') return a.mode === b.mode;
  if (a.kind === 'symlink' && b.kind === 'symlink') return a.target === b.target;
  if (a.kind === 'file' && b.kind === 'file') {
    return (
      a.mode === b.mode &&
      sameContent(a.content, b.content) &&
      (a.mtime === undefined || b.mtime === undefined || a.mtime === b.mtime)
    );
  }
  return a.kind === b.kind;
}

/** What stands at a path; a path that was not read counts as absent. */
export function entryAt(facts: Facts, path: RemotePath): Entry {
  return facts.entries.get(path) ?? ABSENT;
}

/**
 * The same facts, with what nobody can know: nothing is to be seen in a folder that its owner may not enter (`chmod -R
 * 600 ~/.ssh`), which does not mean that nothing is there. Root enters any.
 */
export function withHidden(facts: Facts): Facts {
  if (facts.account.uid === 0) return facts;
  const entries = new Map(facts.entries);
  for (const [path, { kind }] of entries) {
    const within = parentOf(path);
    if (kind !== 'absent' || within === undefined) continue;
    const folder = entryAt(facts, realPath(facts, within));
    if (folder.kind === 'directory' && (folder.mode & 0o100) === 0)
      entries.set(path, { kind: 'unreadable', mode: 0, within });
  }
  return { ...facts, entries };
}

/** The path to write for `path`: where it leads if it is a symbolic link that was followed, else itself. */
export function realPath(facts: Facts, path: RemotePath): RemotePath {
  return facts.real.get(path) ?? path;
}
