import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import SftpClient from 'ssh2-sftp-client';
import { Secret } from '../../src/core/secret.ts';
import { runDemo } from '../../src/demo/demo.ts';
import { makeKeyPair } from '../../src/local/key-pair.ts';
import { startDriven, type DrivenServer, type Faults } from '../support/driven-server.ts';
import { Laptop } from '../support/laptop.ts';
import { assertNoSecret } from '../support/secrecy.ts';
import { atTerminal } from '../support/typist.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(
  faults?: Faults,
  options?: Parameters<typeof startDriven>[1],
): Promise<DrivenServer> {
  const server = await startDriven(faults, options);
  cleanups.push(() => server.stop());
  return server;
}

/** Logs in. @throws whatever ssh2 complains about */
function login(
  server: DrivenServer,
  how: ConnectConfig = { password: server.password },
): Promise<Client> {
  const client = new ssh2.Client();
  cleanups.push(() => client.destroy());
  return new Promise((resolve, reject) => {
    client.on('ready', () => resolve(client)).on('error', reject);
    client.on('close', () => reject(new Error('hung up')));
    client.connect({ host: server.host, port: server.port, username: server.sandbox.user, ...how });
  });
}

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
  readonly signal?: string;
}

function run(client: Client, command: string, { input = '', pty = false } = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    client.exec(command, { pty }, (error: Error | undefined, channel: ClientChannel) => {
      if (error) return reject(error);
      let [stdout, stderr, status, signal] = [
        '',
        '',
        null as number | null,
        undefined as string | undefined,
      ];
      channel.on('data', (data: Buffer) => (stdout += data.toString()));
      channel.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
      channel.on('exit', (code: number | null, name?: string) => ([status, signal] = [code, name]));
      channel.on('close', () => resolve({ stdout, stderr, status, ...(signal && { signal }) }));
      channel.end(input);
    });
  });
}

/** One command for an account of its own. */
async function runOn(
  server: DrivenServer,
  command: string,
  how?: { input?: string; pty?: boolean },
): Promise<Ran> {
  return run(await login(server), command, how);
}

describe('logging in', () => {
  it('takes the password, and no other', async () => {
    const server = await start();
    await expect(login(server, { password: 'wrong' })).rejects.toThrow(
      /authentication methods failed/,
    );
    expect(await runOn(server, 'echo in')).toMatchObject({ stdout: 'in\n', status: 0 });
    expect(server).toMatchObject({ connections: 2, logins: ['password'] });
  });

  it.each([
    ['as sshd wants it', 0o700, 0o600, true],
    ['with authorized_keys writable by all', 0o700, 0o666, false],
    ['with .ssh writable by the group', 0o770, 0o600, false],
  ])('takes an authorized key %s: %o %o', async (_how, folderMode, fileMode, admitted) => {
    const server = await start();
    const pair = await makeKeyPair(new Secret(''), 'test');
    const other = await makeKeyPair(new Secret(''), 'other');
    const ssh = join(server.sandbox.home, '.ssh');
    mkdirSync(ssh);
    const line = `no-pty ${pair.publicKey.type} ${pair.publicKey.blob} me`;
    writeFileSync(join(ssh, 'authorized_keys'), `# comment\n${line}\n`);
    chmodSync(join(ssh, 'authorized_keys'), fileMode);
    chmodSync(ssh, folderMode);
    for (const path of [ssh, join(ssh, 'authorized_keys')]) server.sandbox.own(path);
    const attempt = login(server, { privateKey: pair.privateText.reveal() });
    expect(await attempt.then(Boolean, String)).toEqual(
      admitted ? true : expect.stringMatching(/methods failed/),
    );
    await expect(login(server, { privateKey: other.privateText.reveal() })).rejects.toThrow(
      /methods failed/,
    );
    expect(server.logins).toEqual(admitted ? ['publickey'] : []);
  });

  it('shows the door after six wrong passwords', async () => {
    const server = await start();
    let tries = 0;
    const attempt = login(server, {
      authHandler: (_left, _partial, next) => {
        tries++;
        next({ type: 'password', username: server.sandbox.user, password: 'wrong' });
      },
    });
    await expect(attempt).rejects.toThrow();
    expect(tries).toBe(7);
  });
});

