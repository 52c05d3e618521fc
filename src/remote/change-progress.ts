import type { Outcome } from '../core/event.ts';
import { commandText, type Change, type LoginShellChange } from '../core/plan.ts';
import { printablePath } from '../core/printable.ts';
import { problemOf, type Problem } from '../core/problem.ts';
import { RUNS } from '../core/records.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Applying } from './account.ts';
import { ALREADY, NO_START, STALE } from './change-script.ts';
import type { Listener } from './conversation.ts';
import { readHolder } from './lock.ts';
import { Chsh } from './login-shell.ts';

/** Follows a change script: turns what it says into outcomes, and answers chsh. */
export class ChangeProgress {
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
    if (unsent?.code === 'write-failed') return failure(unsent.path, unsent.said);
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
