import { RUNS } from '../core/records.ts';
import { joinPath, type RemotePath } from '../core/remote-path.ts';
import { besideOf, journalOf, ownerOf, runFolder } from './journal.ts';
import { readBeside, readIdentity } from './lock.ts';
import { readAll } from './sftp-contents.ts';
import { orNothing } from './sftp-errors.ts';
import type { SftpLock } from './sftp-lock.ts';
import type { SftpRequests } from './sftp-requests.ts';
import { pooled } from './side-by-side.ts';

/** A run that is at work no more, and what it left. */
export interface DeadRun {
  readonly name: string;
  /** What is in its folder. */
  readonly names: readonly RemotePath[];
  /** The beginnings of paths (`./folder/`) in which it had temporary files. */
  readonly beside: readonly string[];
}

/**
 * The runs that did not come to their end, but for one's own. To be called with the lock in hand: a run over SFTP is
 * at work only while it has that, a shell's may be sending ahead.
 */
export async function deadRuns(
  sftp: SftpRequests,
  lock: SftpLock,
  own: string,
): Promise<readonly DeadRun[]> {
  const runs = (await sftp.list(RUNS)).filter((name) => name !== own);
  const found = await pooled(runs, async (name): Promise<readonly DeadRun[]> => {
    const owner = ownerOf(name);
    if ((await sftp.lstat(owner)) === undefined) return [];
    const text = (await lock.read(owner)) ?? '';
    const dead = readIdentity(text)?.run !== undefined || (await lock.isGone(text, owner));
    if (!dead) return [];
    const [names, beside] = await Promise.all([
      sftp.list(runFolder(name)),
      sftp.stat(besideOf(name)).then((it) => it && readAll(sftp, besideOf(name), it.size)),
    ]);
    return [{ name, names, beside: readBeside(beside?.toString('latin1') ?? '') }];
  });
  return found.flat();
}

/**
 * Removes what a run left that is of use to nobody; the journal and what it kept stay, if it changed anything. Of a dead
 * run without a journal, what it kept goes only where it has its name still: a power cut may have cost the journal its
 * lines.
 */
export async function sweep(
  sftp: SftpRequests,
  { name, names, beside }: DeadRun,
  whose: 'own' | 'dead',
): Promise<void> {
  const folder = runFolder(name);
  const remove = (path: RemotePath): Promise<void> => sftp.unlink(path).catch(orNothing);
  await pooled(beside, async (start) => {
    const mine = (await sftp.list(`${start}.` as RemotePath)).filter((one) =>
      one.startsWith(`.prep-${name}-`),
    );
    await pooled(mine, (one) => remove(`${start}${one}` as RemotePath));
  });
  const changed = ((await sftp.lstat(journalOf(name)))?.size ?? 0) > 0;
  const unsure = !changed && whose === 'dead' && names.some(isCopy);
  const links = unsure ? await sftp.linkCounts(folder) : undefined;
  const isUseless = (copy: RemotePath): boolean =>
    links === undefined || (links.get(copy) ?? 1) > 1;
  const useless = names.filter(
    (one) =>
      /^(sent-.*|start|beside)$/.test(one) ||
      (!changed && (one === 'journal' || (isCopy(one) && isUseless(one)))),
  );
  await pooled(useless, (one) => remove(joinPath(folder, one)));
  await remove(ownerOf(name));
  if (!changed) await sftp.rmdir(folder).catch(orNothing);
}

/** Whether that is the name of a copy; see `keptAt`. */
function isCopy(name: string): boolean {
  return /^\d/.test(name);
}
