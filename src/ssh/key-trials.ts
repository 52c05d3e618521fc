import type { Prompter } from '../core/prompter.ts';
import type { Line } from './access.ts';
import { OneKey, type LoginKey } from './login-key.ts';

/** The keys of one login: which are left, and how far the one that is being tried has come. */
export class KeyTrials {
  readonly #left: LoginKey[];
  /** The keys that the server has been offered, in their order. */
  readonly tried: LoginKey[] = [];
  /** Those during whose trial a connection broke. */
  readonly #cutOff = new Set<LoginKey>();
  #opensAtOnce = false;
  #asked = false;
  #unlocking = false;

  constructor(keys: readonly LoginKey[]) {
    this.#left = [...keys];
  }

  /** Whether there is one left to try. */
  get any(): boolean {
    return this.#left.length > 0;
  }

  /** Whether the next one is an RSA key, for which there are several algorithms (RFC 8332). */
  get nextIsRsa(): boolean {
    return this.#left[0]?.key.type.startsWith('ssh-rsa') === true;
  }

  /** Whether the private half of the key being tried is being opened, for which a person may be asked. */
  get unlocking(): boolean {
    return this.#unlocking;
  }

  /** Whether the key being tried needs nobody to be asked before it signs. */
  get opensAtOnce(): boolean {
    return this.#opensAtOnce;
  }

  /** The next key, as the agent that ssh2 asks for signatures; `signed` is called when one went out. */
  next(
    prompter: Prompter,
    line: Line,
    signed: () => void,
  ): { readonly key: LoginKey; readonly agent: Promise<OneKey> } | undefined {
    const key = this.#left.shift();
    if (key === undefined) return undefined;
    this.tried.push(key);
    this.#asked = false;
    const signing = (busy: boolean): void => {
      this.#unlocking = busy;
      this.#asked = true;
      line.asking(busy);
    };
    const agent = key.isOpen().then((open) => {
      this.#opensAtOnce = open;
      return new OneKey(key, prompter, { signed, signing, ended: line.failed });
    });
    return { key, agent };
  }

  /** Another connection begins at this key again. */
  again(...keys: readonly LoginKey[]): void {
    this.#left.unshift(...keys);
  }

  /** Nobody has looked at the key that was tried last: other factors come first there. */
  unseen(key: LoginKey): void {
    this.tried.pop();
    this.again(key);
  }

  /** The connection broke while a key was tried, with these last words of the server's: whether it deserves another trial. */
  deservesAnother(key: LoginKey, sent: boolean, said: string): boolean {
    // The server never got to see one whose passphrase was being asked for.
    if (this.#asked && !sent) return true;
    // Nor perhaps another, when it went away without a word; once more will tell.
    if (said !== '' || this.#cutOff.has(key)) return false;
    this.#cutOff.add(key);
    return true;
  }
}
