import { parentOf, type RemotePath } from '../core/remote-path.ts';
import { journalOf, runFolder } from './journal.ts';
import { RUNS } from './probe.ts';
import type { SftpRequests } from './sftp-requests.ts';

/** The journal of a run, written over SFTP as a shell would write it: so either undoes what the other did. */
export class SftpJournal {
  readonly #sftp: SftpRequests;
  readonly #run: string;
  readonly #handle: Buffer;
  #end: number;
  #written = false;

  private constructor(sftp: SftpRequests, run: string, handle: Buffer, end: number) {
    this.#sftp = sftp;
    this.#run = run;
    this.#handle = handle;
    this.#end = end;
  }

  /** Makes the run's folder, and opens its journal. @throws whatever the server says */
  static async open(sftp: SftpRequests, run: string): Promise<SftpJournal> {
    await makeFolders(sftp, RUNS);
    await sftp.set(RUNS, { mode: 0o700 });
    await makeFolders(sftp, runFolder(run));
    const journal = journalOf(run);
    const handle = await sftp.open(journal, 'a');
    return new SftpJournal(sftp, run, handle, (await sftp.lstat(journal))?.size ?? 0);
  }

  /** Writes one line, and waits until it is there; on a line of its own even after one that was cut off. */
  async note(line: string): Promise<void> {
    const bytes = Buffer.from(`\n${line}\n`, 'latin1');
    const at = this.#end;
    this.#end += bytes.length;
    await this.#sftp.write(this.#handle, bytes, at);
    this.#written = true;
  }

  /** Closes it. A run that changed nothing leaves nothing. */
  async close(): Promise<void> {
    await this.#sftp.close(this.#handle);
    if (this.#written || this.#end > 0) return;
    await this.#sftp.unlink(journalOf(this.#run));
    await this.#sftp.rmdir(runFolder(this.#run)).catch(() => undefined);
  }
}

/** Makes a folder and those above it, where they are missing, for this user alone. */
async function makeFolders(sftp: SftpRequests, path: RemotePath): Promise<void> {
  const attributes = await sftp.stat(path);
  if (attributes !== undefined) return;
  const above = parentOf(path);
  if (above !== undefined) await makeFolders(sftp, above);
  await sftp.mkdir(path, 0o700);
}
