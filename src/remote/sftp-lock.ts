import { setTimeout as sleep } from 'node:timers/promises';
import { PrepError } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import { journalOf } from './journal.ts';
import {
  LOCK,
  identityText,
  readHolder,
  readIdentity,
  ROUNDS,
  type Holder,
  type Identity,
} from './lock.ts';
import { isDenied, isUnsupported, orNothing } from './sftp-errors.ts';
import { isOver, ownIdentity, timeWord } from './sftp-identity.ts';
import type { SftpRequests } from './sftp-requests.ts';

/** After how many looks without a sign of life a run over SFTP counts as gone, where nothing else tells. */
const SILENCE = 30;

/** How old the lock of a shell elsewhere must be, in seconds, by the server's clock; as in lock.ts. */
const AGE = 3600;

/** How often making a lock is tried that fails though nothing is there: between two looks another may come and go. */
const TRIES = 3;

/** What was last seen of a link, and how often in a row. */
interface Watched {
  readonly mark: string;
  readonly looks: number;
}

/** How long to wait from one look to the next; a second. */
export type Pause = () => Promise<unknown>;

/**
 * The lock of an account (see lock.ts), taken and judged over SFTP: the same links, removed by the same rule, so runs
 * over a shell and over SFTP keep out of each other's way.
 *
 * A run over SFTP names its server process, where that is to be seen, and itself: it sets the time of its journal once
 * a second, and one whose journal stands still for `SILENCE` seconds is over, as its line is. Those seconds are
 * counted by looks; no clock is asked.
 */
export class SftpLock {
  readonly #sftp: SftpRequests;
  readonly #pause: Pause;
  readonly #watched = new Map<RemotePath, Watched>();
  #own: Promise<Identity> | undefined;
  #run = '';

  constructor(sftp: SftpRequests, pause: Pause = () => sleep(1000)) {
    this.#sftp = sftp;
    this.#pause = pause;
  }

