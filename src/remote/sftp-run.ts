import type { Change } from '../core/plan.ts';
import { PrepError } from '../core/problem.ts';
import { RUNS } from '../core/records.ts';
import { joinPath, parentOf, type RemotePath } from '../core/remote-path.ts';
import { besideOf, journalOf, ownerOf, runFolder, sentTo } from './journal.ts';
import { besideLines } from './lock.ts';
import { explained, orNothing } from './sftp-errors.ts';
import type { SftpLock } from './sftp-lock.ts';
import type { SftpRequests } from './sftp-requests.ts';
import { deadRuns, sweep, type DeadRun } from './sftp-sweep.ts';

/** For this user alone, whatever umask the server has. */
const PRIVATE = { mode: 0o700 };

/** How often a run shows that it is alive, in milliseconds; see `SftpLock`. */
const BEAT = 1000;

/**
 * One run over SFTP, from the lock that it takes to the lock that it gives back: its folder, and the journal in it,
 * written as a shell would write it, so that either undoes and clears away what the other did.
 */
export class SftpRun {
  readonly name: string;
  readonly #sftp: SftpRequests;
  readonly #lock: SftpLock;
  #journal: Buffer | undefined;
  #end = 0;
  #noted = false;
  #time = 0;
  #beating: NodeJS.Timeout | undefined;

  private constructor(sftp: SftpRequests, name: string, lock: SftpLock) {
    this.#sftp = sftp;
    this.name = name;
    this.#lock = lock;
  }

  /**
   * Takes the lock, makes the run's folder, takes over from runs that broke off what they had sent of the same
   * contents, and clears away the rest that they left. @throws PrepError `busy`, `connection-lost`; Error of the server
   */
  static async begin(
    sftp: SftpRequests,
    lock: SftpLock,
    name: string,
    changes: readonly Change[],
  ): Promise<SftpRun> {
    const run = new SftpRun(sftp, name, lock);
    await Promise.all([makeFolders(sftp, RUNS), lock.own()]);
    await Promise.all([sftp.set(RUNS, PRIVATE), sftp.learnLinks(RUNS)]);
    await lock.hold(name);
    try {
      await run.#open(changes);
      return run;
    } catch (error) {
      // What is about to be cleared away may be what fills the disk.
      const reason = await explained(sftp, `~/${RUNS}` as RemotePath, error);
      await run.leave().catch(() => undefined);
      throw reason;
    }
  }

  /** Writes one line, and waits until it is there; on a line of its own even after one that was cut off. */
  async note(line: string): Promise<void> {
    const bytes = Buffer.from(`\n${line}\n`, 'latin1');
    const at = this.#end;
    this.#end += bytes.length;
    await this.#sftp.write(this.#journal!, bytes, at);
    this.#noted = true;
  }

  /** Ends it. A run that changed nothing leaves nothing. */
  async leave(): Promise<void> {
    clearInterval(this.#beating);
    const { name } = this;
    const remove = (path: RemotePath): Promise<void> => this.#sftp.unlink(path).catch(orNothing);
    await Promise.all([
      this.#journal && this.#sftp.close(this.#journal).catch(orNothing),
      remove(besideOf(name)),
      remove(ownerOf(name)),
    ]);
    if (!this.#noted) {
      const names = await this.#sftp.list(runFolder(name));
      await sweep(this.#sftp, { name, names, beside: [] }, 'own');
    }
    await this.#lock.release();
  }

  async #open(changes: readonly Change[]): Promise<void> {
    await this.#makeFolder();
    const [dead] = await Promise.all([
      deadRuns(this.#sftp, this.#lock, this.name),
      this.#openJournal(),
      this.#noteBeside(changes),
    ]);
    this.#beating = setInterval(() => this.#beat(), BEAT).unref();
    await this.#adopt(dead, changes);
    await Promise.all(dead.map((run) => sweep(this.#sftp, run, 'dead')));
  }

  /** The folder and its owner are asked for in one breath, so that no folder is left of which nobody knows whose it is. */
  async #makeFolder(): Promise<void> {
    const [folder, owner] = [runFolder(this.name), ownerOf(this.name)];
    const asked = [
      this.#sftp.mkdir(folder, 0o700),
      this.#sftp.set(folder, PRIVATE),
      this.#lock.sign(owner),
    ];
    const [made, , signed] = await Promise.allSettled(asked);
    if (made!.status === 'rejected' && (await this.#sftp.stat(folder)) === undefined)
      throw made!.reason;
    // Not every server does things in the order in which they are asked for.
    if (signed!.status === 'rejected') {
      await this.#sftp.set(folder, PRIVATE);
      await this.#lock.sign(owner);
    }
  }

  async #openJournal(): Promise<void> {
    const path = journalOf(this.name);
    this.#journal = await this.#sftp.open(path, 'a');
    await this.#sftp.setOpen(this.#journal, { mode: 0o600 });
    const { size = 0, mtime = 0 } = (await this.#sftp.lstat(path)) ?? {};
    [this.#end, this.#time, this.#noted] = [size, mtime, size > 0];
  }

  /** The folders in which temporary files will be, for whoever clears them away. */
  async #noteBeside(changes: readonly Change[]): Promise<void> {
    const paths = changes.flatMap((change) => (change.what === 'entry' ? [change.path] : []));
    const text = besideLines(paths).map((line) => `${line}\n`);
    const handle = await this.#sftp.open(besideOf(this.name), 'wx');
    await Promise.all([
      this.#sftp.setOpen(handle, { mode: 0o600 }),
      this.#sftp.write(handle, Buffer.from(text.join(''), 'latin1'), 0),
    ]);
    await this.#sftp.close(handle);
  }

  /** What a run that broke off has sent already of the same contents is this one's to go on with. */
  async #adopt(dead: readonly DeadRun[], changes: readonly Change[]): Promise<void> {
    for (const [index, change] of changes.entries()) {
      if (change.what !== 'entry' || change.after.kind !== 'file') continue;
      const { content } = change.after;
      const to = sentTo(this.name, index + 1, content);
      const end = to.slice(to.lastIndexOf('-', to.lastIndexOf('-') - 1));
      const found = dead.flatMap(({ name, names }) =>
        names
          .filter((one) => one.startsWith('sent-') && one.endsWith(end))
          .map((one) => joinPath(runFolder(name), one)),
      )[0];
      if (content.localFile === undefined || found === undefined) continue;
      await this.#sftp.move(found, to).catch(orNothing);
    }
  }

  #beat(): void {
    this.#time += 1;
    const time = { atime: this.#time, mtime: this.#time };
    void this.#sftp.setOpen(this.#journal!, time).catch(() => undefined);
  }
}

/** Makes a folder and those above it, where they are missing, for this user alone; another run may be doing the same. */
async function makeFolders(sftp: SftpRequests, path: RemotePath): Promise<void> {
  const missing = async (): Promise<boolean> => (await sftp.stat(path)) === undefined;
  if (!(await missing())) return;
  const above = parentOf(path);
  if (above !== undefined) await makeFolders(sftp, above);
  await sftp.mkdir(path, 0o700).catch(async (error: unknown) => {
    if (error instanceof PrepError || (await missing())) throw error;
  });
  await sftp.set(path, PRIVATE);
}
