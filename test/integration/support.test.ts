import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { assertNoSecret, Laptop, runPrep } from '../support/laptop.ts';
import { ProcessWatch } from '../support/secrecy.ts';
import { makeAccount, startSshd, type TestAccount, type TestSshd } from '../support/sshd.ts';
import { Terminal } from '../support/terminal.ts';
import { shapeOf } from '../support/tree.ts';
import { atTerminal, type Answer, type TypedRun } from '../support/typist.ts';

describeSshd('a real sshd with PAM', () => {
  let server: TestSshd;
  let account: TestAccount;
  let laptop: Laptop;

  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server?.stop());

  beforeEach(() => {
    server.forget();
    account = makeAccount({
      files: { 'notes/a b': 'hello', run: { content: 'x', mode: 0o700 }, to: { link: 'run' } },
    });
    laptop = new Laptop({ knownHosts: server.knownHosts() });
  });
  afterEach(() => {
    account?.remove();
    laptop?.remove();
  });

  const ssh = (answers: readonly Answer[], ...args: string[]): Promise<TypedRun> => {
    const place = ['-p', String(server.port), `${account.name}@${server.host}`];
    return atTerminal(['ssh', ...place, ...args], { env: laptop.env(), answers }).done;
  };

  it('lets its account in by password, and counts', async () => {
    const run = await ssh(
      [{ prompt: /password:/, type: `${account.password}\r` }],
      'cat "notes/a b"',
    );
    expect(run).toMatchObject({ status: 0, typed: [expect.stringContaining('password:')] });
    expect(run.screen).toMatch(/hello$/);
    expect(server.connections()).toBe(1);
    expect(server.logins()).toEqual([{ method: 'password', user: account.name }]);
    expect(server.refusals()).toBe(0);
    assertNoSecret(account.password, {
      printed: { run: run.output },
      folders: [laptop.home, account.home],
    });
  });

  it('types a wrong password, then the right one, each at its own prompt', async () => {
    const answers = ['wrong', account.password].map((text) => ({
      prompt: /password:$/,
      type: `${text}\r`,
    }));
    const run = await ssh(answers, 'true');
    expect(run).toMatchObject({ status: 0, typed: { length: 2 } });
    expect(server.refusals()).toBe(1);
  });

  it('lets a key in once it is authorized', async () => {
    account.write('.ssh/', { mode: 0o700 });
    account.write('.ssh/authorized_keys', {
      content: laptop.read('.ssh/id_ed25519.pub')!,
      mode: 0o600,
    });
    expect(await ssh([], 'id -un')).toMatchObject({ status: 0, screen: account.name });
    expect(server.logins()).toEqual([{ method: 'publickey', user: account.name }]);
  });

  it.runIf(existsSync('/bin/zsh'))('has a chsh that asks for the password', async () => {
    const answer = (prompt: RegExp): Answer => ({ prompt, type: `${account.password}\r` });
    expect(account.passwdShell()).toBe('/bin/bash');
    const run = await ssh(
      [answer(/'s password:$/), answer(/^Password:/)],
      '-t',
      'chsh -s /bin/zsh',
    );
    expect(run.status).toBe(0);
    expect(account.passwdShell()).toBe('/bin/zsh');
  });

  it('takes snapshots in which every touch shows', () => {
    const before = account.tree();
    expect(before).toMatchObject({
      '.': { type: 'directory' },
      'notes/a b': { type: 'file', mode: '0644', size: 5, owner: account.uid },
      run: { mode: '0700' },
      to: { type: 'symlink', target: 'run' },
    });
    expect(account.tree()).toEqual(before);
    const shape = shapeOf(before);
    account.write('run', { content: 'x', mode: 0o700 });
    expect(account.tree()).not.toEqual(before);
    expect(shapeOf(account.tree())).toEqual(shape);
  });

  it('leaves nothing of an account behind, running processes included', async () => {
    const running = ssh(
      [{ prompt: /password:/, type: `${account.password}\r` }],
      'echo ready; sleep 100',
    );
    while (server.logins().length === 0) await new Promise((done) => setTimeout(done, 20));
    account.remove();
    expect((await running).status).not.toBe(0);
    expect(existsSync(account.home)).toBe(false);
    expect(account.passwdShell()).toBe('');
  });

  it('leaves the next account alone, which may have the uid of one that is gone', async () => {
    account.remove();
    const next = makeAccount();
    try {
      const { uid, gid } = account;
      next.administer('usermod', '--non-unique', '--uid', String(uid));
      const running = spawn('sleep', ['100'], { uid, gid });
      const ended = once(running, 'exit');
      account.remove();
      account.endSessions();
      running.kill('SIGTERM');
      expect(await ended).toEqual([null, 'SIGTERM']);
    } finally {
      next.remove();
    }
  });
});

describeSshd('sshd_config of one test', () => {
  it('can refuse SFTP and force a command', async () => {
    const config = ['MaxSessions 1'];
    const server = await startSshd({
      config,
      sftp: 'none',
      match: ['Match User prep_*', 'ForceCommand echo forced'],
    });
    const account = makeAccount({ shell: '/bin/sh' });
    const laptop = new Laptop({ knownHosts: server.knownHosts() });
    try {
      const at = [`-oPort=${server.port}`, `${account.name}@${server.host}`];
      const answers = [{ prompt: /password:/, type: `${account.password}\r` }];
      const run = (command: readonly [string, ...string[]]): Promise<TypedRun> =>
        atTerminal(command, { env: laptop.env(), answers }).done;
      expect((await run(['ssh', ...at, 'id'])).screen).toMatch(/forced$/);
      expect((await run(['ssh', ...at, '-s', 'sftp'])).status).not.toBe(0);
    } finally {
      account.remove();
      laptop.remove();
      server.stop();
    }
  });

  it('is shown where sshd rejects it', async () => {
    await expect(startSshd({ config: ['NoSuchThing yes'] })).rejects.toThrow(/NoSuchThing/);
  });
});

describe('the search for a secret', () => {
  const secret = 'pwCorrectHorseBattery';

  it('finds it in output and in files, encoded or not', () => {
    const folder = mkdtempSync(join(tmpdir(), 'prep-search-'));
    try {
      assertNoSecret(secret, { printed: { stdout: 'nothing' }, folders: [folder] });
      expect(() => assertNoSecret(secret, { printed: { stdout: `a${secret}b` } })).toThrow(
        /stdout/,
      );
      writeFileSync(join(folder, 'x'), Buffer.from(secret).toString('base64'));
      expect(() => assertNoSecret(secret, { folders: [folder] })).toThrow(/x$/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.runIf(process.platform === 'linux')('finds it on command lines', async () => {
    const watch = new ProcessWatch([secret]);
    await atTerminal(['sh', '-c', 'sleep 0.3', secret], { env: { PATH: '/usr/bin:/bin' } }).done;
    expect(() => watch.stop()).toThrow(/command line of sh/);
  });

  it.runIf(process.platform === 'linux')(
    'finds it in environments, but for one that it was given to',
    async () => {
      const env = { PATH: '/usr/bin:/bin', PREP_PASSWORD: secret };
      const script = 'sleep 0.3; exit 0';
      const watch = new ProcessWatch([secret], [['sh', '-c', script]]);
      await atTerminal(['sh', '-c', `unset PREP_PASSWORD; ${script}`], { env: { PATH: env.PATH } })
        .done;
      watch.stop();
      const other = new ProcessWatch([secret], [['sh', '-c', script]]);
      await atTerminal(['sh', '-c', script], { env }).done;
      expect(() => other.stop()).toThrow(/environment of sleep/);
    },
  );
});

describe('the built command', () => {
  let laptop: Laptop;
  beforeEach(() => {
    laptop = new Laptop();
  });
  afterEach(() => laptop.remove());

  it('runs with pipes', async () => {
    const run = await runPrep(['--no-such-flag'], { laptop });
    expect(run).toMatchObject({ status: 2, stdout: '' });
    expect(run.stderr).toMatch(/^prep: .*--no-such-flag/);
    expect(run.stderr).not.toContain('\x1b');
  });

  it('runs at a terminal, which it leaves as it was', async () => {
    const run = await runPrep(['--version'], { laptop, pty: true });
    const terminal = { echo: true, lines: true, cursor: true };
    expect(run).toMatchObject({ status: 0, terminal, stdout: '', typed: [] });
    expect(run.screen).toMatch(/^prep \d/);
  });

  it('runs at a terminal with its standard output elsewhere', async () => {
    const run = await runPrep(['--version'], { laptop, pty: true, redirect: true });
    expect(run).toMatchObject({ status: 0, screen: '' });
    expect(run.stdout).toMatch(/^prep \d/);
  });
});

describe('the terminal', () => {
  it.each([
    ['plain lines', 'one\r\ntwo\r\n', 'one\ntwo'],
    ['a line redrawn', 'working\r\x1b[2Kdone', 'done'],
    ['a list redrawn from above', 'a\r\nb\r\n\x1b[2A\x1b[JA\r\nB', 'A\nB'],
    ['colours', '\x1b[1;32mgreen\x1b[0m', 'green'],
    ['a sequence cut in two', ['x\x1b[', '2Ky'], ' y'],
    ['a long line, wrapped', 'x'.repeat(120), 'x'.repeat(120)],
    [
      'scrolling',
      Array.from({ length: 40 }, (_, i) => i).join('\r\n'),
      Array.from({ length: 40 }, (_, i) => i).join('\n'),
    ],
    ['a title', '\x1b]0;title\x07text', 'text'],
  ])('shows %s', (_what, written, shown) => {
    const terminal = new Terminal();
    for (const text of [written].flat()) terminal.write(text);
    expect(terminal.text()).toBe(shown);
  });

  it('knows the line of the cursor, wrapped or not, and whether the cursor shows', () => {
    const terminal = new Terminal();
    terminal.write(`first\r\n${'long '.repeat(25)}\x1b[?25l`);
    expect(terminal.cursorLine()).toBe('long '.repeat(25));
    expect(terminal.cursorVisible).toBe(false);
  });

  it('knows what is bold, dim and coloured', () => {
    const terminal = new Terminal();
    terminal.write('a\x1b[1;32mgo\x1b[22;2m.\x1b[39m.\x1b[0m\r\n\x1b[91mno\x1b[m \r\x1b[2Kx');
    const plain = { bold: false, dim: false, colour: undefined };
    expect(terminal.styled()).toEqual([
      [
        { ...plain, text: 'a' },
        { ...plain, text: 'go', bold: true, colour: 2 },
        { ...plain, text: '.', dim: true, colour: 2 },
        { ...plain, text: '.', dim: true },
      ],
      [{ ...plain, text: 'x' }],
    ]);
  });

  it('is really one', () => {
    const { stdout } = spawnSync('sh', ['-c', 'tty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(stdout).toMatch(/not a tty/);
  });

  it('has 100 columns and 30 rows', async () => {
    const run = await atTerminal(['sh', '-c', 'stty size'], { env: { PATH: '/usr/bin:/bin' } })
      .done;
    expect(run).toMatchObject({ status: 0, screen: '30 100' });
  });
});
