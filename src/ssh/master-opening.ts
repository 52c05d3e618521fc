import { readFileSync, watch, writeFileSync } from 'node:fs';
import { keyFingerprint } from '../core/authorized-key.ts';
import { printableLines } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import { Askpass } from './askpass.ts';
import type { HostKeyJudge } from './host-key.ts';
import type { LoginKey } from './login-key.ts';
import { OPEN_FOLDER, type About } from './master-list.ts';
import { OpenSshMaster } from './openssh-master.ts';
import { PrivateFolder } from './private-folder.ts';
import type { Session } from './session.ts';
import type { Settings } from './settings.ts';
import { isLoggingIn, loggedIn, offers, whyNot } from './ssh-log.ts';
import { masterArguments, startSsh, type SshProcess } from './ssh-process.ts';
import type { Answers, Questions } from './ssh-questions.ts';

/** What opening a master takes, besides where it goes. */
export interface MasterOptions extends Answers {
  /** The keys that are to be known again when one of them lets the user in. */
  readonly keys: readonly LoginKey[];
  /** Whether the first of the keys is all that may let the user in. */
  readonly keyAlone?: boolean;
  /** The master that this one goes over. */
  readonly over?: OpenSshMaster;
  /** The socket, where it must not be in a folder that only this process knows. */
  readonly socket?: string;
  /** Whether `prep open --list` is to know it. */
  readonly listed?: boolean;
  /** Whether the forwardings of ssh_config are wanted too. */
  readonly forwardings?: boolean;
  /** What the server says before login, made harmless. */
  readonly banner?: (text: string) => void;
  /** Told what was tried and what came of it. */
  readonly note: (text: string) => void;
}

/** How long a server may stay silent on the way in while it is its turn, in milliseconds. */
const PATIENCE = 60_000;

/** One ssh on its way to being a master. */
export class Opening {
  readonly #settings: Settings;
  readonly #judge: HostKeyJudge;
  readonly #questions: Questions;
  readonly #options: MasterOptions & { readonly withoutKeys: boolean };
  readonly #folder: PrivateFolder;
  #askpass: Askpass | undefined;
  #ssh: SshProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #beside = '';

  constructor(
    settings: Settings,
    judge: HostKeyJudge,
    questions: Questions,
    options: MasterOptions & { readonly withoutKeys: boolean },
  ) {
    this.#settings = settings;
    this.#judge = judge;
    this.#questions = questions;
    this.#options = options;
    this.#folder = new PrivateFolder(options.listed === true ? OPEN_FOLDER : undefined);
  }

  async run(): Promise<OpenSshMaster> {
    try {
      this.#askpass = await Askpass.listen(this.#folder, async (asked) => {
        clearTimeout(this.#timer);
        const answer = await this.#questions.answer(asked);
        if (this.#questions.failure !== undefined) this.#ssh?.kill();
        this.#wait();
        return answer;
      });
      await this.#untilReady(this.#askpass);
      this.#learnHostKey();
      return this.#opened();
    } catch (error) {
      this.#learnHostKey();
      this.#end();
      throw error;
    }
  }

