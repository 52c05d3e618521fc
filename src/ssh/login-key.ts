import { createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  BaseAgent,
  createAgent,
  utils,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from 'ssh2';
import type { AuthorizedKey } from '../core/authorized-key.ts';
import { problemOf } from '../core/problem.ts';
import type { Prompter } from '../core/prompter.ts';
import type { Secret } from '../core/secret.ts';

/** Where the private half of a key may be. */
export interface PrivateHalf {
  readonly file?: string;
  /** The text itself, where the pair was only just made and is not written yet. */
  readonly text?: Secret;
  readonly passphrase?: Secret;
  /** The socket of an agent that may hold it. */
  readonly agent?: string;
}

/** Key types that ssh2 can sign with; sk- keys and certificates are OpenSSH's alone. */
const SIGNABLE = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521))$/;

/** What a key signs with where the login names no hash (RFC 4253 section 6.6, RFC 5656 section 6.2.1). */
const HASHES: Readonly<Record<string, string | undefined>> = {
  'ssh-rsa': 'sha1',
  'ecdsa-sha2-nistp256': 'sha256',
  'ecdsa-sha2-nistp384': 'sha384',
  'ecdsa-sha2-nistp521': 'sha512',
};

/** How often a passphrase is asked for, as ssh(1) does. */
const TRIES = 3;

/** A key to log in with. Its private half is looked for when it is first needed, and kept. */
export class LoginKey {
  readonly key: AuthorizedKey;
  readonly #half: PrivateHalf;
  /** What was opened once is open wherever the key is used. */
  readonly #kept: { key?: ParsedKey; object?: KeyObject };
  /** By agent: accounts that log in side by side share one, and its question for a passphrase. */
  readonly #others = new Map<string | undefined, LoginKey>();
  #opened: Promise<ParsedKey | undefined> | undefined;

  constructor(key: AuthorizedKey, half: PrivateHalf, kept: { key?: ParsedKey } = {}) {
    this.key = key;
    this.#half = half;
    this.#kept = kept;
  }

  /** The file of the private half, where it has one. */
  get file(): string | undefined {
    return this.#half.file;
  }

  /** The same key where another agent, or none, may hold it. */
  through(agent: string | undefined): LoginKey {
    if (agent === this.#half.agent) return this;
    const { agent: _, ...half } = this.#half;
    const other =
      this.#others.get(agent) ??
      new LoginKey(this.key, { ...half, ...(agent !== undefined && { agent }) }, this.#kept);
    this.#others.set(agent, other);
    return other;
  }

  /** What opens that file, where it is known already. */
  get passphrase(): Secret | undefined {
    return this.#half.passphrase;
  }

  /** Whether this key can be tried from here. */
  get usable(): boolean {
    const { file, text, agent } = this.#half;
    return SIGNABLE.test(this.key.type) && (file ?? text ?? agent) !== undefined;
  }

  /**
   * Makes the private half ready, asking for a passphrase where nobody else can open it. False where it
   * cannot be had. @throws PrepError `interrupted`, `no-answer-given`
   */
  async unlock(prompter: Prompter): Promise<boolean> {
    const opened = await this.#open(prompter).catch((error: unknown) => {
      if (endsAll(error)) throw error;
      return undefined;
    });
    return opened !== undefined || (await this.#agentHolds());
  }

  /** Whether it can sign without anybody being asked: neither the person for a passphrase nor an agent, which may ask in turn. */
  async isOpen(): Promise<boolean> {
    if (this.#opened === undefined) {
      const plain = await this.#plain().catch(() => undefined);
      if (plain === undefined || plain instanceof Error) return false;
      this.#opened = Promise.resolve(plain);
    }
    return (await this.#opened.catch(() => undefined)) !== undefined;
  }

  /** Signs for one login. Raises whatever keeps the private half from being used. */
  async sign(data: Buffer, options: SigningRequestOptions, prompter: Prompter): Promise<Buffer> {
    const opened = await this.#open(prompter);
    if (opened !== undefined) return sign(this.#hash(options), data, this.#objectOf(opened));
    const agent = createAgent(this.#half.agent!);
    return new Promise((resolve, reject) => {
      agent.sign(this.#publicText, data, options, (error, signature) => {
        if (signature === undefined) reject(error ?? new Error('the agent did not sign'));
        else resolve(signature);
      });
    });
  }

  /** Left to itself, ssh2 would have the text of the key parsed for each login, at ten times the cost of signing. */
  #objectOf(opened: ParsedKey): KeyObject {
    return (this.#kept.object ??= createPrivateKey(opened.getPrivatePEM()));
  }

  /** Undefined for ed25519, which hashes by itself. */
  #hash({ hash }: SigningRequestOptions): string | undefined {
    return hash ?? HASHES[this.key.type];
  }

  get #publicText(): string {
    return `${this.key.type} ${this.key.blob}`;
  }

  /** The private half; undefined where the agent is to sign. */
  #open(prompter: Prompter): Promise<ParsedKey | undefined> {
    this.#opened ??= this.#find(prompter).then((key) => key && (this.#kept.key = key));
    this.#opened.catch(() => (this.#opened = undefined));
    return this.#opened;
  }

