import { spawn } from 'node:child_process';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { socketFolders } from './private-folder.ts';

/** What the folder of a master that `prep open` holds is called, before six random characters. */
export const OPEN_FOLDER = 'prep-open-';

/** What `prep open` writes beside its master, for `prep open --list`. */
export interface About {
  /** `alice@web1`. */
  readonly label: string;
  readonly socket: string;
}

/** A control master that is alive. */
export interface Master {
  /** Whose it is; undefined where ssh or somebody else opened it. */
  readonly label?: string;
  readonly socket: string;
  readonly pid: number;
}

/** How long a master may take to answer, in milliseconds. */
const PATIENCE = 5000;

/**
 * The masters that are alive: those of `prep open`, and those whose sockets lie where ssh_config puts them,
 * of which `example` is one.
 */
export async function liveMasters(example: string | undefined): Promise<readonly Master[]> {
  const own = ownMasters();
  const known = new Set(own.map(({ socket }) => socket));
  const others = socketsBeside(example).filter((socket) => !known.has(socket));
  const candidates = [...own, ...others.map((socket): Partial<About> => ({ socket }))];
  const found = await Promise.all(
    candidates.map(async ({ label, socket }) => {
      const pid = await masterPid(socket!);
      return pid === undefined
        ? []
        : [{ socket: socket!, pid, ...(label !== undefined && { label }) }];
    }),
  );
  return found.flat();
}

/** Ends a master with all that goes over it. */
export async function endMaster(socket: string): Promise<boolean> {
  return (await control(socket, 'exit')).status === 0;
}

/** The process that answers on a socket; undefined where none does. */
async function masterPid(socket: string): Promise<number | undefined> {
  const { status, said } = await control(socket, 'check');
  const [, pid] = /pid=(\d+)/.exec(said) ?? [];
  return status === 0 && pid !== undefined ? Number(pid) : undefined;
}

function control(
  socket: string,
  command: 'check' | 'exit',
): Promise<{ status: number | null; said: string }> {
  const args = ['-F', 'none', '-S', socket.replaceAll('%', '%%'), '-O', command, '--', 'prep'];
  const child = spawn('ssh', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: PATIENCE });
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString('utf8')));
  return new Promise((resolve) => {
    child
      .on('close', (status) => resolve({ status, said }))
      .on('error', () => resolve({ status: null, said }));
  });
}

function ownMasters(): readonly About[] {
  return socketFolders().flatMap((base) =>
    namesIn(base)
      .filter((name) => name.startsWith(OPEN_FOLDER) && isPrivate(join(base, name)))
      .flatMap((name) => aboutIn(join(base, name))),
  );
}

function aboutIn(folder: string): About[] {
  try {
    const about = JSON.parse(readFileSync(join(folder, 'about'), 'utf8')) as Partial<About>;
    const { label, socket } = about;
    return typeof label === 'string' && typeof socket === 'string' ? [{ label, socket }] : [];
  } catch {
    return [];
  }
}

/** Only in a folder of the user's own that nobody else writes to: what lies elsewhere is not to be talked to. */
function socketsBeside(example: string | undefined): readonly string[] {
  if (example === undefined || !isPrivate(dirname(example))) return [];
  const folder = dirname(example);
  return namesIn(folder)
    .map((name) => join(folder, name))
    .filter((path) => lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false);
}

function isPrivate(folder: string): boolean {
  const found = lstatSync(folder, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) return false;
  return found.uid === userInfo().uid && (found.mode & 0o077) === 0;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
