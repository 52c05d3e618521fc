import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawn as spawnPty, type IPty } from '@lydell/node-pty';
import { expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { ran, useSshd, type Ran, type Stage, type Visit } from '../support/stage.ts';

const MAIN = resolve('dist/main.cjs');
const WAYS = [
  ['OpenSSH', []],
  ['ssh2', ['--transport', 'ssh2']],
] as const;

describeSshd('prep open', () => {
  const stage = useSshd();

  test('runs screen, over a master that others use meanwhile', async () => {
    const visit = authorized(stage);
    const session = new Sitting(visit, [visit.destination]);
    await session.until(/\$ $/);
    session.type('echo "in $STY"\r');
    await session.until(/in \d+\.\S+/);
    const [line = ''] = (await prep(visit, 'open', '--list')).stdout.split('\n');
    expect(line).toContain(`${visit.account.name}@127.0.0.1`);
    const socket = line.split(' ').at(-1)!;
    expect(Buffer.byteLength(socket)).toBeLessThan(104 - 17);
    const other = await ran('ssh', ['-S', socket, 'x', 'whoami'], visit.laptop.env());
    expect(other).toMatchObject({ status: 0, stdout: `${visit.account.name}\n` });
    expect(stage.server.connections()).toBe(1);
    session.type('exit\r');
    expect(await session.ended).toBe(0);
    expect(session.modes()).toMatch(/ icanon .* echo /);
    expect((await prep(visit, 'open', '--list')).stdout).toBe('');
    expect(existsSync(socket)).toBe(false);
  });

  test.each(WAYS)(
    'runs another command, and passes its exit status on, over %s',
    async (_way, args) => {
      const visit = authorized(stage);
      const session = new Sitting(visit, [...args, visit.destination, '--', 'tty;', 'exit 5']);
      expect(await session.ended).toBe(5);
      expect(session.seen).toMatch(/\/dev\/pts\/\d+/);
    },
  );

  test.each(WAYS)(
    'tells the size of the window, and when it changes, over %s',
    async (_way, args) => {
      const visit = authorized(stage);
      const session = new Sitting(visit, [...args, visit.destination, '--', 'PS1=\\>\\  sh']);
      await session.until(/> $/);
      session.type('stty size\r');
      await session.until(/\b30 100\r/);
      session.resize(77, 22);
      await sleep(300);
      session.type('stty size\r');
      await session.until(/\b22 77\r/);
      session.type('exit\r');
      expect(await session.ended).toBe(0);
    },
  );

  test.each(WAYS)('sends Ctrl-C to the program there, over %s', async (_way, args) => {
    const visit = authorized(stage);
    // ssh may pass on the first words before it has the terminal.
    const command = `trap 'echo caught; exit 4' INT; sleep 1; echo ready; while :; do sleep 0.1; done`;
    const session = new Sitting(visit, [...args, visit.destination, '--', command]);
    await session.until(/ready/);
    session.type('\x03');
    expect(await session.ended).toBe(4);
    expect(session.seen).toContain('caught');
    expect(session.modes()).toMatch(/ icanon .* echo /);
  });

  test.each(WAYS)(
    'gives the terminal back when the connection breaks, over %s',
    async (_way, args) => {
      const visit = authorized(stage);
      const session = new Sitting(visit, [
        ...args,
        visit.destination,
        '--',
        'echo ready; sleep 50',
      ]);
      await session.until(/ready/);
      visit.account.remove();
      expect(await session.ended).toBe(255);
      expect(session.modes()).toMatch(/ icanon .* echo /);
      await nothingLeft(visit);
    },
  );

  test('asks for the password first', async () => {
    const visit = stage.visit();
    const session = new Sitting(visit, [visit.destination, '--', 'whoami']);
    await session.until(/'s password:/);
    session.type(`${visit.account.password}\r`);
    expect(await session.ended).toBe(0);
    expect(session.seen).toMatch(new RegExp(`${visit.account.name}\\r\\n`));
    expect(session.seen).not.toContain(visit.account.password);
  });

  test.each([
    ['tmux where there is no screen', ['tmux'], /there is no screen|has no screen; this is tmux/],
    [
      'the login shell where there is neither',
      [],
      /has neither screen nor tmux; this is your login shell/,
    ],
  ])('starts %s, and says so', async (_what, programs, said) => {
    const visit = authorized(stage);
    visit.account.write('.bashrc', `PATH=~/bin\n`);
    visit.account.write('bin/', {});
    for (const name of [...programs, 'whoami']) {
      const link = execFileSync('which', [name], { encoding: 'utf8' }).trim();
      visit.account.write(`bin/${name}`, { link });
    }
    const session = new Sitting(visit, [visit.destination]);
    await session.until(said);
    session.type('exit\r');
    expect(await session.ended).toBe(0);
  });

  test('opens its master where ssh_config wants it, over a dead one too', async () => {
    const visit = authorized(stage);
    const { laptop } = visit;
    const socket = laptop.path('cm');
    laptop.write(
      '.ssh/config',
      `Host *\n  ControlPath ${socket}\n  UserKnownHostsFile ${laptop.path('.ssh/known_hosts')}\n`,
    );
    execFileSync('python3', [
      '-c',
      `import socket; socket.socket(socket.AF_UNIX).bind('${socket}')`,
    ]);
    const first = new Sitting(visit, [visit.destination, '--', 'echo ready; sleep 50']);
    await first.until(/ready/);
    expect((await prep(visit, 'open', '--list')).stdout).toContain(socket);
    const second = new Sitting(visit, [visit.destination, '--', 'echo second']);
    expect(await second.ended).toBe(0);
    expect(stage.server.connections()).toBe(1);
    const ended = await prep(visit, 'open', '--exit', visit.destination);
    expect(ended, ended.stderr).toMatchObject({ status: 0 });
    expect(await first.ended).toBe(255);
    expect(existsSync(socket)).toBe(false);
  });

  test('--exit tells where there is nothing to end', async () => {
    const visit = stage.visit();
    const none = await prep(visit, 'open', '--exit', visit.destination);
    expect(none).toMatchObject({ status: 1, stdout: '' });
    expect(none.stderr).toMatch(
      /^prep: no connection is open for sharing; see prep open --list\n$/,
    );
    expect(await prep(visit, 'open', '--exit', 'all')).toMatchObject({ status: 0 });
  });

  test('leaves no process and no socket behind when it is killed', async () => {
    const visit = authorized(stage);
    const session = new Sitting(visit, [visit.destination, '--', 'echo ready; sleep 50']);
    await session.until(/ready/);
    session.kill('SIGKILL');
    await session.ended;
    await nothingLeft(visit);
  });
});

function authorized(stage: Stage): Visit {
  const visit = stage.visit();
  visit.authorize();
  return visit;
}

function prep({ laptop }: Visit, ...args: readonly string[]): Promise<Ran> {
  return ran(process.execPath, [MAIN, ...args], laptop.env());
}

/** `prep open` at a terminal, typed at as the test goes on. */
class Sitting {
  readonly ended: Promise<number>;
  readonly #pty: IPty;
  /** All that was printed. */
  seen = '';
  #heard: () => void = () => undefined;
  #at = 0;

  constructor({ laptop }: Visit, args: readonly string[]) {
    // The shell keeps the terminal open, so that its modes can be read afterwards.
    const script = '"$@"; status=$?; echo "modes: "$(stty -a) >&2; exit $status';
    const words = ['-c', `trap : INT; ${script}`, 'sh', process.execPath, MAIN, 'open', ...args];
    const env = laptop.env();
    this.#pty = spawnPty('/bin/sh', words, { cols: 100, rows: 30, env, cwd: laptop.home });
    this.#pty.onData((text) => {
      this.seen += text;
      this.#heard();
    });
    this.ended = new Promise((done) => this.#pty.onExit(({ exitCode }) => done(exitCode)));
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  resize(columns: number, rows: number): void {
    this.#pty.resize(columns, rows);
  }

  /** Waits until what was printed since the last wait matches. @throws Error with all that was printed */
  async until(pattern: RegExp): Promise<void> {
    const late = sleep(20_000).then(() => {
      throw new Error(`${String(pattern)} did not come:\n${this.seen}`);
    });
    const there = (async () => {
      while (!pattern.test(this.seen.slice(this.#at))) {
        await new Promise<void>((done) => (this.#heard = done));
      }
    })();
    await Promise.race([there, late]);
    this.#at = this.seen.length;
  }

  /** The modes of the terminal, after the end. */
  modes(): string {
    return / ?modes: (.*)/.exec(this.seen)?.[1] ?? '';
  }

  /** Kills prep itself. */
  kill(signal: NodeJS.Signals): void {
    const pids = execFileSync('pgrep', ['-P', String(this.#pty.pid)], { encoding: 'utf8' });
    process.kill(Number(pids.trim()), signal);
  }
}

async function nothingLeft({ laptop }: Visit): Promise<void> {
  const temporary = laptop.env()['TMPDIR']!;
  const left = (): string[] => [
    ...readdirSync(temporary).filter((name) => name.startsWith('prep-')),
    ...execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(join(temporary, 'prep-'))),
  ];
  for (let waited = 0; left().length > 0 && waited < 3000; waited += 50) await sleep(50);
  expect(left()).toEqual([]);
}
