import type { Outcome } from '../core/event.ts';
import { sameContent, type Content, type Facts, type Reading } from '../core/facts.ts';
import { commandText, type Change, type LoginShellChange } from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { PrepError, problemOf, type Problem } from '../core/problem.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Session } from '../ssh/session.ts';
import type { Account, Applied, Applying } from './account.ts';
import type { Answer } from './answer.ts';
import { ALREADY, changeScript, inline, NO_START, STALE, type Known } from './change-script.ts';
import { Conversation, prepareOpening, type Listener, type Opening } from './conversation.ts';
import { changeOnTerminal, Chsh } from './login-shell.ts';
import { evidenceScript, readEvidence, type Evidence } from './evidence.ts';
import { sentTo } from './journal.ts';
import { readHolder, sendingScript, waitingScript, type Holder } from './lock.ts';
import { probeScript, readFacts, RUNS, type Probe } from './probe.ts';
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
    const progress = new Progress(changes, applying);
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
  async #facts(answer: Answer, applying: Applying, progress: Progress): Promise<Facts> {
    if (progress.chsh?.needsTerminal === true) return this.probe(applying.readings);
    return readFacts(answer, applying.readings);
  }

  async #onTerminal(
    changes: readonly Change[],
    applying: Applying,
    progress: Progress,
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

/** Follows a change script: turns what it says into outcomes, and answers chsh. */
class Progress {
  readonly #changes: readonly Change[];
  readonly #applying: Applying;
  readonly #known: (Outcome | undefined)[];
  /** Why nothing at all was changed: the run's folder could not be made, or another run is at work. */
  refusal: Problem | undefined;
  chsh: Chsh | undefined;
  /** Whether chsh's password went ahead of its question. */
  #handedOver = false;
  #readAway = false;
  /** Why the content of a change did not get there, by its path. */
  unsent: ReadonlyMap<RemotePath, Problem> = new Map();

  constructor(changes: readonly Change[], applying: Applying) {
    this.#changes = changes;
    this.#applying = applying;
    this.#known = changes.map(() => undefined);
  }

  readonly listener: Listener = ({ kind, words, text, whole, reply }) => {
    const [counted = 0, status = 1] = words.split(' ').map(Number);
    const number = counted - (this.#applying.made ?? 0);
    if (kind === 'password' && !this.#handedOver) {
      this.#handedOver = true;
      reply(this.#applying.password?.reveal() ?? '');
    }
    if (kind === 'asking') {
      this.chsh ??= new Chsh(
        this.#changes[number - 1] as LoginShellChange,
        this.#applying.password,
      );
      this.chsh.hear(text, this.#handedOver ? () => undefined : reply);
    }
    if (kind === 'unread' && !this.#readAway) {
      this.#readAway = true;
      reply(words);
    }
    if (kind === 'result' && whole) this.#result(number, status, text);
    if (kind === 'refused' && whole) this.refusal = failure(`~/${RUNS}`, text);
    if (kind === 'busy' && whole) this.refusal = { code: 'busy', ...readHolder(words) };
  };

  #result(number: number, status: number, said: string): void {
    const change = this.#changes[number - 1];
    if (change?.what === 'login-shell' && status !== 0) {
      this.chsh?.fail();
      if (this.chsh?.needsTerminal === true) return;
    }
    this.settle(number, this.#problem(number, status, said));
  }

  /** One outcome for each change, once the script has ended. */
  outcomes(): readonly Outcome[] {
    const { refusal } = this;
    return this.#changes.map((change, index) => {
      const known = this.#known[index];
      if (known !== undefined) return known;
      if (refusal !== undefined) return this.#tell({ change, result: 'failed', problem: refusal });
      const cause = 'the server did not say what came of a change';
      return this.#tell({ change, result: 'unknown', problem: { code: 'unexpected', cause } });
    });
  }

  /** What is known when the connection broke. */
  broken(error: unknown): readonly Outcome[] {
    const certain = this.#known.filter((outcome) => outcome?.result === 'done').length;
    const uncertain = this.#known.filter((outcome) => outcome === undefined).length;
    const cause = problemOf(error);
    const problem = cause.code === 'connection-lost' ? { ...cause, certain, uncertain } : cause;
    return this.#changes.map(
      (change, index) => this.#known[index] ?? this.#tell({ change, result: 'unknown', problem }),
    );
  }

  /** Writes down the outcome of one change, counted from 1. */
  settle(number: number, problem: Problem | undefined): void {
    const change = this.#changes[number - 1];
    if (change === undefined) return;
    this.#known[number - 1] = this.#tell(
      problem === undefined
        ? { change, result: 'done' }
        : { change, result: problem.code === 'stale' ? 'stale' : 'failed', problem },
    );
  }

  #problem(number: number, status: number, said: string): Problem | undefined {
    const change = this.#changes[number - 1];
    if (status === 0 || change === undefined) return undefined;
    if (change.what === 'command') {
      const command = commandText(change);
      return { code: 'command-failed', command, status, said: lastLine(said) };
    }
    if (status === ALREADY) return undefined;
    if (status === NO_START) {
      const shell = change.what === 'entry' ? (change.starts ?? '') : change.after;
      return { code: 'shell-does-not-start', shell, said };
    }
    if (change.what === 'login-shell') return this.chsh?.problem() ?? failure(pathOf(change), said);
    const unsent = change.what === 'entry' ? this.unsent.get(change.path) : undefined;
    if (unsent !== undefined) return unsent;
    if (status === STALE) return { code: 'stale', path: pathOf(change), found: said };
    return failure(pathOf(change), said);
  }

  #tell(outcome: Outcome): Outcome {
    this.#applying.onOutcome?.(outcome);
    return outcome;
  }
}

function pathOf(change: Change): string {
  return change.what === 'entry' ? printablePath(change.path) : 'the login shell';
}

/** What a tool said, in the C locale, when it could not write. */
function failure(path: string, text: string): Problem {
  const said = lastLine(text);
  if (/No space left|quota exceeded/i.test(text)) return { code: 'disk-full', path, said };
  if (/Permission denied|Read-only|not permitted/i.test(text))
    return { code: 'not-writable', path, said };
  return { code: 'write-failed', path, said };
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? '';
}
