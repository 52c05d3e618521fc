import type { Writable } from 'node:stream';
import { printable, printableLines } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import type { Choice, HostKeyQuestion, Prompter } from '../core/prompter.ts';
import { Secret } from '../core/secret.ts';
import type { Keyboard } from './keyboard.ts';

type Inquirer = typeof import('inquirer').default;

/** What differs between the kinds of questions. */
type Kind =
  | { readonly type: 'password'; readonly mask: '*'; readonly toggleMask: false }
  | { readonly type: 'input' }
  | { readonly type: 'confirm'; readonly default: boolean }
  | { readonly type: 'select'; readonly choices: readonly { name: string; value: unknown }[] };

const HIDDEN: Kind = { type: 'password', mask: '*', toggleMask: false };

/** Asks the person at the terminal, with inquirer; one question at a time, drawn on `screen`. */
export class InquirerPrompter implements Prompter {
  readonly #keyboard: Keyboard;
  readonly #screen: Writable;
  #inquirer: Promise<Inquirer> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(keyboard: Keyboard, screen: Writable) {
    this.#keyboard = keyboard;
    this.#screen = screen;
  }

  /** Loads inquirer; else the first question does. */
  expectQuestion(): void {
    this.#inquirer ??= import('inquirer').then((module) => module.default);
  }

  password(message: string, signal?: AbortSignal): Promise<Secret> {
    return this.#inTurn(() => this.#secret(this.#lastLineOf(message), HIDDEN, signal));
  }

  newPassword(message: string, options: { readonly mayBeEmpty?: boolean } = {}): Promise<Secret> {
    return this.#inTurn(async () => {
      for (;;) {
        const first = await this.#ask<string>(message, HIDDEN);
        if (first === '' && options.mayBeEmpty !== true) {
          this.#say('It must not be empty.');
          continue;
        }
        const second = await this.#ask<string>(`${withoutEnd(message)}, once more:`, HIDDEN);
        if (first === second) return new Secret(first);
        this.#say('The two differ; once again, please.');
      }
    });
  }

  confirm(message: string, { preset }: { readonly preset: boolean }): Promise<boolean> {
    return this.#inTurn(() => this.#ask<boolean>(message, { type: 'confirm', default: preset }));
  }

  hostKey({ host, keyType, fingerprint }: HostKeyQuestion): Promise<boolean> {
    return this.#inTurn(() => {
      this.#say(`The host key of ${printable(host)} is not known here:`);
      this.#say(`  ${printable(keyType)} ${printable(fingerprint)}`);
      return this.#ask<boolean>('Trust this host and remember its key?', {
        type: 'confirm',
        default: false,
      });
    });
  }

  answer(message: string, echo: boolean, signal?: AbortSignal): Promise<Secret> {
    return this.#inTurn(() => {
      signal?.throwIfAborted();
      return this.#secret(this.#lastLineOf(message), echo ? { type: 'input' } : HIDDEN, signal);
    });
  }

  /** The question itself, once the words before it were said. */
  #lastLineOf(message: string): string {
    const lines = printableLines(message.trimEnd()).split('\n');
    const question = lines.pop() ?? '';
    for (const line of lines) this.#say(line);
    return question;
  }

  choose<T>({ message, choices }: Choice<T>): Promise<T> {
    const shown = choices.map(({ name, value }) => ({ name: printable(name), value }));
    return this.#inTurn(() => this.#ask<T>(message, { type: 'select', choices: shown }));
  }

  #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    const answer = this.#turn.then(ask);
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  async #secret(message: string, kind: Kind, signal?: AbortSignal): Promise<Secret> {
    return new Secret(await this.#ask<string>(message, kind, signal));
  }

  async #ask<T>(message: string, kind: Kind, withdrawn?: AbortSignal): Promise<T> {
    this.expectQuestion();
    const inquirer = await this.#inquirer!;
    withdrawn?.throwIfAborted();
    const answering = await this.#keyboard.open(withoutEnd(message));
    const signal = withdrawn ? AbortSignal.any([answering.signal, withdrawn]) : answering.signal;
    try {
      const streams = { input: answering.input, output: this.#screen, signal };
      const prompt = inquirer.createPromptModule(streams);
      const question = { ...kind, ...worded(kind, printable(message)), name: 'answer' };
      const answers = await prompt<{ answer: unknown }>([question]);
      return answers.answer as T;
    } catch (error) {
      throw signal.aborted ? signal.reason : ended(error);
    } finally {
      answering.close();
    }
  }

  #say(line: string): void {
    this.#screen.write(`${line}\n`);
  }
}

/**
 * inquirer writes a prefix, a space, the message. With the first word as the prefix, a question stands there
 * exactly as it was put. Once it is answered, nothing of a password is left, not even its length; and the line
 * does not end like a question any more, which programs that type (expect) would answer a second time.
 */
function worded({ type }: Kind, message: string): { message: string; theme: object } {
  const [first = '', ...rest] = message.split(' ');
  const style = {
    message: (text: string) => text,
    ...(type === 'password' && { answer: () => '(hidden)' }),
  };
  return { message: rest.join(' '), theme: { prefix: first, style } };
}

function withoutEnd(message: string): string {
  return message.trim().replace(/\s*[:?]$/, '');
}

/** inquirer noticed an end of its own: the process is being killed. */
function ended(error: unknown): unknown {
  const exit = error instanceof Error && error.name === 'ExitPromptError';
  return exit ? new PrepError({ code: 'interrupted' }, error) : error;
}
