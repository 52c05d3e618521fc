import type { RemotePath } from '../core/remote-path.ts';
import type { Identity } from './lock.ts';
import { orNothing } from './sftp-errors.ts';
import type { SftpRequests } from './sftp-requests.ts';

/** More than any of the files below holds. */
const ENOUGH = 4096;

const UNKNOWN = '-';

/**
 * The identity of this connection's own SFTP server process, as a shell would tell it (see `IDENTITY` in lock.ts):
 * Linux shows it in /proc, where that is to be seen. Elsewhere, and in a chroot, all of it is unknown.
 */
export async function ownIdentity(sftp: SftpRequests): Promise<Identity> {
  const read = (path: string): Promise<string | undefined> => firstLine(sftp, path);
  const [stat, namespace, boot, host, machine, attributes] = await Promise.all([
    read('/proc/self/stat'),
    sftp.readlink('/proc/self/ns/pid' as RemotePath).catch(orNothing),
    read('/proc/sys/kernel/random/boot_id'),
    read('/proc/sys/kernel/hostname'),
    read('/etc/machine-id'),
    sftp.lstat('/proc/self/stat' as RemotePath).catch(orNothing),
  ]);
  const [process] = stat?.split(' ') ?? [];
  const known = process !== undefined && boot !== undefined && host !== undefined;
  return {
    process: process ?? UNKNOWN,
    birth: birthIn(stat) ?? UNKNOWN,
    // ProFTPD has the link's folder before it.
    namespace: namespace?.replace(/^.*\//, '') ?? UNKNOWN,
    boot: boot ?? UNKNOWN,
    machine: known ? `${host.replaceAll(' ', '')}/${machine ?? ''}` : UNKNOWN,
    time: attributes === undefined ? UNKNOWN : timeWord(attributes.mtime),
  };
}

/**
 * Whether a process of this machine has ended (if only its parent has not asked how), or another has its number by
 * now; undefined where that cannot be seen: /proc may hide the processes of others (`hidepid`), and then that of the first one, too.
 */
export async function isOver(
  sftp: SftpRequests,
  { process, birth }: Identity,
): Promise<boolean | undefined> {
  const [stat, first] = await Promise.all([
    firstLine(sftp, `/proc/${process}/stat`),
    firstLine(sftp, '/proc/1/stat'),
  ]);
  if (stat === undefined && first === undefined) return undefined;
  return birthIn(stat) !== birth || fieldsOf(stat)[0] === 'Z';
}

/** Whole seconds since 1970 as `date -u +%Y%m%dT%H%M%SZ` has them. */
export function timeWord(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/[-:]|\.\d+/g, '');
}

/** When a process began, in clock ticks since boot (proc(5), field 22 of stat). */
function birthIn(stat: string | undefined): string | undefined {
  return fieldsOf(stat)[19];
}

/** The fields of stat from the third on, the state; the second may hold anything. */
function fieldsOf(stat: string | undefined): readonly string[] {
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
}

/** The files of /proc have no size that could be asked for. */
async function firstLine(sftp: SftpRequests, path: string): Promise<string | undefined> {
  const bytes = await sftp.beginning(path as RemotePath, ENOUGH).catch(orNothing);
  return bytes && Buffer.from(bytes).toString('latin1').split('\n')[0]!.trim();
}
