import type { Secret } from './secret.ts';

/** A host key that nobody here has seen before. */
export interface HostKeyQuestion {
  /** As the user knows the host: `web1` or `[web1]:2222`. */
  readonly host: string;
  /** `ED25519`, `ECDSA`, `RSA`. */
  readonly keyType: string;
  /** `SHA256:...` as ssh-keygen -l prints it. */
  readonly fingerprint: string;
}

/** Several answers, of which one is wanted. */
export interface Choice<T> {
  readonly message: string;
  readonly choices: readonly { readonly name: string; readonly value: T }[];
}

/**
 * Asks the person. Each question names the account it is about in its text. A person who types Ctrl-C
 * makes the promise reject with the problem `interrupted`, Ctrl-D with `no-answer-given`; when nobody
 * can be asked, it rejects with `needs-an-answer`.
 */
export interface Prompter {
  /** A question will probably follow: a moment in which nothing else is to be done can be used to get ready. */
  expectQuestion?(): void;
  /** Masked; `message` is the whole prompt, e.g. `alice@web1's password:`. An aborted signal withdraws the question. */
  password(message: string, signal?: AbortSignal): Promise<Secret>;
  /** As `password`, for a key of this machine's, which may be wanted by many accounts at the same time; `password` does where it is missing. */
  passphrase?(message: string): Promise<Secret>;
  /** A new passphrase or password, asked twice until both agree. */
  newPassword(message: string, options?: { readonly mayBeEmpty?: boolean }): Promise<Secret>;
  /** Yes or no. `safe` is what `--yes` answers; without one, `--yes` does not help and the question is refused. */
  confirm(
    message: string,
    options: { readonly preset: boolean; readonly safe?: boolean },
  ): Promise<boolean>;
  /** Whether to trust an unknown host key. `--yes` never answers this one. */
  hostKey(question: HostKeyQuestion): Promise<boolean>;
  /** A question of the server's own, passed on with its own text; hidden unless `echo`. An aborted signal withdraws it. */
  answer(message: string, echo: boolean, signal?: AbortSignal): Promise<Secret>;
  /** One of several; `safe` is what `--yes` answers. */
  choose<T>(choice: Choice<T>, safe?: T): Promise<T>;
}