  async #find(prompter: Prompter): Promise<ParsedKey | undefined> {
    const plain = await this.#plain();
    if (!(plain instanceof Error)) return plain;
    if (await this.#agentHolds()) return undefined;
    if (!/encrypted|passphrase/i.test(plain.message)) throw plain;
    return this.#decrypt(prompter);
  }

  /** The private half as far as nobody needs to be asked; an error where somebody must be, undefined where the agent alone has it. */
  async #plain(): Promise<ParsedKey | Error | undefined> {
    if (this.#kept.key !== undefined) return this.#kept.key;
    const content = await this.#content();
    if (content === undefined) return undefined;
    return utils.parseKey(content, this.#half.passphrase?.reveal());
  }

  async #content(): Promise<string | undefined> {
    const { file, text } = this.#half;
    if (text !== undefined) return text.reveal();
    return file === undefined ? undefined : readFile(file, 'utf8');
  }

  async #decrypt(prompter: Prompter): Promise<ParsedKey> {
    const content = (await this.#content()) ?? '';
    for (let tries = 0; tries < TRIES; tries++) {
      const question = `Enter passphrase for key '${this.#half.file ?? ''}':`;
      const passphrase = await (prompter.passphrase?.(question) ?? prompter.password(question));
      if (passphrase.empty) break;
      const key = utils.parseKey(content, passphrase.reveal());
      if (!(key instanceof Error)) return key;
    }
    throw new Error('its passphrase was not given');
  }

  #agentHolds(): Promise<boolean> {
    const { agent } = this.#half;
    if (agent === undefined) return Promise.resolve(false);
    return new Promise((resolve) => {
      createAgent(agent).getIdentities((_error, keys) => {
        const blobs = (keys ?? []).map((key) => utils.parseKey(key as ParsedKey));
        resolve(blobs.some((key) => !(key instanceof Error) && this.#is(key)));
      });
    });
  }

  #is(key: ParsedKey): boolean {
    return key.getPublicSSH().toString('base64') === this.key.blob;
  }
}

/** Whether the person has had enough, rather than no passphrase for this key. */
function endsAll(error: unknown): boolean {
  return ['interrupted', 'no-answer-given'].includes(problemOf(error).code);
}

/** What is told while a key is used. */
export interface KeyUse {
  /** Called right after a signature was handed over. */
  readonly signed: () => void;
  /** Called when the search for a signature begins and when it ends. */
  readonly signing: (busy: boolean) => void;
  /** Called where the person ended it all at the question for a passphrase. */
  readonly ended: (error: unknown) => void;
}

/**
 * Offers exactly one key to the server, whoever holds its private half, so that a full agent does not
 * use up MaxAuthTries. ssh2 asks for the signature only after the server said it would accept the key;
 * only then is a passphrase asked for.
 */
export class OneKey extends BaseAgent<string> {
  readonly #key: LoginKey;
  readonly #prompter: Prompter;
  readonly #use: KeyUse;

  constructor(key: LoginKey, prompter: Prompter, use: KeyUse) {
    super();
    this.#key = key;
    this.#prompter = prompter;
    this.#use = use;
  }

  getIdentities(callback: (error: Error | undefined, keys?: string[]) => void): void {
    callback(undefined, [`${this.#key.key.type} ${this.#key.key.blob}`]);
  }

  sign(
    _publicKey: string,
    data: Buffer,
    options: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const done = typeof options === 'function' ? options : callback;
    const request = typeof options === 'function' ? {} : options;
    const { signed, signing, ended } = this.#use;
    signing(true);
    this.#key
      .sign(data, request, this.#prompter)
      .finally(() => signing(false))
      .then(
        (signature) => {
          done?.(null, signature);
          signed();
        },
        (error: unknown) => (endsAll(error) ? ended(error) : done?.(error as Error)),
      );
  }
}
