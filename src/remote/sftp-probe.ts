import {
  ABSENT,
  contentOf,
  INLINE_LIMIT,
  withHidden,
  type Content,
  type Entry,
  type Facts,
  type Reading,
  type SystemFacts,
} from '../core/facts.ts';
import { PrepError } from '../core/problem.ts';
import { RUNS } from '../core/records.ts';
import { joinPath, remotePath, type RemotePath } from '../core/remote-path.ts';
import { journalOf, runsInOrder } from './journal.ts';
import { TYPE } from './probe-entries.ts';
import { readBarred, readUnwritable } from './sftp-closed.ts';
import { measure, readAll } from './sftp-contents.ts';
import { isDenied, isWhole, orNothing, UnsendableName } from './sftp-errors.ts';
import type { Attributes, SftpRequests } from './sftp-requests.ts';
import { pooled } from './side-by-side.ts';
import {
  DEFAULT_KEYS_FILE,
  DROP_INS,
  keysFileOf,
  keysFileReadings,
  SSHD_CONFIG,
  wantsKeys,
} from './sshd-config.ts';

const HOME = remotePath('.');
const SSH_DIR = remotePath('.ssh');

const UNKNOWN_ACCOUNT = {
  loginShell: '',
  passwd: 'unknown',
  access: 'sftp',
  ownGroup: false,
} as const;

const UNKNOWN_SYSTEM: SystemFacts = {
  os: '',
  shells: [],
  found: '',
  tools: new Set(),
  sudo: false,
};

/**
 * Reads an account over SFTP, with whatever can be asked at once under way at once. The passwd entry,
 * groups, tools and /etc/shells are beyond it, and said to be unknown.
 * @throws PrepError `home-missing`, `stale`, `connection-lost`
 */
export async function probeOverSftp(
  sftp: SftpRequests,
  user: string,
  readings: readonly Reading[],
): Promise<Facts> {
  const [home, called, runs, keys, config, found, fileSystem] = await Promise.all([
    sftp.realpath(HOME),
    sftp.ownerCalled(user, HOME),
    readRuns(sftp),
    readPrivateKeys(sftp),
    wantsKeys(readings) ? readConfig(sftp) : new Map<string, string>(),
    readEntries(sftp, readings),
    sftp.fileSystem(HOME),
  ]);
  const uid = user === 'root' ? 0 : called;
  const visitor = { user, groups: [], connection: [] };
  const sshdConfig = { files: config, main: SSHD_CONFIG, visitor };
  const keysFile = keysFileOf(sshdConfig, { user, home, uid }) ?? DEFAULT_KEYS_FILE;
  if (keysFile !== DEFAULT_KEYS_FILE) {
    found.push(...(await readEntries(sftp, keysFileReadings(keysFile))));
  }
  const { entries, real } = standing(found, home);
  for (const [path, entry] of keys) if (!entries.has(path)) entries.set(path, entry);
  const who = { user, uid, readOnly: fileSystem?.readOnly === true };
  const [unwritable, barred] = await Promise.all([
    readUnwritable(sftp, [...entries.keys()], who),
    readBarred(sftp, who),
  ]);
  return withHidden({
    account: { user, uid, home, ...UNKNOWN_ACCOUNT },
    system: UNKNOWN_SYSTEM,
    keysFile,
    entries,
    real,
    unwritable,
    ...(barred && { barred }),
    privateKeys: keys.map(([path]) => path),
    runs,
  });
}

/** What was found, by path from the home directory where it is inside. */
function standing(
  found: readonly Found[],
  home: RemotePath,
): { entries: Map<RemotePath, Entry>; real: Map<RemotePath, RemotePath> } {
  const relative = relativeTo(home);
  const entries = new Map<RemotePath, Entry>();
  const real = new Map<RemotePath, RemotePath>();
  for (const { path, entry, leads } of found) {
    entries.set(path, entry);
    if (leads === undefined) continue;
    real.set(path, relative(leads.path));
    entries.set(relative(leads.path), leads.entry);
  }
  return { entries, real };
}

interface Found {
  readonly path: RemotePath;
  readonly entry: Entry;
  readonly leads?: { readonly path: RemotePath; readonly entry: Entry };
}

function readEntries(sftp: SftpRequests, readings: readonly Reading[]): Promise<Found[]> {
  return pooled(readings, async (reading) => {
    const entry = await readEntry(sftp, reading);
    if (entry.kind !== 'symlink' || reading.follow !== true) return { path: reading.path, entry };
    const path = await sftp.realpath(reading.path).catch(orNothing);
    if (path === undefined || !isWhole(path)) return { path: reading.path, entry };
    return {
      path: reading.path,
      entry,
      leads: { path, entry: await readEntry(sftp, { ...reading, path }) },
    };
  });
}

