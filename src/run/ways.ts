import { problemOf } from '../core/problem.ts';
import type { Access } from '../ssh/access.ts';
import { connect } from '../ssh/connect.ts';
import type { HostKeyJudge } from '../ssh/host-key.ts';
import type { OpenSshMaster } from '../ssh/openssh-master.ts';
import type { NewPassword, Password } from '../ssh/password.ts';
import type { Session } from '../ssh/session.ts';
import type { Settings } from '../ssh/settings.ts';
import { accessFor } from './access.ts';
import { keysForOpenSsh } from './login-keys.ts';
import type { OpeningWishes, OpenSshWay } from './openssh-way.ts';
import type { Reaching } from './reach.ts';
import { wayTo, type Way } from './route.ts';
import { chooseTransport, dependsOnTicket } from './transport.ts';
import type { World } from './world.ts';

/** What the person may be asked for on the way in. */
interface Secrets {
  readonly password: Password;
  readonly newPassword?: NewPassword;
}

/** The two ways to log in to one account, of which one is taken, and kept to. */
export class Ways {
  readonly #world: World;
  readonly #reaching: Pick<Reaching, 'destination' | 'keys'>;
  readonly #settings: Settings;
  readonly #judge: HostKeyJudge;
  readonly #secrets: Secrets;
  #speaker: 'ssh2' | 'openssh' | undefined;
  #access: Access | undefined;
  #withoutKeys = false;
  #openssh: OpenSshWay | undefined;
  /** The hosts on the way. */
  way: Way;

  constructor(
    world: World,
    reaching: Pick<Reaching, 'destination' | 'keys'>,
    settings: Settings,
    judge: HostKeyJudge,
    secrets: Secrets,
  ) {
    this.#world = world;
    this.#reaching = reaching;
    this.#settings = settings;
    this.#judge = judge;
    this.#secrets = secrets;
    this.way = wayTo(world, settings);
  }

  /** The way that was taken. */
  get taken(): { readonly way: Way; readonly openssh?: OpenSshWay } {
    return { way: this.way, ...(this.#openssh !== undefined && { openssh: this.#openssh }) };
  }

  /** The key lets in to something else than a shell; from now on no key is used. False where there is nothing else to use. */
  giveUpKeys(): boolean {
    const { password } = this.#secrets;
    if (this.#speaker !== 'ssh2' || this.#withoutKeys) return false;
    if (!this.#world.attended && password.known === undefined) return false;
    this.#withoutKeys = true;
    this.#access = undefined;
    this.#note('the key runs a command of its own there (command= in authorized_keys)');
    return true;
  }

  /** Logs in anew; `first` is the command that will surely be run first. @throws PrepError */
  async logIn(first?: string): Promise<Session> {
    this.#speaker ??= await this.#choose();
    if (this.#speaker === 'openssh') return this.#withOpenSsh();
    try {
      return await this.#withSsh2(first);
    } catch (error) {
      const problem = problemOf(error);
      const met = problem.code === 'jump-host' ? problem.problem : problem;
      const isOld = met.code === 'no-common-algorithm';
      if (!isOld || this.#world.wishes.transport !== 'auto') throw error;
      this.#note(`ssh2 and the server have no ${met.what} in common; trying OpenSSH`);
      return this.#instead(error);
    }
  }

  /** Opens a master, also for others to use; undefined where ssh2 speaks, or OpenSSH is not installed. */
  async openMaster(
    wishes: Pick<OpeningWishes, 'socket' | 'forwardings' | 'listed'>,
  ): Promise<OpenSshMaster | undefined> {
    const { transport } = this.#world.wishes;
    if (transport === 'ssh2') return undefined;
    try {
      return await this.#withOpenSsh(wishes);
    } catch (error) {
      if (transport !== 'auto' || problemOf(error).code !== 'no-openssh') throw error;
      this.#speaker = 'ssh2';
      this.#openssh = undefined;
      this.way = wayTo(this.#world, this.#settings);
      return undefined;
    }
  }

  async #choose(): Promise<'ssh2' | 'openssh'> {
    const { keys } = this.#reaching;
    const choice = {
      wanted: this.#world.wishes.transport,
      opensshOnly: [...this.#settings.opensshOnly, ...(await this.#onTheWay())],
      keyType: keys === 'usual' ? undefined : keys[0]?.key.type,
    };
    const ticket = dependsOnTicket(choice) && (await holdsTicket());
    const { speaker, because } = chooseTransport({ ...choice, ticket });
    if (because.length > 0) this.#note(`logging in through OpenSSH, for ${because.join(', ')}`);
    return speaker;
  }

  /** What the hosts on the way need OpenSSH for: then it goes all the way. */
  async #onTheWay(): Promise<readonly string[]> {
    const { jump } = this.#settings;
    const hops = jump.map((hop, index) => this.#world.hopSettings(hop, jump.slice(0, index)));
    return (await Promise.all(hops)).flatMap(({ opensshOnly }) => opensshOnly);
  }

  /** Where there is no OpenSSH, what ssh2 met stands. */
  async #instead(met: unknown): Promise<Session> {
    this.way.close();
    try {
      return await this.#withOpenSsh();
    } catch (error) {
      throw problemOf(error).code === 'no-openssh' ? met : error;
    }
  }

  async #withSsh2(first: string | undefined): Promise<Session> {
    const { keys } = this.#reaching;
    this.#access ??= await accessFor(this.#world, this.#settings, keys, this.#secrets);
    if (this.#withoutKeys) this.#access = { ...this.#access, keys: [] };
    return connect(this.#settings, this.#access, this.#judge, {
      ...(first !== undefined && { first }),
      banner: this.#banner,
      route: this.way.route,
    });
  }

  async #withOpenSsh(wishes: Partial<OpeningWishes> = {}): Promise<OpenSshMaster> {
    const { openSshWay } = await import('./openssh-way.ts');
    this.#speaker = 'openssh';
    const openssh = (this.#openssh ??= openSshWay(this.#world, this.#settings));
    this.way = {
      route: this.way.route,
      remember: () => openssh.remember(),
      close: () => openssh.close(),
    };
    const { keys: wanted } = this.#reaching;
    const keys = await keysForOpenSsh(this.#world, this.#settings, wanted, this.#note);
    return openssh.open(this.#judge, { ...wishes, keys, banner: this.#banner, ...this.#secrets });
  }

  readonly #note = (text: string): void => {
    this.#world.observe({ type: 'note', destination: this.#reaching.destination, text });
  };

  readonly #banner = (text: string): void => {
    this.#world.observe({ type: 'banner', destination: this.#reaching.destination, text });
  };
}

/** Whether there is a Kerberos ticket that has not expired (klist(1)). */
async function holdsTicket(): Promise<boolean> {
  const { execFile } = await import('node:child_process');
  return new Promise((resolve) => {
    execFile('klist', ['-s'], { timeout: 5000 }, (error) => resolve(error === null));
  });
}
