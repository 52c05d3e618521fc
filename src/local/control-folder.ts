import { chmod, lstat, mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { PrepError } from '../core/problem.ts';

/** Where control sockets go. */
export interface ControlFolder {
  /** Absolute. */
  readonly folder: string;
  /** As ControlPath has it: `~/.ssh/control/%C`. */
  readonly controlPath: string;
  /** Why it is not the usual one, in words. */
  readonly because?: string;
}

/** The bytes of sun_path in the smallest of today's systems (macOS, the BSDs), its final NUL included. */
const SUN_PATH = 104;

/** What ssh appends while it sets a socket up: a dot and 16 characters (muxserver_listen in OpenSSH's mux.c). */
const SUFFIX = 17;

/** `%C` is a SHA-1 in hexadecimal digits. */
const HASH = 40;

/**
 * Chooses the directory for control sockets: ~/.ssh/control, which is still there after a restart (ssh gives up
 * where the directory is missing); where its path is too long, $XDG_RUNTIME_DIR if that is private.
 * @throws PrepError `no-socket-folder`
 */
export async function chooseControlFolder(
  home: string,
  runtimeDir: string | undefined,
): Promise<ControlFolder> {
  const usual = path.join(home, '.ssh', 'control');
  const short = home === userInfo().homedir ? '~/.ssh/control' : escaped(usual);
  if (fits(`${usual}/`)) return { folder: usual, controlPath: `${short}/%C` };
  if (
    runtimeDir !== undefined &&
    fits(`${runtimeDir}/ssh-`) &&
    (await trouble(runtimeDir)) === ''
  ) {
    const because = `the path of ${usual} is too long for a socket, so sockets go to ${runtimeDir}`;
    return { folder: runtimeDir, controlPath: `${escaped(runtimeDir)}/ssh-%C`, because };
  }
  throw new PrepError({ code: 'no-socket-folder', folder: usual });
}

/** Whether a private directory is still to be made of it. @throws PrepError `not-private` where it cannot be one */
export async function mustBeMade(folder: string): Promise<boolean> {
  const found = await trouble(folder);
  if (found === 'absent' || found === 'open') return true;
  if (found === '') return false;
  throw new PrepError({ code: 'not-private', folder, found });
}

/** Makes a directory that only its owner may enter, or makes it so. @throws PrepError `not-private` */
export async function makePrivate(folder: string): Promise<void> {
  if (!(await mustBeMade(folder))) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  await mustBeMade(folder);
}

/** Empty for a directory of this user's own that nobody else may enter; `absent`, `open`, or else what it is. */
async function trouble(folder: string): Promise<string> {
  const found = await lstat(folder).catch(() => undefined);
  if (found === undefined) return 'absent';
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (!found.isDirectory()) return 'a file';
  const uid = process.getuid?.();
  if (uid !== undefined && found.uid !== uid) return `owned by user ${found.uid}`;
  return (found.mode & 0o777) === 0o700 ? '' : 'open';
}

function fits(before: string): boolean {
  // A variable or a line break in the path would not be taken as it stands.
  const plain = !/\$\{|[\r\n]/.test(before);
  return plain && Buffer.byteLength(before) + HASH + SUFFIX < SUN_PATH;
}

/** ssh expands percent signs. */
function escaped(folder: string): string {
  return folder.replaceAll('%', '%%');
}
