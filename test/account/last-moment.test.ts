import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ABSENT } from '../../src/core/facts.ts';
import type { Change, CommandChange } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import type { Applied } from '../../src/remote/account.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { directory, file } from '../support/facts.ts';
import { localSession } from '../support/local-session.ts';

const RUN = '0001-test';

let home: string;
let tools: string;
beforeEach(() => {
  [home, tools] = ['home', 'tools'].map((name) => mkdtempSync(join(tmpdir(), `prep-${name}-`))) as [
    string,
    string,
  ];
});
afterEach(() => [home, tools].forEach((folder) => rmSync(folder, { recursive: true })));

const at = (name: string): string => join(home, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');

/** A program of the server that does something else first, as somebody at the same account might at that moment. */
function program(name: string, first: string, then = `exec /bin/${name} "$@"`): void {
  writeFileSync(join(tools, name), `#!/bin/sh\n${first}\n${then}\n`, { mode: 0o755 });
}

async function apply(...changes: readonly Change[]): Promise<Applied> {
  const path = `${tools}:${process.env['PATH'] ?? ''}`;
  const readings = [{ path: remotePath('f'), bytes: 'all' as const }];
  const probe = { readings, loginShell: 'zsh' };
  const { account } = await ShellAccount.open(localSession({ home, path }), probe);
  const applied = await account.apply(changes, { run: RUN, readings, stepOf: () => 'test' });
  account.close();
  return applied;
}

const replace: Change = {
  what: 'entry',
  path: remotePath('f'),
  before: file(0o644, 'old\n'),
  after: file(0o644, 'new\n'),
  reason: 'a test',
};

function run(...argv: readonly string[]): CommandChange {
  return { what: 'command', argv, as: 'self', provides: [], shells: [], reason: 'a test' };
}

/** Whether a process runs still; one that has ended may wait for somebody to take note of it. */
function isAtWork(pid: string): boolean {
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) Z /.test(readFileSync(stat, 'latin1'));
}

describe('an edit at the last moment', () => {
  beforeEach(() => {
    writeFileSync(at('f'), 'old\n');
    chmodSync(at('f'), 0o644);
  });

  test('while the new file is written: it is left alone', async () => {
    program('chmod', 'case $2 in *.prep-*) echo mine >>f;; esac');
    const { outcomes } = await apply(replace);
    expect(outcomes).toMatchObject([{ result: 'stale' }]);
    expect(read('f')).toBe('old\nmine\n');
    expect(readdirSync(home)).toEqual(['.local', 'f']);
  });

  test('just before the new file takes its place: it is kept', async () => {
    program('mv', 'echo mine >>f');
    const { outcomes } = await apply(replace);
    expect(outcomes).toMatchObject([{ result: 'done' }]);
    expect([read('f'), read(`.local/state/prep/${RUN}/1`)]).toEqual(['new\n', 'old\nmine\n']);
  });

  test('that puts a directory there: nothing is moved into it', async () => {
    program('mv', 'rm -f f; mkdir -p f');
    const { outcomes } = await apply(replace);
    expect(outcomes).toMatchObject([
      { result: 'failed', problem: { said: 'a directory stands there' } },
    ]);
    expect(readdirSync(at('f'))).toEqual([]);
    expect(read(`.local/state/prep/${RUN}/1`)).toBe('old\n');
  });
});

test('half a copy of what would be replaced does not stay where it could not be kept', async () => {
  writeFileSync(at('f'), 'old\n');
  chmodSync(at('f'), 0o644);
  const nothing = 'echo "ln: not here" >&2; exit 1';
  program('ln', 'case $1 in -s) ;; *) ' + nothing + ';; esac');
  program('cp', 'printf ol >"$3"; echo "cp: No space left on device" >&2; exit 1');
  const made: Change = { ...replace, path: remotePath('g'), before: ABSENT };
  const { outcomes } = await apply(replace, made);
  expect(outcomes).toMatchObject([
    { result: 'failed', problem: { code: 'disk-full' } },
    { result: 'done' },
  ]);
  expect(read('f')).toBe('old\n');
  expect(readdirSync(at(`.local/state/prep/${RUN}`))).toEqual(['journal']);
});

test('a file is not moved into a directory that was shown', async () => {
  mkdirSync(at('f'), 0o755);
  chmodSync(at('f'), 0o755);
  const { outcomes } = await apply({ ...replace, before: directory(0o755) });
  expect(outcomes).toMatchObject([{ result: 'failed' }]);
  expect(readdirSync(at('f'))).toEqual([]);
});

