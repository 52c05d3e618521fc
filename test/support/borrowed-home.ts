import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { nobody } from '../../src/core/unattended.ts';
import { readPublicKey } from '../../src/local/keys.ts';
import { connect } from '../../src/ssh/connect.ts';
import { attach } from '../../src/ssh/control-master.ts';
import { HostKeyJudge } from '../../src/ssh/host-key.ts';
import { LoginKey } from '../../src/ssh/login-key.ts';
import type { Session } from '../../src/ssh/session.ts';
import { resolveSettings, type Settings } from '../../src/ssh/settings.ts';
import { SFTP_SERVER } from './sftp-session.ts';
import { startSshd, type TestSshd } from './sshd.ts';

/**
 * A real sshd whose one user is whoever runs the tests (root), let in by one key, at home in a folder that is
 * emptied at will. One connection of each kind serves all that goes on there. Call `close()` when done.
 */
export class BorrowedHome {
  /** Where its user is at home: a name that nobody would choose. */
  readonly home: string;
  readonly #folder: string;
  readonly #server: TestSshd;
  readonly #settings: Settings;
  #master: ChildProcess | undefined;
  #ssh2: Promise<Session> | undefined;

  private constructor(folder: string, server: TestSshd, settings: Settings) {
    this.#folder = folder;
    this.home = homeIn(folder);
    this.#server = server;
    this.#settings = settings;
  }

  static async open(): Promise<BorrowedHome> {
    const folder = mkdtempSync(join(tmpdir(), 'prep-borrowed-'));
    const key = join(folder, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const sftp = join(folder, 'sftp');
    writeFileSync(sftp, `#!/bin/sh\ncd "$HOME" && exec ${SFTP_SERVER}\n`, { mode: 0o755 });
    const server = await startSshd({
      hostKeys: ['ed25519'],
      sftp: 'none',
      config: [
        'PermitRootLogin prohibit-password',
        'AllowUsers root',
        `AuthorizedKeysFile ${key}.pub`,
        // The key lies below /tmp.
        'StrictModes no',
        `SetEnv "HOME=${homeIn(folder)}"`,
        `Subsystem sftp ${sftp}`,
      ],
    });
    return new BorrowedHome(folder, server, await settingsFor(folder, server, key));
  }

  /** Makes the home a new, empty directory. */
  clear(): void {
    rmSync(this.home, { recursive: true, force: true });
    mkdirSync(this.home, { mode: 0o755 });
  }

  /** The connection that ssh2 makes; closing it is left to `close()`. */
  overSsh2(): Promise<Session> {
    this.#ssh2 ??= this.#logIn();
    return this.#ssh2;
  }

  /** A session over a live control master of OpenSSH's. */
  async overMaster(): Promise<Session> {
    const socket = join(this.#folder, 'master');
    this.#master ??= this.#startMaster(socket);
    while (!existsSync(socket)) {
      if (this.#master.exitCode !== null) throw new Error(`no master: ${this.#server.log()}`);
      await sleep(10);
    }
    return attach(socket, this.#settings);
  }

  async close(): Promise<void> {
    this.#master?.kill();
    (await this.#ssh2)?.close();
    this.#server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #startMaster(socket: string): ChildProcess {
    const { sshArguments, address } = this.#settings;
    return spawn('ssh', ['-MN', '-S', socket, ...sshArguments, '--', address], { stdio: 'ignore' });
  }

  async #logIn(): Promise<Session> {
    const { key, privateFile } = await readPublicKey(join(this.#folder, 'key'), this.#folder);
    const access = {
      user: 'root',
      keys: [new LoginKey(key, { file: privateFile! })],
      prompter: nobody,
      note: () => undefined,
    };
    return connect(this.#settings, access, await HostKeyJudge.read(this.#settings, nobody));
  }
}

const homeIn = (folder: string): string => join(folder, "prep 'home' $HOME");

function settingsFor(folder: string, server: TestSshd, key: string): Promise<Settings> {
  const known = join(folder, 'known_hosts');
  writeFileSync(known, server.knownHosts());
  const config = join(folder, 'ssh_config');
  const lines = ['User root', `Port ${server.port}`, `UserKnownHostsFile ${known}`];
  const batch = ['BatchMode yes', 'IdentitiesOnly yes', `IdentityFile ${key}`];
  writeFileSync(config, [...lines, ...batch].map((line) => `${line}\n`).join(''));
  const flags = { hostKey: 'strict', sshConfig: config } as const;
  return resolveSettings({ host: server.host }, flags, folder);
}
