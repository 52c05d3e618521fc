import type { Choice, HostKeyQuestion, Prompter } from '../core/prompter.ts';
import type { Secret } from '../core/secret.ts';
import type { SharedAnswers } from './shared-answers.ts';

/** What an account of many has to do with the person. */
export interface Asking {
  /** Waits until this account may ask. */
  readonly turn: () => Promise<void>;
  readonly shared: SharedAnswers;
  /** Says something before the first password is asked for. */
  readonly beforePassword: () => void;
  /** Told when another account's password is tried here. */
  readonly using: (account: string) => void;
}

/** Asks for one of many accounts: when it is its turn, and not what was answered for all. */
export class AccountPrompter implements Prompter {
  readonly #prompter: Prompter;
  readonly #asking: Asking;
  #triedShared = false;
  /** The password that was typed last for this account. */
  typed: Secret | undefined;

  constructor(prompter: Prompter, asking: Asking) {
    this.#prompter = prompter;
    this.#asking = asking;
  }

  expectQuestion(): void {
    this.#prompter.expectQuestion?.();
  }

  async password(message: string, signal?: AbortSignal): Promise<Secret> {
    const { turn, shared, using, beforePassword } = this.#asking;
    await turn();
    signal?.throwIfAborted();
    if (shared.password !== undefined && !this.#triedShared) {
      this.#triedShared = true;
      using(shared.password.account);
      return shared.password.secret;
    }
    beforePassword();
    this.typed = await this.#prompter.password(message, signal);
    return this.typed;
  }

  /** Whoever's turn it is: the account whose it is may be waiting for this very key. */
  passphrase(message: string): Promise<Secret> {
    return this.#prompter.password(message);
  }

  newPassword(message: string, options?: { readonly mayBeEmpty?: boolean }): Promise<Secret> {
    return this.#inTurn(() => this.#prompter.newPassword(message, options));
  }

  confirm(
    message: string,
    options: { readonly preset: boolean; readonly safe?: boolean },
  ): Promise<boolean> {
    return this.#inTurn(() => this.#prompter.confirm(message, options));
  }

  hostKey(question: HostKeyQuestion): Promise<boolean> {
    return this.#inTurn(() => this.#asking.shared.hostKey(question));
  }

  answer(message: string, echo: boolean, signal?: AbortSignal): Promise<Secret> {
    return this.#inTurn(() => {
      signal?.throwIfAborted();
      return this.#prompter.answer(message, echo, signal);
    });
  }

  choose<T>(choice: Choice<T>, safe?: T): Promise<T> {
    return this.#inTurn(() => this.#prompter.choose(choice, safe));
  }

  async #inTurn<T>(ask: () => Promise<T>): Promise<T> {
    await this.#asking.turn();
    return ask();
  }
}
