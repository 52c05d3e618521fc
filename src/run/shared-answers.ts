import type { HostKeyQuestion, Prompter } from '../core/prompter.ts';
import type { Secret } from '../core/secret.ts';

/** What the person said for one account and meant for others too. */
export class SharedAnswers {
  readonly #prompter: Prompter;
  readonly #trusted = new Set<string>();
  #agreed: boolean | undefined;
  #password: { readonly secret: Secret; readonly account: string } | undefined;

  /** `agreed`: that one password is for all accounts was said beforehand (`--same-password`). */
  constructor(prompter: Prompter, agreed: boolean) {
    this.#prompter = prompter;
    if (agreed) this.#agreed = true;
  }

  /** The password that may be tried on every account, and the account that it was typed for. */
  get password(): { readonly secret: Secret; readonly account: string } | undefined {
    return this.#password;
  }

  /**
   * A password was typed, and has proven right for an account: whether the others, by name, may have it too is
   * asked once, for the first. @throws PrepError as the prompter does
   */
  async offer(secret: Secret, account: string, others: readonly string[]): Promise<void> {
    if (this.#password !== undefined || this.#agreed === false || others.length === 0) return;
    this.#agreed ??= await this.#prompter.confirm(question(account, others), {
      preset: false,
      safe: false,
    });
    if (this.#agreed) this.#password = { secret, account };
  }

  /** A host key that was trusted once is not asked about again. */
  async hostKey(key: HostKeyQuestion): Promise<boolean> {
    const name = `${key.host} ${key.keyType} ${key.fingerprint}`;
    if (this.#trusted.has(name)) return true;
    const trusted = await this.#prompter.hostKey(key);
    if (trusted) this.#trusted.add(name);
    return trusted;
  }
}

function question(account: string, others: readonly string[]): string {
  const which = others.length === 1 ? others[0]! : `the other ${others.length} accounts`;
  const names = others.length === 1 ? '' : ` (${others.join(', ')})`;
  return `Use the password of ${account} for ${which} too?${names}`;
}
