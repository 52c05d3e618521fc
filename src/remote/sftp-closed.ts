import { RUNS, type Barred } from '../core/records.ts';
import { parentOf, remotePath, type RemotePath } from '../core/remote-path.ts';
import { TYPE } from './probe-entries.ts';
import { pooled } from './side-by-side.ts';
import type { Attributes, SftpRequests } from './sftp-requests.ts';

const HOME = remotePath('.');

/** Who asks, as far as that is known. */
export interface Who {
  readonly user: string;
  readonly uid: number | undefined;
  readonly readOnly: boolean;
}

/** The folders that this user cannot write in, by what their modes say; where that is not certain, trying will tell. */
export async function readUnwritable(
  sftp: SftpRequests,
  paths: readonly RemotePath[],
  who: Who,
): Promise<ReadonlySet<RemotePath>> {
  const folders = [...new Set(paths.map((path) => parentOf(path) ?? HOME))];
  const attributes = await pooled(folders, (path) => sftp.stat(path));
  return new Set(folders.filter((_, index) => isClosed(attributes[index], who)));
}

function isClosed(folder: Attributes | undefined, { user, uid, readOnly }: Who): boolean {
  if (folder === undefined || (folder.mode & TYPE.mask) !== TYPE.directory) return false;
  if (readOnly) return true;
  if (uid === 0) return false;
  if (uid === undefined) return user !== 'root' && folder.uid === 0 && (folder.mode & 0o022) === 0;
  return folder.uid === uid ? (folder.mode & 0o200) === 0 : (folder.mode & 0o022) === 0;
}

/** Where runs are kept, and the folders above it, up to the home directory. */
const ABOVE_RUNS: readonly RemotePath[] = [
  RUNS,
  ...['.local/state', '.local', '.'].map((name) => remotePath(name)),
];

/** What keeps prep from making the folder in which it keeps what it replaces; one that is there is its own. */
export async function readBarred(sftp: SftpRequests, who: Who): Promise<Barred | undefined> {
  const found = await pooled(ABOVE_RUNS, async (path) => {
    const [link, attributes] = await Promise.all([sftp.lstat(path), sftp.stat(path)]);
    return link === undefined ? [] : [{ path, attributes }];
  });
  const [lowest] = found.flat();
  if (lowest === undefined) return undefined;
  const { path, attributes } = lowest;
  if (attributes === undefined || (attributes.mode & TYPE.mask) !== TYPE.directory)
    return { path, because: 'is not a directory' };
  if (path === RUNS || !isClosed(attributes, who)) return undefined;
  return { path, because: 'may not be written' };
}