  get #socket(): string {
    return this.#options.socket ?? this.#folder.file('master');
  }

  /** The log tells how far ssh has come; the socket is there once it has logged in. */
  async #untilReady(askpass: Askpass): Promise<void> {
    const { line } = this.#judge;
    const args = masterArguments(this.#settings, this.#folder, {
      ...this.#options,
      socket: this.#socket,
      ...(line !== undefined && { knownHost: line }),
    });
    let unwatch = (): void => undefined;
    await new Promise<void>((resolve, reject) => {
      unwatch = watching(this.#folder.path, () => {
        this.#wait();
        if (/^debug1: Entering interactive session/m.test(this.#log())) resolve();
      });
      const ssh = startSsh(args, this.#folder.path, askpass.env);
      this.#ssh = ssh;
      ssh.onSaid = this.#heard;
      this.#late = () => reject(this.#noAnswer());
      this.#wait();
      ssh.ended.then((status) => reject(this.#failed(status))).catch(reject);
    }).finally(() => {
      clearTimeout(this.#timer);
      this.#late = undefined;
      unwatch();
    });
  }

  #late: (() => void) | undefined;

  #wait(): void {
    clearTimeout(this.#timer);
    if (this.#late !== undefined) this.#timer = setTimeout(this.#late, PATIENCE);
  }

  readonly #heard = (text: string): void => {
    if (isLoggingIn(this.#log())) this.#options.banner?.(printableLines(text));
    else this.#beside += text;
  };

  #log(): string {
    try {
      return readFileSync(this.#folder.file('log'), 'utf8');
    } catch {
      return '';
    }
  }

  #opened(): OpenSshMaster {
    if (this.#options.listed === true) this.#register();
    const { method, key } = loggedIn(this.#log());
    this.#questions.succeeded();
    this.#options.note(`logged in with ${method} through OpenSSH`);
    const login = this.#wayIn(method, key);
    // Without its PIN a key is accepted, and another method lets the user in.
    const proven = method === 'publickey' ? key : undefined;
    if (this.#options.keyAlone === true && login !== 'key') {
      const keys = this.#options.keys.map(({ key: one }) => keyFingerprint(one));
      throw new PrepError({
        code: 'password-not-offered',
        offers: ['publickey'],
        accepted: [],
        keys,
      });
    }
    return new OpenSshMaster(this.#settings, { login, key: proven }, this.#socket, {
      log: () => this.#log(),
      end: this.#end,
    });
  }

  #register(): void {
    const about: About = { label: this.#settings.label, socket: this.#socket };
    writeFileSync(this.#folder.file('about'), JSON.stringify(about), { mode: 0o600 });
  }

  /** A key counts as the way in only where it is one of those at hand: another proves nothing about them. */
  #wayIn(method: string, fingerprint: string | undefined): Session['login'] {
    if (method === 'password' || method === 'keyboard-interactive') return method;
    const ours =
      this.#options.keyAlone === true ? this.#options.keys.slice(0, 1) : this.#options.keys;
    const known = ours.some(({ key }) => keyFingerprint(key) === fingerprint);
    return method === 'publickey' && known ? 'key' : 'none';
  }

  /** A host key that was accepted is prep's to remember, and only in a real run. */
  #learnHostKey(): void {
    try {
      const line = readFileSync(this.#folder.file('known_hosts'), 'latin1')
        .trim()
        .split('\n')
        .at(-1);
      const blob = line?.split(' ').at(2);
      if (blob !== undefined && blob !== '') this.#judge.accept(Buffer.from(blob, 'base64'));
    } catch {
      // None was new.
    }
  }

  #noAnswer(): PrepError {
    const { address: host, port } = this.#settings;
    return new PrepError({ code: 'no-answer', host, port, seconds: PATIENCE / 1000 });
  }

  #failed(status: number): unknown {
    if (this.#questions.failure !== undefined) return this.#questions.failure;
    if (status === 127) return new PrepError({ code: 'no-openssh', wanted: 'this way in' });
    const { over } = this.#options;
    if (over?.refusal !== undefined) {
      const { address: host, port } = this.#settings;
      const cause = `from ${over.label}: ${over.refusal}`;
      return new PrepError({ code: 'cannot-connect', host, port, cause });
    }
    const problem = whyNot(this.#log(), this.#beside, this.#settings);
    if (problem !== undefined) return new PrepError(problem);
    const { password } = this.#options;
    this.#questions.refused();
    if (password !== undefined && password.tries > 0) {
      return new PrepError({ code: 'wrong-password', tries: password.tries });
    }
    const log = this.#log();
    const offered = log.matchAll(/^debug1: Offering public key: .*?(SHA256:\S+)/gm);
    const keys = [...offered].map(([, fingerprint]) => fingerprint!);
    return new PrepError({
      code: 'password-not-offered',
      offers: offers(log),
      accepted: [],
      keys,
    });
  }

  readonly #end = (): void => {
    clearTimeout(this.#timer);
    this.#ssh?.kill();
    this.#askpass?.close();
    this.#folder.remove();
  };
}

/** Calls `changed` for whatever changes in a folder, until the function given back is called. */
function watching(folder: string, changed: () => void): () => void {
  try {
    const watcher = watch(folder, changed).on('error', () => undefined);
    return () => watcher.close();
  } catch {
    // The system allows no further watch (inotify's limits).
    const timer = setInterval(changed, 50);
    return () => clearInterval(timer);
  }
}