describe('commands', () => {
  it('run in the login shell, in the home, as the account', async () => {
    const server = await start();
    const { sandbox } = server;
    const script =
      'printf "%s\\n" "$HOME" "$(pwd -P)" "$USER" "$SHELL" "$0" "$(id -un)" "$(id -u)"';
    const { stdout } = await runOn(server, script);
    const { home, user, uid } = sandbox;
    expect(stdout.split('\n')).toEqual([
      home,
      home,
      user,
      '/bin/bash',
      'bash',
      user,
      String(uid),
      '',
    ]);
    expect(uid).not.toBe(0);
  });

  it('have standard input, both outputs and an exit status', async () => {
    const server = await start();
    const ran = await runOn(server, 'exec sh', {
      input: 'cat >&2 <<x\nto stderr\nx\necho out; exit 7\n',
    });
    expect(ran).toEqual({ stdout: 'out\n', stderr: 'to stderr\n', status: 7 });
  });

  it('carry large data both ways', async () => {
    const server = await start();
    const input = 'x'.repeat(3_000_000);
    expect((await runOn(server, 'cat', { input })).stdout.length).toBe(input.length);
  });

  it('tell the signal that ended them', async () => {
    const server = await start();
    expect(await runOn(server, 'kill -TERM $$')).toMatchObject({ signal: 'SIGTERM' });
  });

  it('speak with one voice where a terminal was asked for', async () => {
    const server = await start();
    expect(await runOn(server, 'echo a; echo b >&2', { pty: true })).toMatchObject({
      stdout: 'a\nb\n',
      stderr: '',
    });
  });

  it('end when the client hangs up', async () => {
    const server = await start();
    const client = await login(server);
    const mark = join(server.sandbox.home, 'pid');
    client.exec('echo $$ >pid; sleep 100', () => undefined);
    while (statSync(mark, { throwIfNoEntry: false })?.size === undefined) await pause();
    while (readFileSync(mark, 'utf8') === '') await pause();
    client.destroy();
    while (isAlive(Number(readFileSync(mark, 'utf8')))) await pause();
  });
});

describe('what a sandbox cannot have', () => {
  const lookUp =
    'getent passwd "$(id -un)"; getent passwd "$(id -u)" | cut -d: -f1; getent passwd | grep -c "^demo:"';

  it('is told by getent', async () => {
    const server = await start();
    const { home, uid, gid } = server.sandbox;
    const entry = `demo:x:${uid}:${gid}:A throw-away account:${home}:/bin/bash`;
    expect((await runOn(server, lookUp)).stdout).toBe(`${entry}\ndemo\n1\n`);
    expect((await runOn(server, 'getent passwd root')).stdout).toMatch(/^root:/);
    expect((await runOn(server, `getent group ${gid}`)).stdout).toBe(`demo:x:${gid}:\n`);
    expect(await runOn(server, 'getent passwd nobody-at-all')).toMatchObject({
      stdout: '',
      status: 2,
    });
    expect((await runOn(server, 'getent hosts localhost')).stdout).toMatch(/localhost/);
  });

  it('is changed by chsh, with the password', async () => {
    const server = await start({}, { shells: ['/bin/bash', '/bin/sh'] });
    const chsh = (shell: string, password: string): Promise<Ran> =>
      runOn(server, `chsh -s ${shell}`, { input: `${password}\n` });
    expect(await chsh('/bin/sh', 'wrong')).toEqual({
      stdout: '',
      stderr: 'Password: chsh: PAM: Authentication failure\n',
      status: 1,
    });
    expect(await chsh('/bin/zsh', server.password)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/invalid shell/) as string,
    });
    expect(server.sandbox.loginShell()).toBe('/bin/bash');
    expect(await chsh('/bin/sh', server.password)).toEqual({
      stdout: '',
      stderr: 'Password: ',
      status: 0,
    });
    expect(server.sandbox.loginShell()).toBe('/bin/sh');
    expect((await runOn(server, 'echo "$0 $SHELL"')).stdout).toBe('sh /bin/sh\n');
    assertNoSecret(server.password, { folders: [server.sandbox.folder] });
  });

  it('keeps the real sudo away', async () => {
    const server = await start();
    expect(await runOn(server, 'sudo -k -n true')).toMatchObject({ status: 1 });
  });

  it('is a list of shells of its own, in commands and in scripts, cut anywhere', async () => {
    const shells = ['/bin/bash', '/opt/shell'];
    const server = await start({}, { shells });
    const list = shells.map((shell) => `${shell}\n`).join('');
    expect((await runOn(server, 'cat /etc/shells')).stdout).toBe(list);
    expect((await runOn(server, 'sh', { input: 'cat /etc/shells\n' })).stdout).toBe(list);
    const translate = server.sandbox.translation();
    const script = 'cat /etc/shells /etc /etc/shells/etc/shells /etc/she';
    const pieces = Array.from(script, (letter) => translate(Buffer.from(letter)).toString());
    expect(`${pieces.join('')}${translate(Buffer.from('\n')).toString()}`).toBe(
      server.sandbox.translate(`${script}\n`),
    );
  });
});

