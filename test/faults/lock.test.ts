import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ABSENT } from '../../src/core/facts.ts';
import type { Change } from '../../src/core/plan.ts';
import { explain, PrepError } from '../../src/core/problem.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { beginning, LEAVING, LOCK, type Holder } from '../../src/remote/lock.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { preamble } from '../../src/remote/shell-text.ts';
import { file } from '../support/facts.ts';
import { localSession } from '../support/local-session.ts';
import { alive, dead, endAll, identity, zombie } from '../support/lock-holders.ts';

let home: string;
let bin: string;
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'prep-lock-'));
  [home, bin] = [join(folder, 'home'), join(folder, 'bin')];
  for (const one of [home, bin]) mkdirSync(one);
});
afterEach(() => {
  endAll();
  rmSync(dirname(home), { recursive: true, force: true });
});

const change: Change = {
  what: 'entry',
  path: remotePath('f'),
  before: ABSENT,
  after: file(0o644, 'new\n'),
  reason: 'a test',
};
const applying = { run: '0001-test', readings: [], stepOf: () => 'test' };

/** A program that the account finds before the system's own. */
function program(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

async function open(onWaiting?: (holder: Holder) => void): Promise<ShellAccount> {
  const session = localSession({ home, path: `${bin}:${process.env['PATH']}` });
  const probe = { readings: [{ path: remotePath('f') }], loginShell: 'zsh' };
  return (await ShellAccount.open(session, probe, undefined, onWaiting)).account;
}

function lock(holder: string, name: string = LOCK): void {
  mkdirSync(join(home, dirname(name)), { recursive: true });
  symlinkSync(holder, join(home, name));
}

const locked = (): boolean => lstatSync(join(home, LOCK), { throwIfNoEntry: false }) !== undefined;

async function applies(): Promise<void> {
  const account = await open();
  const { outcomes } = await account.apply([change], applying);
  account.close();
  expect(outcomes.map(({ result }) => result)).toEqual(['done']);
  expect(readFileSync(join(home, 'f'), 'utf8')).toBe('new\n');
  expect(readdirSync(dirname(join(home, LOCK)))).toEqual(['0001-test']);
}

describe('a lock', () => {
  test('is gone after a run, whether or not it came to anything', async () => {
    await applies();
    rmSync(join(home, 'f'));
    writeFileSync(join(home, 'f'), 'edited');
    const account = await open();
    const { outcomes } = await account.apply([change], { ...applying, run: '0002-test' });
    account.close();
    expect(outcomes[0]?.result).toBe('stale');
    expect(readdirSync(dirname(join(home, LOCK)))).toEqual(['0001-test']);
  });

  test('is not taken by a run that only reads', async () => {
    (await open()).close();
    expect(readdirSync(home)).toEqual([]);
  });

  test('makes the next run wait, read again and go on', async () => {
    const pid = alive();
    lock(identity(pid));
    const heard: Holder[] = [];
    const account = await open((holder) => {
      heard.push(holder);
      rmSync(join(home, LOCK));
    });
    account.close();
    expect(heard).toEqual([
      { process: String(pid), host: expect.any(String), since: '2026-01-02 03:04:05 UTC' },
    ]);
  });

  test('that stays makes the next run say so, and change nothing', async () => {
    program('sleep', 'exit 0');
    const holder = identity(alive());
    lock(holder);
    const error = await open().catch((error: unknown) => error as PrepError);
    expect(error).toBeInstanceOf(PrepError);
    expect((error as PrepError).message).toMatch(
      /^another run of prep has been at work there since 2026-01-02 03:04:05 UTC \(process \d+ on \S+\); run prep again when it has ended, or end that process$/,
    );
    expect(readdirSync(home)).toEqual(['.local']);
  });

  test('that is taken between reading and writing makes the changes wait, and then be refused', async () => {
    program('sleep', 'exit 0');
    const account = await open();
    lock(identity(alive()));
    const { outcomes } = await account.apply([change], applying);
    account.close();
    const [outcome] = outcomes;
    expect(outcome).toMatchObject({ result: 'failed', problem: { code: 'busy' } });
    expect(existsSync(join(home, 'f'))).toBe(false);
    expect(readdirSync(dirname(join(home, LOCK)))).toEqual(['lock']);
  });

  test('of a run that did the same in the meantime leaves nothing to do', async () => {
    const account = await open();
    await applies();
    const { outcomes } = await account.apply([change], { ...applying, run: '0002-test' });
    account.close();
    expect(outcomes.map(({ result }) => result)).toEqual(['done']);
    expect(readdirSync(dirname(join(home, LOCK)))).toEqual(['0001-test']);
  });

  test('with control characters in it does nothing to the terminal', () => {
    const [process, since, host] = ['\x1b]0;x\x07', '\x1b[2J', '\x1b[H'];
    const { sentence } = explain({ code: 'busy', process, since, host });
    // oxlint-disable-next-line no-control-regex -- exactly those must not be there
    expect(sentence).not.toMatch(/[\x00-\x1f\x7f]/);
  });
});

describe('a lock that its owner left behind is taken over at once:', () => {
  test.each<[string, () => string | Promise<string>]>([
    ['the process is gone', () => identity(dead())],
    ['the process has ended, and nobody took note', zombie],
    ['its number belongs to another by now', () => identity(alive(), { 1: '1' })],
    ['the machine was started again', () => identity(alive(), { 3: 'another-boot' })],
  ])('%s', async (_, holder) => {
    lock(await holder());
    await applies();
  });

  test('it was left on another machine, an hour ago by the clock here', async () => {
    lock(identity(1, { 4: 'elsewhere/' }));
    execFileSync('touch', ['-h', '-d', '61 minutes ago', join(home, LOCK)]);
    await applies();
  });

  test('prep has not written it, an hour ago by the clock here', async () => {
    lock('who knows');
    execFileSync('touch', ['-h', '-d', '61 minutes ago', join(home, LOCK)]);
    await applies();
  });

  test('so was the one that guards the taking over', async () => {
    lock(identity(dead()));
    lock(identity(dead()), `${LOCK}x`);
    await applies();
  });

  test('but not one of another machine that is younger', async () => {
    program('sleep', 'exit 0');
    lock(identity(1, { 4: 'elsewhere/' }));
    await expect(open()).rejects.toMatchObject({ problem: { code: 'busy', host: 'elsewhere' } });
    expect(locked()).toBe(true);
  });
});

/** Adds one to a number in a file, slowly, under the lock. */
const COUNTING = `
cd "$HOME"; R=.local/state/prep/$1
run() {
${LEAVING}${beginning([])}
n=$(cat count); sleep 0.01; echo $((n+1)) >count; leave; }
run`;

test.each(['dash', 'bash', 'busybox', 'mksh', 'ksh93', 'zsh'])(
  'of many runs at once under %s, with a dead lock in the way, one works at a time',
  async (shell) => {
    if (!existsSync(`/bin/${shell}`)) return;
    const sh = join(bin, 'sh');
    symlinkSync(`/bin/${shell}`, sh);
    const sleep = existsSync('/usr/bin/sleep') ? '/usr/bin/sleep' : '/bin/sleep';
    // What would be a second is short here; a hundredth stays one.
    program('sleep', `case $1 in 1) set -- 0.03;; esac; exec ${sleep} "$1"`);
    lock(identity(dead()));
    writeFileSync(join(home, 'count'), '0\n');
    const script = `${preamble('marker')}${COUNTING}`;
    const env = { HOME: home, PATH: `${bin}:${process.env['PATH']}` };
    const runs = Array.from({ length: 12 }, (_, index) => {
      const child = spawn(sh, ['-c', script, 'sh', `${index}`], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.on('data', (data: Buffer) => (said += String(data)));
      return new Promise<string>((done) => child.on('close', () => done(said)));
    });
    const said = await Promise.all(runs);
    expect(said.filter((text) => /busy|refused/.test(text))).toEqual([]);
    expect(readFileSync(join(home, 'count'), 'utf8')).toBe('12\n');
    expect(readdirSync(dirname(join(home, LOCK)))).toEqual([]);
  },
);

describe('the next run that changes something sweeps', () => {
  const left = (run: string, owner: string): void => {
    const folder = join(home, '.local/state/prep', run);
    mkdirSync(folder, { recursive: true });
    symlinkSync(owner, join(folder, 'owner'));
    writeFileSync(join(folder, 'sent-1-2-3'), 'abc');
    writeFileSync(join(folder, 'beside'), './\n./with space \\0047/\n');
    mkdirSync(join(home, "with space '"), { recursive: true });
    for (const name of ['', "with space '/"]) {
      writeFileSync(join(home, `${name}.prep-${run}-1`), 'half');
    }
  };
  const seen = (): string[] =>
    readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /prep-\d|sent-|owner|beside/.test(name),
    );

  test('what a dead run left, and an empty folder with it', async () => {
    left('0001-dead', identity(dead()));
    writeFileSync(join(home, '.prep-mine'), 'the name is no proof');
    await applies();
    expect(seen()).toEqual([]);
    expect(existsSync(join(home, '.prep-mine'))).toBe(true);
  });

  test('nothing of a run that is alive', async () => {
    left('0001-alive', identity(alive()));
    const before = seen();
    const account = await open();
    await account.apply([change], { ...applying, run: '0002-test' });
    account.close();
    expect(seen()).toEqual(before);
  });

  test('and one that changes nothing leaves even that alone', async () => {
    left('0001-dead', identity(dead()));
    const before = seen();
    (await open()).close();
    expect(seen()).toEqual(before);
  });
});
