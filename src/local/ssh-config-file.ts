import { randomBytes } from 'node:crypto';
import {
  lstat,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ABSENT, contentOf, type Entry } from '../core/facts.ts';
import { PrepError } from '../core/problem.ts';
import type { ConfigText } from '../core/ssh-config-text.ts';
import { cannotRead, cannotWrite, hasCode } from '../core/system-error.ts';
import { expandTilde } from './files.ts';

/** An ssh_config file of the user's own as it was read. */
export interface ConfigFile {
  /** Absolute, as people know it. */
  readonly name: string;
  /** Where its bytes are: `name`, or what it links to. */
  readonly path: string;
  /** Undefined where there is no file. */
  readonly text: ConfigText | undefined;
  /** Permission bits; 0o600 for a file that is yet to be made. */
  readonly mode: number;
}

/** More links than this lead nowhere (ELOOP). */
const LINKS = 40;

/**
 * The file to edit: the one named with `-F`, else ~/.ssh/config. Symbolic links are followed, so that the link stays one.
 * @throws PrepError `cannot-read`, and `usage` for `-F none`
 */
export async function readConfigFile(home: string, named?: string): Promise<ConfigFile> {
  if (named === 'none') {
    throw new PrepError({ code: 'usage', text: '-F none leaves no ssh_config file to write to' });
  }
  const name = path.resolve(
    named === undefined ? path.join(home, '.ssh', 'config') : expandTilde(named, home),
  );
  try {
    const target = await followed(name);
    const file = await open(target, 'r').catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    });
    if (file === undefined) return { name, path: target, text: undefined, mode: 0o600 };
    try {
      const found = await file.stat();
      if (!found.isFile()) throw new Error('not a file');
      const text = (await file.readFile()).toString('latin1');
      return { name, path: target, text, mode: found.mode & 0o7777 };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw cannotRead(name, 'ssh_config file', error);
  }
}

async function followed(name: string): Promise<string> {
  let at = name;
  for (let links = 0; links < LINKS; links++) {
    const target = await readlink(at).catch(() => undefined);
    if (target === undefined) return at;
    at = path.resolve(await realpath(path.dirname(at)), target);
  }
  throw new Error('too many symbolic links');
}

/** What stands there, or will with another text, as a plan knows it. */
export function configEntry(file: ConfigFile, text = file.text): Entry {
  if (text === undefined) return ABSENT;
  return { kind: 'file', mode: file.mode, content: contentOf(Buffer.from(text, 'latin1')) };
}

/**
 * Writes the file anew, or removes it (`undefined`), whole or not at all. Its mode and owner stay; its folder is
 * made (0700) where that is ~/.ssh.
 * @throws PrepError `stale` where the file is not as it was read any more, `cannot-write`
 */
export async function writeConfigFile(
  file: ConfigFile,
  text: ConfigText | undefined,
  home: string,
): Promise<void> {
  const folder = path.dirname(file.path);
  try {
    if (folder === path.join(home, '.ssh')) await mkdir(folder, { recursive: true, mode: 0o700 });
    if (text === undefined) {
      await refuseIfChanged(file);
      return await rm(file.path);
    }
    const beside = path.join(folder, `.prep-${randomBytes(8).toString('hex')}`);
    try {
      await writeBeside(file, beside, text);
      await refuseIfChanged(file);
      await rename(beside, file.path);
    } finally {
      await rm(beside, { force: true });
    }
  } catch (error) {
    if (error instanceof PrepError) throw error;
    throw cannotWrite(file.name, 'ssh_config file', error);
  }
}

async function writeBeside(file: ConfigFile, beside: string, text: ConfigText): Promise<void> {
  const handle = await open(beside, 'wx', 0o600);
  try {
    await handle.writeFile(text, 'latin1');
    const old = await lstat(file.path).catch(() => undefined);
    const made = await handle.stat();
    if (old !== undefined && (old.uid !== made.uid || old.gid !== made.gid)) {
      await handle.chown(old.uid, old.gid);
    }
    await handle.chmod(file.mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function refuseIfChanged({ name, path, text }: ConfigFile): Promise<void> {
  const now = await readFile(path, 'latin1').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (now === text) return;
  const found = now === undefined ? 'gone' : '';
  throw new PrepError({ code: 'stale', path: name, found });
}

/** Lends out a text as a file of its own, so that ssh can be asked about it before it is written where it belongs. */
export async function asTemporaryFile<T>(
  text: ConfigText,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'prep-config-'));
  try {
    const file = path.join(folder, 'config');
    await writeFile(file, text, { encoding: 'latin1', mode: 0o600 });
    return await use(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