describe('SFTP', () => {
  async function sftpTo(server: DrivenServer): Promise<SftpClient> {
    const sftp = new SftpClient();
    cleanups.push(() => sftp.end());
    const { host, port, password } = server;
    await sftp.connect({ host, port, username: server.sandbox.user, password });
    return sftp;
  }

  it('does what ssh2-sftp-client can do', async () => {
    const server = await start();
    const sftp = await sftpTo(server);
    const bytes = Buffer.alloc(300_000, 'abc');
    expect(await sftp.realPath('.')).toBe(server.sandbox.home);
    await sftp.mkdir('a/b', true);
    await sftp.put(bytes, 'a/b/large');
    await sftp.chmod('a/b/large', 0o640);
    expect(await sftp.stat('a/b/large')).toMatchObject({
      mode: 0o100640,
      size: 300_000,
      uid: server.sandbox.uid,
    });
    expect(bytes.equals((await sftp.get('a/b/large')) as Buffer)).toBe(true);
    await sftp.put(Buffer.from('old'), 'target');
    await expect(sftp.rename('a/b/large', 'target')).rejects.toThrow();
    await sftp.posixRename('a/b/large', 'target');
    expect((await sftp.list('.')).map(({ name, size, type }) => [name, type, size])).toContainEqual(
      ['target', '-', 300_000],
    );
    expect(await sftp.exists('a/b')).toBe('d');
    await sftp.rmdir('a', true);
    await sftp.delete('target');
    expect(await sftp.exists('target')).toBe(false);
    await expect(sftp.get('target')).rejects.toMatchObject({ code: 2 });
  });

  it('does the rest by the protocol', async () => {
    const server = await start();
    const client = await login(server);
    const sftp = await new Promise<ssh2.SFTPWrapper>((resolve, reject) =>
      client.sftp((error, raw) => (error ? reject(error) : resolve(raw))),
    );
    const call = <T = void>(
      go: (done: (error?: Error | null, result?: T) => void) => void,
    ): Promise<T> =>
      new Promise((resolve, reject) =>
        go((error, result) => (error ? reject(error) : resolve(result!))),
      );
    await call((done) => sftp.symlink('.bashrc', 'link', done));
    expect(await call<string>((done) => sftp.readlink('link', done))).toBe('.bashrc');
    expect((await call<ssh2.Stats>((done) => sftp.lstat('link', done))).isSymbolicLink()).toBe(
      true,
    );
    const handle = await call<Buffer>((done) => sftp.open('new', 'wx', 0o600, done));
    await call((done) => sftp.write(handle, Buffer.from('hello'), 0, 5, 0, done));
    await call((done) =>
      sftp.fsetstat(handle, { mtime: 1_000_000_000, atime: 1_000_000_000, mode: 0o755 }, done),
    );
    await call((done) => sftp.ext_openssh_fsync(handle, done));
    expect(await call<ssh2.Stats>((done) => sftp.fstat(handle, done))).toMatchObject({
      size: 5,
      mtime: 1_000_000_000,
    });
    await call((done) => sftp.close(handle, done));
    await expect(call<Buffer>((done) => sftp.open('new', 'wx', done))).rejects.toThrow();
    await call((done) => sftp.setstat('new', { size: 2 }, done));
    expect(readFileSync(join(server.sandbox.home, 'new'), 'utf8')).toBe('he');
    await expect(call((done) => sftp.mkdir('/proc/no', done))).rejects.toThrow();
    await expect(call((done) => sftp.close(Buffer.from('77'), done))).rejects.toThrow(
      /Invalid handle/,
    );
    await expect(call<string>((done) => sftp.realpath('no/such', done))).rejects.toMatchObject({
      code: 2,
    });
  });

  it.runIf(spawnSync('sftp', []).error === undefined)('serves OpenSSH’s client', async () => {
    const server = await start();
    const laptop = new Laptop({ knownHosts: server.knownHosts, files: { up: 'up and down' } });
    cleanups.push(() => laptop.remove());
    const batch = 'put up\nln -s up link\nget up down\nls -l\nrename up there\nput up there\n';
    laptop.write('batch', batch);
    const place = [`-P${server.port}`, `${server.sandbox.user}@${server.host}`];
    const ssh = ['-S', join(laptop.env()['PATH']!.split(':')[0]!, 'ssh'), '-o', 'BatchMode=no'];
    const done = await atTerminal(['sftp', ...ssh, '-b', laptop.path('batch'), ...place], {
      env: laptop.env(),
      cwd: laptop.home,
      answers: [{ prompt: /password:/, type: `${server.password}\r` }],
    }).done;
    expect(done).toMatchObject({ status: 0 });
    expect(laptop.read('down')).toBe('up and down');
    expect((await runOn(server, 'readlink link; cat there')).stdout).toBe('up\nup and down');
  });
});

