import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { runPrep, type PrepRun } from '../support/laptop.ts';
import { ran, useSshd, type PrepFlags, type Visit } from '../support/stage.ts';
import { atTerminal } from '../support/typist.ts';

const MAIN = resolve('dist/main.cjs');

const WAYS = [
  ['ssh2', []],
  ['OpenSSH', ['--transport', 'openssh']],
] as const;

describeSshd('prep run', () => {
  const stage = useSshd();

  test.each(WAYS)('passes output and exit status through, over %s', async (_way, args) => {
    const visit = stage.visit();
    visit.authorize();
    const run = await there(visit, args, ['echo', 'to', 'stdout;', 'echo to stderr >&2; exit 7']);
    expect(run).toMatchObject({ status: 7, stdout: 'to stdout\n', stderr: 'to stderr\n' });
    expect(stage.server.connections()).toBe(1);
  });

  test.each(WAYS)('carries bytes both ways as they are, over %s', async (_way, args) => {
    const visit = stage.visit();
    visit.authorize();
    const bytes = randomBytes(3_000_000);
    const child = start(visit, args, 'cat');
    child.stdin.end(bytes);
    const { status, stdout } = await everything(child);
    expect(status).toBe(0);
    expect(digest(stdout)).toBe(digest(bytes));
  });

  test('reads no more from the server than is taken from it', async () => {
    const visit = stage.visit();
    visit.authorize();
    const child = start(visit, [], 'cat /dev/zero');
    stage.later(() => child.kill('SIGKILL'));
    await new Promise((done) => child.stdout.once('readable', done));
    await sleep(2000);
    expect(residentMemory(child.pid!)).toBeLessThan(200);
  });

  test('asks for the password on the terminal', async () => {
    const visit = stage.visit();
    const run = await there(visit, [], ['whoami'], {
      pty: true,
      answers: [visit.typesPassword()],
      timeout: 25_000,
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.screen).toMatch(new RegExp(`\\n${visit.account.name}$`));
    expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
  });

  test('asks there, too, where standard input is a pipe', async () => {
    const visit = stage.visit();
    const script = `printf 'from the pipe' | "$@"`;
    const words = [MAIN, 'run', visit.destination, '--', 'cat'];
    const { done } = atTerminal(['/bin/sh', '-c', script, 'sh', process.execPath, ...words], {
      env: visit.laptop.env(),
      answers: [visit.typesPassword()],
      timeout: 25_000,
    });
    const run = await done;
    expect(run.status, run.screen).toBe(0);
    expect(run.screen).toMatch(/\nfrom the pipe$/);
  });

  test.each(WAYS)('tells in one sentence what is in its way, over %s', async (_way, args) => {
    const visit = stage.visit();
    const run = await there(visit, args, ['true']);
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: \S+: there is no terminal to ask: [^\n]+\n$/);
  });

  test('ends where known_hosts cannot be written', async () => {
    const visit = stage.visit();
    visit.authorize();
    const place = ['--host-key', 'accept-new', '--known-hosts', '/dev/null/x/known_hosts'];
    const run = await there(visit, place, ['true'], { timeout: 15_000 });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: \S+: cannot write [^\n]+\n$/);
  });

  test.each(WAYS)('ends when nobody reads any more, over %s', async (_way, args) => {
    const visit = stage.visit();
    visit.authorize();
    const words = [process.execPath, MAIN, 'run', ...args, visit.destination, '--', 'yes'];
    const script = '{ "$@"; echo $? >"$HOME/status"; } | head -n 1';
    const run = await ran('sh', ['-c', script, 'sh', ...words], visit.laptop.env());
    expect(run).toMatchObject({ status: 0, stdout: 'y\n', stderr: '' });
    expect(visit.laptop.read('status')).not.toBe('0\n');
  });

  test('passes a signal on to the command, and its end back', async () => {
    const visit = stage.visit();
    visit.authorize();
    const trap = `trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done`;
    const child = start(visit, [], trap);
    child.stdout.once('data', () => child.kill('SIGTERM'));
    const { status, stdout } = await everything(child);
    expect(stdout.toString()).toBe('ready\ncaught\n');
    expect(status).toBe(9);
  });

  test.each([
    ['TERM', 143],
    ['KILL', 137],
  ])('ends as a shell says it of a command that SIG%s ended', async (name, status) => {
    const visit = stage.visit();
    visit.authorize();
    const run = await there(visit, [], [`echo before; kill -${name} $$`]);
    expect(run).toMatchObject({ status, stdout: 'before\n', stderr: '' });
  });

  test.each(WAYS)('ends on a signal where none can be passed on, over %s', async (_way, args) => {
    const visit = stage.visit();
    visit.authorize();
    const run = await there(visit, args, ['echo ready; sleep 30'], {
      signal: { when: /ready/, send: 'SIGTERM' },
      timeout: 15_000,
    });
    expect(run).toMatchObject({ status: 143, stdout: 'ready\n', stderr: '' });
  });

  test('says that the connection broke', async () => {
    const visit = stage.visit();
    visit.authorize();
    const run = await there(visit, [], ['kill -9 $PPID; sleep 5']);
    expect(run.status).toBe(255);
    expect(run.stderr).toMatch(/^prep: \S+: the connection broke; [^\n]+\n$/);
  });
});

/** `prep run ARGS DESTINATION -- COMMAND`. */
function there(
  visit: Visit,
  args: readonly string[],
  command: readonly string[],
  flags: PrepFlags = {},
): Promise<PrepRun> {
  const words = ['run', ...args, visit.destination, '--', ...command];
  return runPrep(words, { laptop: visit.laptop, accounts: [visit.account], ...flags });
}

/** The same with pipes for bytes. */
function start({ laptop, destination }: Visit, args: readonly string[], command: string): Piped {
  const words = [MAIN, 'run', ...args, destination, '--', command];
  return spawn(process.execPath, words, { env: laptop.env(), stdio: 'pipe' });
}

type Piped = ChildProcessByStdio<Writable, Readable, Readable>;

async function everything(child: Piped): Promise<{ status: number | null; stdout: Buffer }> {
  const pieces: Buffer[] = [];
  child.stdout.on('data', (data: Buffer) => pieces.push(data));
  const status = await new Promise<number | null>((done) => child.on('close', done));
  return { status, stdout: Buffer.concat(pieces) };
}

/** Resident memory of a process, in MiB. */
function residentMemory(pid: number): number {
  const [, kilobytes] =
    /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) / 1024;
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