  /** Waits for another run to end, without a trace. @throws PrepError `busy`, `connection-lost` */
  async quiet(onWaiting?: (holder: Holder) => void): Promise<void> {
    for (let round = 0; ; round++) {
      await this.#look();
      const text = await this.read(LOCK);
      if (text === undefined || (await this.isGone(text, LOCK))) return;
      if (round === 0) onWaiting?.(await this.#holder(text));
      if (round === ROUNDS) throw await this.#busy(text);
      await this.#pause();
    }
  }

  /** Takes the lock for a run, once another has ended. @throws PrepError `busy`, `connection-lost`; Error of the server */
  async hold(run: string): Promise<void> {
    this.#run = run;
    if (await this.#make(LOCK)) return;
    for (let round = 0; ; round++) {
      await this.#look();
      if (await this.#take(LOCK)) return;
      if (round === ROUNDS) throw await this.#busy((await this.read(LOCK)) ?? '');
      await this.#pause();
    }
  }

  /** Gives it back, if it is this run's. */
  async release(): Promise<void> {
    if ((await this.read(LOCK)) === (await this.#text())) await this.#sftp.unlink(LOCK);
  }

  /** Who is at work here. */
  own(): Promise<Identity> {
    return (this.#own ??= ownIdentity(this.#sftp));
  }

  /** What this run leaves in its links. */
  async #text(): Promise<string> {
    return identityText({ ...(await this.own()), run: this.#run });
  }

  /** Whether whoever left a link is surely no more. */
  async isGone(text: string, link: RemotePath): Promise<boolean> {
    const identity = readIdentity(text);
    if (identity === undefined) return text === '' && this.#isSilent(link);
    const own = await this.own();
    if (own.machine === identity.machine && own.process !== '-') {
      if (own.boot !== identity.boot) return true;
      const over =
        own.namespace === identity.namespace ? await isOver(this.#sftp, identity) : undefined;
      if (over === true) return true;
      if (over === false && identity.run === undefined) return false;
    }
    return identity.run === undefined ? this.#isOld(link) : this.#isSilent(link);
  }

  /** As `take` in lock.ts. */
  async #take(link: RemotePath): Promise<boolean> {
    if (await this.#make(link)) return true;
    const text = await this.read(link);
    if (text === undefined || !(await this.isGone(text, link))) return false;
    if (link.endsWith('xxx')) return false;
    const guard = guardOf(link);
    if (!(await this.#take(guard))) return false;
    if ((await this.read(link)) === text) await this.#sftp.unlink(link).catch(orNothing);
    const made = await this.#make(link);
    await this.#sftp.unlink(guard);
    return made;
  }

  /** Makes a link, unless one is there. @throws Error of the server where none can be made */
  async #make(link: RemotePath): Promise<boolean> {
    for (let left = TRIES; ; left--) {
      try {
        await this.sign(link);
        return true;
      } catch (error) {
        if (error instanceof PrepError) throw error;
        if ((await this.#sftp.lstat(link)) !== undefined) return false;
        if (left === 1) throw error;
      }
    }
  }

  /**
   * Makes a link that says whose it is. A server without symbolic links gets a file: that is new or not, in one
   * request, though empty for a moment. @throws Error of the server, also where one is there
   */
  async sign(link: RemotePath): Promise<void> {
    const text = await this.#text();
    try {
      await this.#sftp.symlink(text as RemotePath, link);
    } catch (error) {
      if (!isDenied(error) && !isUnsupported(error)) throw error;
      const handle = await this.#sftp.open(link, 'wx');
      await this.#sftp.write(handle, Buffer.from(text, 'latin1'), 0);
      await this.#sftp.close(handle);
    }
  }

  /** What a link says; undefined where there is none. */
  async read(link: RemotePath): Promise<string | undefined> {
    const target = await this.#sftp.readlink(link).catch(orNothing);
    // ProFTPD takes a target for a path, and has the link's folder before it.
    const folder = link.slice(0, link.lastIndexOf('/') + 1);
    if (target !== undefined)
      return target.startsWith(folder) ? target.slice(folder.length) : target;
    const bytes = await this.#sftp.beginning(link, 4096).catch(orNothing);
    return bytes && Buffer.from(bytes).toString('latin1');
  }

  /** Looks at each link there may be, once a round. */
  async #look(): Promise<void> {
    const links = [LOCK, guardOf(LOCK), guardOf(guardOf(LOCK))];
    await Promise.all(
      links.map(async (link) => {
        const text = await this.read(link);
        if (text === undefined) return this.#watched.delete(link);
        const run = readIdentity(text)?.run;
        const journal = run === undefined ? undefined : await this.#sftp.lstat(journalOf(run));
        const mark = `${text} ${journal?.mtime} ${journal?.size}`;
        const last = this.#watched.get(link);
        return this.#watched.set(link, { mark, looks: last?.mark === mark ? last.looks + 1 : 0 });
      }),
    );
  }

  #isSilent(link: RemotePath): boolean {
    return (this.#watched.get(link)?.looks ?? 0) >= SILENCE;
  }

  /** The server tells the time only in what it makes; /proc is made anew for each process. */
  async #isOld(link: RemotePath): Promise<boolean> {
    const [now, then] = await Promise.all([
      this.#sftp.lstat('/proc/self/stat' as RemotePath).catch(orNothing),
      this.#sftp.lstat(link),
    ]);
    return now !== undefined && then !== undefined && now.mtime - then.mtime > AGE;
  }

  async #holder(text: string): Promise<Holder> {
    const holder = readHolder(text);
    const made = (await this.#sftp.lstat(LOCK))?.mtime;
    if (holder.since !== '' || made === undefined) return holder;
    return { ...holder, since: readHolder(`- - - - - ${timeWord(made)}`).since };
  }

  async #busy(text: string): Promise<PrepError> {
    return new PrepError({ code: 'busy', ...(await this.#holder(text)) });
  }
}

function guardOf(link: RemotePath): RemotePath {
  return `${link}x` as RemotePath;
}