test('a private file that was sent ahead is at no moment readable to others', async () => {
  const umask = process.umask(0o022);
  program('cksum', 'for p in .prep-*; do [ ! -f "$p" ] || stat -c %a "$p" >>modes; done');
  const { outcomes } = await apply({
    ...replace,
    before: ABSENT,
    after: file(0o600, 'a secret\0'),
  }).finally(() => process.umask(umask));
  expect(outcomes).toMatchObject([{ result: 'done' }]);
  expect(read('modes').split('\n').filter(Boolean)).toEqual(['600']);
});

describe('a program that a step runs', () => {
  test('is not waited for by what it leaves behind', async () => {
    const { outcomes } = await apply(run('sh', '-c', 'sleep 300 & echo $! >pid; echo started'));
    const pid = Number(read('pid'));
    // Still there: the run did not wait until it was gone.
    expect(process.kill(pid, 0)).toBe(true);
    process.kill(pid);
    expect(outcomes).toMatchObject([{ result: 'done' }]);
  });

  test("has the account's own umask", async () => {
    await apply(run('sh', '-c', 'umask >umask'));
    expect(Number.parseInt(read('umask'), 8)).toBe(process.umask());
  });

  test('that fails is quoted, its end', async () => {
    const { outcomes } = await apply(run('sh', '-c', 'echo much; echo "the reason" >&2; exit 3'));
    expect(outcomes).toMatchObject([
      { result: 'failed', problem: { code: 'command-failed', status: 3, said: 'the reason' } },
    ]);
    expect(existsSync(at(`.local/state/prep/${RUN}/said`))).toBe(false);
  });
});

describe('a shell that is to be proven', () => {
  const starts = (shell: string): Change => ({ ...replace, before: ABSENT, starts: shell });

  test('and hangs is ended, though it ignores what would end others', async () => {
    const shell = join(tools, 'hangs');
    writeFileSync(
      shell,
      '#!/bin/sh\ntrap "" TERM HUP INT\necho $$ >pid\nwhile :; do sleep 1; done\n',
      { mode: 0o755 },
    );
    // Not the twenty seconds that a person would have to wait.
    program('timeout', 'shift 3', 'exec /usr/bin/timeout -s KILL 2 "$@"');
    const { outcomes } = await apply(starts(shell));
    const said = 'it was not ready after 20 s';
    expect(outcomes).toMatchObject([
      { result: 'failed', problem: { code: 'shell-does-not-start', said } },
    ]);
    expect(isAtWork(read('pid').trim())).toBe(false);
    expect(existsSync(at('f'))).toBe(false);
  });

  test('may have a loop in a start-up file whose reader has read enough', async () => {
    const shell = join(tools, 'loops');
    const loop = 'while :; do echo word; done 2>/dev/null | head -n 1';
    writeFileSync(shell, `#!/bin/sh\n${loop}\nexec sh -c "$2"\n`, { mode: 0o755 });
    program('timeout', 'shift 3', 'exec /usr/bin/timeout -s KILL 2 "$@"');
    const { outcomes } = await apply(starts(shell));
    expect(outcomes).toMatchObject([{ result: 'done' }]);
  });

  test("has the account's own umask, for what its start-up files write", async () => {
    const shell = join(tools, 'writes');
    writeFileSync(shell, '#!/bin/sh\numask >umask\nexec sh -c "$2"\n', { mode: 0o755 });
    const { outcomes } = await apply(starts(shell));
    expect(outcomes).toMatchObject([{ result: 'done' }]);
    expect(Number.parseInt(read('umask'), 8)).toBe(process.umask());
  });

  test('and prints without end does not fill the disk', async () => {
    const shell = join(tools, 'prints');
    writeFileSync(shell, '#!/bin/sh\nexec cat /dev/zero\n', { mode: 0o755 });
    const { outcomes } = await apply(starts(shell));
    // By SIGXFSZ, long before its time is over.
    const said = expect.stringMatching(
      /^it ended with status (?!137)\d+ before running a command$/,
    );
    expect(outcomes).toMatchObject([
      { result: 'failed', problem: { code: 'shell-does-not-start', said } },
    ]);
    expect(existsSync(at(`.local/state/prep/${RUN}`))).toBe(false);
  });

  test('is not blamed where the proof itself cannot be written', async () => {
    mkdirSync(at(`.local/state/prep/${RUN}/start`), { recursive: true });
    const { outcomes } = await apply(starts('/bin/sh'));
    expect(outcomes).toMatchObject([{ result: 'failed', problem: { code: 'write-failed' } }]);
  });
});
