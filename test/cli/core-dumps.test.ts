import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LoginShellChange } from '../../src/core/plan.ts';
import { Secret } from '../../src/core/secret.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { randomPassword } from '../support/account.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { localSession } from '../support/local-session.ts';
import { assertNoSecret } from '../support/secrecy.ts';
import { useSshd } from '../support/stage.ts';

/** Why no core dump can be had here; undefined where one can. */
function whyNone(): string | undefined {
  if (process.platform !== 'linux') return 'not Linux';
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  if (/^[|/]/.test(pattern)) return `core dumps go elsewhere: ${pattern}`;
  const hard = spawnSync('sh', ['-c', 'ulimit -H -c'], { encoding: 'utf8' }).stdout.trim();
  return hard === 'unlimited' ? undefined : 'core dumps are not allowed';
}

const why = whyNone();
const title = why === undefined ? '' : ` (skipped: ${why})`;

const limit = (cores: string): unknown =>
  spawnSync('prlimit', ['--pid', String(process.pid), `--core=${cores}`]);
const coresIn = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.startsWith('core'));

describe.skipIf(why !== undefined)(`a core dump${title}`, () => {
  const password = randomPassword();
  let home: string;
  beforeAll(() => void limit('unlimited:unlimited'));
  afterAll(() => void limit('0:unlimited'));
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'prep-core-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  test.each([
    ['of node', process.execPath, ['-e', 'process.abort()']],
    ['of a shell', 'sh', ['-c', 'kill -ABRT $$']],
  ])('%s has what is in its memory, if nothing is done about it', (_, file, args) => {
    spawnSync(file, args, { cwd: home, env: { ...process.env, SECRET: password } });
    expect(coresIn(home)).toHaveLength(1);
    expect(() => assertNoSecret(password, { folders: [home] })).toThrow(/stands in/);
  });

  test('of the shell that keeps it for chsh is not made', async () => {
    const heard = join(home, 'heard');
    const tools = join(home, 'tools');
    spawnSync('mkdir', [tools]);
    const script = `#!/bin/sh\nread -r word; echo "\${#word}" >${heard}; kill -ABRT $PPID\n`;
    writeFileSync(join(tools, 'chsh'), script, { mode: 0o755 });
    const session = localSession({ home, path: `${tools}:${process.env['PATH']}` });
    const probe = { readings: [], loginShell: 'bash' };
    const { account } = await ShellAccount.open(session, probe);
    const change: LoginShellChange = {
      what: 'login-shell',
      before: '/bin/sh',
      after: '/bin/bash',
      by: 'chsh',
      as: 'self',
      reason: 'a test',
    };
    const secret = new Secret(password);
    const applying = { run: '0001-test', readings: [], stepOf: () => 'test', password: secret };
    const { outcomes } = await account.apply([change], applying);
    account.close();
    expect(outcomes).toMatchObject([{ result: 'unknown' }]);
    expect(readFileSync(heard, 'utf8')).toBe(`${password.length}\n`);
    expect(coresIn(home)).toEqual([]);
  });

  describeSshd('of prep', () => {
    const stage = useSshd();

    test('has no password in it', async () => {
      const visit = stage.visit();
      const signal = { when: /"type":"outcome"/, send: 'SIGABRT' } as const;
      // This looks for the password in all files of the laptop, too.
      const run = await visit.prep(['--json'], { password: true, signal });
      expect(run.status).toBe(128 + 6);
      expect(coresIn(visit.laptop.home)).toHaveLength(1);
    });
  });
});
