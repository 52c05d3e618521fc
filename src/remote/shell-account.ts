import { sameContent, type Content, type Facts, type Reading } from '../core/facts.ts';
import type { Change } from '../core/plan.ts';
import { PrepError, type Problem } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Session } from '../ssh/session.ts';
import type { Account, Applied, Applying } from './account.ts';
import type { Answer } from './answer.ts';
import { ChangeProgress } from './change-progress.ts';
import { changeScript, inline, type Known } from './change-script.ts';
import { Conversation } from './conversation.ts';
import { prepareOpening, type Opening } from './opening.ts';
import { changeOnTerminal } from './login-shell.ts';
import { evidenceScript, readEvidence, type Evidence } from './evidence.ts';
import { sentTo } from './journal.ts';
import { readHolder, sendingScript, waitingScript, type Holder } from './lock.ts';
import { probeScript, type Probe } from './probe-script.ts';
import { readFacts } from './probe.ts';
import { DEFAULT_KEYS_FILE, keysFileReadings, wantsKeys } from './sshd-config.ts';
import { sendFiles, type Sending } from './transfer.ts';

/** The opening of an account's conversation: its first words are the probe. */
export function prepareProbe(probe: Probe): Opening {
  return prepareOpening(probeScript(probe));
}

/** An account that has a shell: everything small rides one conversation with it. */
export class ShellAccount implements Account {
  readonly #session: Session;
  readonly #conversation: Conversation;
  readonly #probe: Probe;
  #known: Known = { keysFile: DEFAULT_KEYS_FILE, cksum: false };

  private constructor(session: Session, conversation: Conversation, probe: Probe) {
    this.#session = session;
    this.#conversation = conversation;
    this.#probe = probe;
  }

  /**
   * Opens the account and reads its facts, in one exchange; where another run is at work, waits for it and reads again.
   * @throws PrepError `no-shell`, `home-missing`, `busy`
   */
  static async open(
    session: Session,
    probe: Probe,
    opening: Opening = prepareProbe(probe),
    onWaiting?: (holder: Holder) => void,
  ): Promise<{ account: ShellAccount; facts: Facts }> {
    const { conversation, answer } = await Conversation.open(session, opening);
    const account = new ShellAccount(session, conversation, probe);
    const locked = answer.has('locked');
    if (locked) await account.#quiet(onWaiting);
    const facts = locked ? await account.probe(probe.readings) : readFacts(answer, probe.readings);
    const { keysFile, system } = facts;
    account.#known = { keysFile, cksum: system.tools.has('cksum') };
    if (account.#withKeys(probe.readings) === probe.readings) return { account, facts };
    return { account, facts: await account.probe(probe.readings) };
  }

  /** @throws PrepError `busy` */
  async #quiet(onWaiting?: (holder: Holder) => void): Promise<void> {
    let told = false;
    const answer = await this.#conversation.run(waitingScript, ({ kind, words, whole }) => {
      if (kind !== 'waiting' || !whole || told) return;
      told = true;
      onWaiting?.(readHolder(words));
    });
    if (!answer.has('busy')) return;
    throw new PrepError({ code: 'busy', ...readHolder(answer.word('busy')) });
  }

  async probe(readings: readonly Reading[]): Promise<Facts> {
    return readFacts(await this.#conversation.run(this.#probeScript(readings)), readings);
  }

  async apply(changes: readonly Change[], applying: Applying): Promise<Applied> {
    const progress = new ChangeProgress(changes, applying);
    try {
      progress.unsent = await this.#send(changes, applying);
      const script = `${changeScript(changes, applying, this.#known)}\n${this.#probeScript(applying.readings)}`;
      const answer = await this.#conversation.run(script, progress.listener);
      if (progress.refusal !== undefined) return { outcomes: progress.outcomes() };
      await this.#onTerminal(changes, applying, progress);
      return {
        outcomes: progress.outcomes(),
        facts: await this.#facts(answer, applying, progress),
      };
    } catch (error) {
      return { outcomes: progress.broken(error) };
    }
  }

  /** What can be seen of why sshd refuses a key. @throws PrepError */
  async evidence(): Promise<Evidence> {
    return readEvidence(await this.#conversation.run(evidenceScript));
  }

  close(): void {
    this.#conversation.close();
    this.#session.close();
  }

  #probeScript(readings: readonly Reading[]): string {
    const { cksum } = this.#known;
    return probeScript({ ...this.#probe, readings: this.#withKeys(readings), cksum });
  }

  /** Where the server looks for keys elsewhere, that is read as well. */
  #withKeys(readings: readonly Reading[]): readonly Reading[] {
    const { keysFile } = this.#known;
    if (keysFile === DEFAULT_KEYS_FILE || !wantsKeys(readings)) return readings;
    return [...readings, ...keysFileReadings(keysFile)];
  }

  /** Where chsh was asked on a terminal after all, what the script read is out of date. */
  async #facts(answer: Answer, applying: Applying, progress: ChangeProgress): Promise<Facts> {
    if (progress.chsh?.needsTerminal === true) return this.probe(applying.readings);
    return readFacts(answer, applying.readings);
  }

  async #onTerminal(
    changes: readonly Change[],
    applying: Applying,
    progress: ChangeProgress,
  ): Promise<void> {
    if (progress.chsh?.needsTerminal !== true) return;
    const change = changes.find((one) => one.what === 'login-shell');
    if (change === undefined) return;
    const problem = await changeOnTerminal(this.#session, change, applying.password);
    progress.settle(changes.indexOf(change) + 1, problem);
  }

  /** Contents that do not travel in the script go ahead of it, into the run's folder. Gives what kept some from it. */
  async #send(
    changes: readonly Change[],
    { run, onProgress, made = 0 }: Applying,
  ): Promise<ReadonlyMap<RemotePath, Problem>> {
    const files: Sending[] = [];
    for (const [index, change] of changes.entries()) {
      if (change.what !== 'entry' || change.after.kind !== 'file') continue;
      const { before, path } = change;
      const { content } = change.after;
      // Mode or time alone.
      if (before.kind === 'file' && sameContent(before.content, content)) continue;
      if (content.keptAt !== undefined) continue;
      if (content.bytes !== undefined && inline(content.bytes)) continue;
      const number = made + index + 1;
      files.push({ number, path, content, to: sentTo(run, number, content) });
    }
    if (files.length === 0) return new Map();
    const answer = await this.#conversation.run(sendingScript(run, files));
    const there = new Map(answer.all('have').map(({ name }) => readHave(name)));
    const rest = files.map((file) => ({ ...file, there: there.get(file.number) }));
    return sendFiles(this.#session, this.#conversation, rest, onProgress);
  }
}

/** What is there already of a content that an interrupted run was sending. */
function readHave(words: string): [number: number, there: Content] {
  const [number = 0, checksum = 0, size = 0] = words.split(' ').map(Number);
  return [number, { checksum, size }];
}
