import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cannotWrite } from '../core/system-error.ts';

/** How long the path of a unix socket may be, in bytes: 104 on BSD and macOS with its NUL; and ssh binds to one that is 17 longer first (mux.c). */
const LONGEST = 104 - 1 - 17;

/** A folder that nobody else may look into (0700), for sockets. It goes when prep ends, if not before. */
export class PrivateFolder {
  readonly path: string;

  /** @throws PrepError `cannot-write` where there is no place for it */
  constructor(name = 'prep-') {
    this.path = made(name);
    process.on('exit', this.remove);
  }

  /** The path of a file in it. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** Removes it with all that is in it. */
  readonly remove = (): void => {
    process.off('exit', this.remove);
    rmSync(this.path, { recursive: true, force: true });
  };
}

/** The folders that may be had for this: the user's own one for sockets first. */
export function socketFolders(): readonly string[] {
  const own = process.env['XDG_RUNTIME_DIR'] ?? '';
  return [...new Set([...(own.startsWith('/') ? [own] : []), tmpdir(), '/tmp'])];
}

/**
 * The path where a master may put its socket: not too long, in a folder that is there, and free; a socket that
 * nobody listens on any more is removed. Undefined where it may not.
 */
export async function freeSocket(path: string | undefined): Promise<string | undefined> {
  if (path === undefined || Buffer.byteLength(path) > LONGEST) return undefined;
  if (lstatSync(dirname(path), { throwIfNoEntry: false }) === undefined) return undefined;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return path;
  if (!found.isSocket() || !(await isDeserted(path))) return undefined;
  rmSync(path, { force: true });
  return path;
}

function isDeserted(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const wire = connect(socket, () => {
      wire.destroy();
      resolve(false);
    });
    wire.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

function made(name: string): string {
  let trouble: unknown;
  for (const base of socketFolders()) {
    if (Buffer.byteLength(join(base, `${name}123456`, 'master')) > LONGEST) continue;
    try {
      return mkdtempSync(join(base, name));
    } catch (error) {
      trouble = error;
    }
  }
  throw cannotWrite(socketFolders()[0]!, 'folder', trouble ?? 'every path is too long');
}