/** What stands at a path. */
export async function readEntry(sftp: SftpRequests, reading: Reading): Promise<Entry> {
  const { path } = reading;
  const attributes = await sftp.lstat(path);
  if (attributes === undefined) return ABSENT;
  const { uid: owner, mtime } = attributes;
  const mode = attributes.mode & 0o7777;
  switch (attributes.mode & TYPE.mask) {
    case TYPE.directory: {
      const names = reading.list === true ? await sftp.list(path) : undefined;
      return { kind: 'directory', mode, owner, ...(names && { names }) };
    }
    case TYPE.symlink: {
      const target = await sftp.readlink(path);
      return isWhole(target) ? { kind: 'symlink', target } : { kind: 'special', link: true };
    }
    case TYPE.regular: {
      const content = await readContent(sftp, reading, attributes).catch((error: unknown) => {
        if (isDenied(error)) return undefined;
        throw error;
      });
      if (content === undefined) return { kind: 'unreadable', mode, owner };
      return { kind: 'file', mode, owner, mtime, content };
    }
    default:
      return { kind: 'special' };
  }
}

/** Contents are read back where somebody wants to see them, or where only they can tell whether they are the wanted ones. */
async function readContent(
  sftp: SftpRequests,
  { path, bytes, unless }: Reading,
  { size, mtime, mode }: Attributes,
): Promise<Content> {
  if (bytes === undefined) return { size };
  if (bytes === 'some' && size > INLINE_LIMIT) {
    if (unless !== undefined && unless.size !== size) return { size };
    const untouched = unless?.mtime === mtime && unless.mode === (mode & 0o7777);
    if (untouched && unless.checksum !== undefined) return { size, checksum: unless.checksum };
    return checked(await measure(sftp, path, size), path, size);
  }
  const content = checked(contentOf(await readAll(sftp, path, size)), path, size);
  const known = unless?.size === size && unless.checksum === content.checksum;
  return known ? { size, checksum: content.checksum } : content;
}

function checked<T extends Content>(content: T, path: RemotePath, size: number): T {
  if (content.size === size) return content;
  throw new PrepError({ code: 'stale', path, found: '' });
}

async function readRuns(sftp: SftpRequests): Promise<readonly string[]> {
  const names = await sftp.list(RUNS);
  const journals = await pooled(names, (name) => sftp.lstat(journalOf(name)));
  return runsInOrder(names.filter((_, index) => journals[index] !== undefined));
}

/** Private keys in ~/.ssh, told by their first line; nothing else of them is read. */
async function readPrivateKeys(sftp: SftpRequests): Promise<(readonly [RemotePath, Entry])[]> {
  const paths = (await sftp.list(SSH_DIR)).map((name) => joinPath(SSH_DIR, name));
  const found = await pooled(paths, async (path) => {
    const entry = await readEntry(sftp, { path }).catch((error: unknown) => {
      if (error instanceof UnsendableName) return ABSENT;
      throw error;
    });
    if (entry.kind !== 'file' || !(await isPrivateKey(sftp, path, entry.content.size))) return [];
    return [[path, entry] as const];
  });
  return found.flat();
}

async function isPrivateKey(sftp: SftpRequests, path: RemotePath, size: number): Promise<boolean> {
  const start = await readAll(sftp, path, Math.min(size, 64)).catch(orNothing);
  return start?.toString('latin1').split('\n')[0]?.includes('PRIVATE KEY') ?? false;
}

/** sshd's configuration, as far as it may be read and is not the chroot's own. */
async function readConfig(sftp: SftpRequests): Promise<ReadonlyMap<string, string>> {
  const names = (await sftp.list(DROP_INS)).filter((name) => name.endsWith('.conf'));
  const paths = [SSHD_CONFIG, ...names.map((name) => joinPath(DROP_INS, name))];
  const texts = await pooled(paths, async (path) => {
    const size = (await sftp.stat(path))?.size ?? 0;
    const bytes =
      size > INLINE_LIMIT ? undefined : await readAll(sftp, path, size).catch(orNothing);
    return [path, bytes?.toString('latin1') ?? ''] as const;
  });
  return new Map<string, string>(texts);
}

function relativeTo(home: RemotePath): (path: RemotePath) => RemotePath {
  const inside = home === '/' ? '/' : `${home}/`;
  return (path) => (path.startsWith(inside) ? path.slice(inside.length) : path) as RemotePath;
}