describe('a driven server', () => {
  it('asks its own questions', async () => {
    const questions = [
      { prompt: 'Password: ', answer: 'one' },
      { prompt: 'Code: ', echo: true, answer: 'two' },
    ];
    const server = await start({ questions });
    const asked: unknown[] = [];
    const client = new ssh2.Client();
    cleanups.push(() => client.destroy());
    await new Promise<void>((resolve, reject) => {
      client.on('ready', resolve).on('error', reject);
      client.on('keyboard-interactive', (_name, _text, _language, prompts, answer) => {
        asked.push(...prompts);
        answer(['one', 'two']);
      });
      client.connect({ host: server.host, port: server.port, username: 'demo', tryKeyboard: true });
    });
    expect(asked).toEqual([
      { prompt: 'Password: ', echo: false },
      { prompt: 'Code: ', echo: true },
    ]);
    expect(server.logins).toEqual(['keyboard-interactive']);
  });

  it('refuses a right password so many times', async () => {
    const server = await start({ wrongTimes: 1 });
    await expect(login(server)).rejects.toThrow(/methods failed/);
    await login(server);
  });

  it('counts sessions', async () => {
    const client = await login(await start({ maxSessions: 1 }));
    const first = run(client, 'sleep 0.2; echo first');
    await expect(run(client, 'echo second')).rejects.toThrow(/open/i);
    expect((await first).stdout).toBe('first\n');
    expect((await run(client, 'echo third')).stdout).toBe('third\n');
  });

  it('has no SFTP, or nothing but SFTP', async () => {
    const server = await start({
      noSftp: true,
      noExec: 'This service allows sftp connections only.',
    });
    const client = await login(server);
    await expect(new Promise((_, reject) => client.sftp(reject))).rejects.toThrow(/subsystem/);
    expect(await run(client, 'true')).toMatchObject({
      stdout: expect.stringMatching(/sftp connections only/) as string,
      status: 1,
    });
    expect(server.commands).toEqual(['true']);
  });

  it.each(['connect', 'login', 'session', 'exec'] as const)(
    'hangs up at the moment “%s”',
    async (hangUp) => {
      const server = await start({ hangUp });
      const visit = async (): Promise<void> => {
        const ran = await run(await login(server), 'echo reached');
        if (ran.status === null) throw new Error('hung up');
      };
      await expect(visit()).rejects.toThrow();
    },
  );

  it('hangs up after so many bytes', async () => {
    const server = await start({ hangUpAfter: 100 });
    await expect(login(server)).rejects.toThrow();
  });

  it('is silent, or says something else, or greets with a banner', async () => {
    const hear = (server: DrivenServer): Promise<string> =>
      new Promise((resolve) => {
        let text = '';
        const socket = connect(server.port, server.host);
        socket.on('data', (data) => (text += data.toString())).on('close', () => resolve(text));
        setTimeout(() => socket.destroy(), 300);
      });
    expect(await hear(await start({ silent: 'connect' }))).toBe('');
    expect(await hear(await start({ says: 'HTTP/1.1 400 Bad Request\r\n' }))).toMatch(/^HTTP/);
    expect(await hear(await start())).toMatch(/^SSH-2.0-prep_embedded\r\n/);
    const server = await start({}, { banner: 'Authorized use only\n' });
    const client = new ssh2.Client();
    cleanups.push(() => client.destroy());
    const banner = new Promise((resolve) => client.on('banner', resolve));
    client.connect({
      host: server.host,
      port: server.port,
      username: 'demo',
      password: server.password,
    });
    expect(await banner).toMatch(/^Authorized use only\s+$/);
  });
});

describe('the demonstration', () => {
  it('makes both sides, lets one prepare the other, and tells what is left', async () => {
    const lines: string[] = [];
    let secret = '';
    const status = await runDemo(
      async (destination, { home, password, knownHosts }) => {
        secret = password.reveal();
        expect(destination).toMatchObject({ user: 'demo', host: '127.0.0.1' });
        expect(readFileSync(knownHosts, 'utf8')).toMatch(
          `[127.0.0.1]:${destination.port} ssh-ed25519 `,
        );
        expect(statSync(join(home, '.ssh/id_ed25519')).mode & 0o777).toBe(0o600);
        return Promise.resolve(7);
      },
      (line) => lines.push(line),
    );
    const folder = /rm -r (\S+)/.exec(lines.join('\n'))![1]!;
    cleanups.push(() => spawnSync('rm', ['-r', folder]));
    expect(status).toBe(7);
    assertNoSecret(secret, { printed: { lines: lines.join('\n') }, folders: [folder] });
  });
});

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
