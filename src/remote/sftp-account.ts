import type { Outcome } from '../core/event.ts';
import type { Facts, Reading } from '../core/facts.ts';
import type { Change, EntryChange } from '../core/plan.ts';
import { problemOf, type Problem } from '../core/problem.ts';
import { RUNS } from '../core/records.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Session, Sftp } from '../ssh/session.ts';
import type { Account, Applied, Applying } from './account.ts';
import type { Evidence } from './evidence.ts';
import { LOCK, type Holder } from './lock.ts';
import type { Probe } from './probe-script.ts';
import { makeOverSftp } from './sftp-change.ts';
import { explained } from './sftp-errors.ts';
import { probeOverSftp } from './sftp-probe.ts';
import { SftpLock, type Pause } from './sftp-lock.ts';
import { SftpRequests } from './sftp-requests.ts';
import { SftpRun } from './sftp-run.ts';
import { inOrder } from './side-by-side.ts';

/** What to do while another run is at work. */
export interface Waiting {
  /** Told once, of the other run. */
  readonly onWaiting?: ((holder: Holder) => void) | undefined;
  readonly pause?: Pause;
}

/** An account that runs no commands: everything goes over SFTP, many requests at a time. */
export class SftpAccount implements Account {
  readonly #session: Session;
  readonly #sftp: SftpRequests;
  readonly #user: string;
  /** One for all its runs: what was seen while waiting counts when the lock is taken. */
  readonly #lock: SftpLock;

  private constructor(session: Session, sftp: SftpRequests, user: string, pause?: Pause) {
    this.#session = session;
    this.#sftp = sftp;
    this.#user = user;
    this.#lock = new SftpLock(sftp, pause);
  }

  /**
   * Reads the account over SFTP that is open already; where another run is at work, waits for it and reads again.
   * @throws PrepError `busy`, `connection-lost`
   */
  static async open(
    session: Session,
    sftp: Pick<Sftp, 'raw'>,
    probe: Probe,
    { onWaiting, pause }: Waiting = {},
  ): Promise<{ account: SftpAccount; facts: Facts }> {
    const requests = new SftpRequests(sftp);
    const account = new SftpAccount(session, requests, probe.user ?? '', pause);
    const reading = account.probe(probe.readings);
    // What is being changed may not even be readable.
    reading.catch(() => undefined);
    const locked = (await requests.lstat(LOCK)) !== undefined;
    if (!locked) return { account, facts: await reading };
    await account.#lock.quiet(onWaiting);
    const [facts, lock] = await Promise.all([account.probe(probe.readings), requests.lstat(LOCK)]);
    return { account, facts: { ...facts, ...(lock && { brokenOff: true }) } };
  }

  probe(readings: readonly Reading[]): Promise<Facts> {
    return probeOverSftp(this.#sftp, this.#user, readings);
  }

  async apply(changes: readonly Change[], applying: Applying): Promise<Applied> {
    const outcomes = await this.#make(changes, applying);
    if (outcomes.some(({ result }) => result === 'unknown')) return { outcomes };
    const facts = await this.probe(applying.readings).catch(() => undefined);
    return { outcomes, ...(facts && { facts }) };
  }

  /** Nothing more than the probe reads already can be seen. */
  evidence(): Promise<Evidence> {
    return Promise.resolve({ settings: new Map(), unread: '', context: '' });
  }

  close(): void {
    this.#session.close();
  }

  async #make(changes: readonly Change[], applying: Applying): Promise<readonly Outcome[]> {
    const told = new Outcomes(changes, applying);
    let run: SftpRun;
    try {
      run = await SftpRun.begin(this.#sftp, this.#lock, applying.run, changes);
    } catch (error) {
      const { problem } = await explained(this.#sftp, `~/${RUNS}` as RemotePath, error);
      return told.failing(problem);
    }
    await inOrder(changes, async (change, index) => {
      if (change.what === 'login-shell') {
        const because = 'SFTP alone cannot change a login shell';
        return told.settle(index, { code: 'not-tried', because });
      }
      if (change.what === 'command') {
        const because = 'SFTP alone cannot run a command';
        return told.settle(index, { code: 'not-tried', because });
      }
      const number = index + 1;
      const making = { number, step: applying.stepOf(change), change };
      const onSent = progressOf(change, applying);
      await makeOverSftp(this.#sftp, run, { ...making, ...(onSent && { onSent }) }).then(
        () => told.settle(index, undefined),
        (error: unknown) => told.settle(index, problemOf(error)),
      );
    });
    await run.leave().catch(() => undefined);
    return told.all();
  }
}

/** Only files that are read from the disk here are large enough for a progress bar. */
function progressOf(
  { path, after }: EntryChange,
  { onProgress }: Applying,
): ((sent: number) => void) | undefined {
  if (after.kind !== 'file' || after.content.localFile === undefined) return undefined;
  const { size } = after.content;
  return (sent) => onProgress?.(path, sent, size);
}

/** What came of the changes so far. */
class Outcomes {
  readonly #changes: readonly Change[];
  readonly #applying: Applying;
  readonly #problems = new Map<number, Problem | undefined>();
  readonly #outcomes: Outcome[] = [];

  constructor(changes: readonly Change[], applying: Applying) {
    this.#changes = changes;
    this.#applying = applying;
  }

  /** Writes down the outcome of one change; one cut off by the connection waits until all are known. */
  settle(index: number, problem: Problem | undefined): void {
    this.#problems.set(index, problem);
    if (problem?.code === 'connection-lost') return;
    const change = this.#changes[index]!;
    this.#tell(
      index,
      problem === undefined
        ? { change, result: 'done' }
        : { change, result: problem.code === 'stale' ? 'stale' : 'failed', problem },
    );
  }

  /** None of the changes could be made, all for the same reason. */
  failing(problem: Problem): readonly Outcome[] {
    this.#changes.forEach((_, index) => this.settle(index, problem));
    return this.all();
  }

  /** One outcome for each change, in order. */
  all(): readonly Outcome[] {
    const certain = this.#outcomes.filter((outcome) => outcome?.result === 'done').length;
    const lost = [...this.#problems].filter(([, problem]) => problem?.code === 'connection-lost');
    for (const [index] of lost) {
      const problem = { code: 'connection-lost', certain, uncertain: lost.length } as const;
      this.#tell(index, { change: this.#changes[index]!, result: 'unknown', problem });
    }
    return this.#outcomes;
  }

  #tell(index: number, outcome: Outcome): void {
    this.#outcomes[index] = outcome;
    this.#applying.onOutcome?.(outcome);
  }
}
