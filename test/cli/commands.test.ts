import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { steps } from '../../steps/index.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { Laptop, runPrep } from '../support/laptop.ts';
import { accountOf, ran, useSshd, type Summary, type Visit } from '../support/stage.ts';

describe('prep', () => {
  let laptop: Laptop;
  beforeAll(() => {
    laptop = new Laptop();
  });
  afterAll(() => laptop.remove());

  test('steps lists the steps in their order, each with one sentence', async () => {
    const run = await runPrep(['steps'], { laptop });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    const lines = run.stdout.trimEnd().split('\n');
    expect(lines.map((line) => line.split(' ')[0])).toEqual([
      'ssh-dir',
      'authorized-keys',
      'permissions',
      'dotfiles',
      'zlogin',
      'login-shell',
    ]);
    steps.forEach(({ title }, index) => expect(lines[index]).toContain(title));
  });

  test.each([['-V'], ['--version']])('%s prints the version', async (flag) => {
    const run = await runPrep([flag], { laptop });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toMatch(/^prep \d+\.\d+\.\d+\n$/);
  });

  test.each([['-h'], ['--help'], ['help']])(
    '%s names every command and every flag',
    async (flag) => {
      const run = await runPrep([flag], { laptop });
      expect(run).toMatchObject({ status: 0, stderr: '' });
      for (const word of [
        'undo',
        'open',
        'run',
        'mastering',
        'steps',
        'demo',
        'completion',
        '-p, --port',
        '-i, --identity',
        '-n, --dry-run',
        '-y, --yes',
        '--only',
        '--skip',
        '--dotfiles',
        '--shell',
        '--password-file',
        '--host-key',
        '--known-hosts',
        '-F, --ssh-config',
        '-J, --jump',
        '-S, --control-path',
        '--hosts',
        '--concurrency',
        '--same-password',
        '--no-verify',
        '--new-password-file',
        '--transport',
        '--shell-fallback',
        '--save-as',
        '--retry',
        '--config',
        '--json',
        '-v, --verbose',
        '-q, --quiet',
        '-V, --version',
        '-h, --help',
        'PREP_PASSWORD',
      ]) {
        expect(run.stdout).toContain(word);
      }
    },
  );

  test.each(['bash', 'zsh', 'fish'])(
    'completion %s is a script that the shell takes',
    async (shell) => {
      const run = await runPrep(['completion', shell], { laptop });
      expect(run).toMatchObject({ status: 0, stderr: '' });
      expect(run.stdout).toContain('dry-run');
      if (spawnSync(shell, ['--version']).status !== 0) return;
      laptop.write('completion', run.stdout);
      const check = spawnSync(shell, ['-n', laptop.path('completion')], { encoding: 'utf8' });
      expect(check).toMatchObject({ status: 0, stderr: '' });
    },
  );

  test('completion of another shell is a usage error', async () => {
    expect(await runPrep(['completion', 'ksh'], { laptop })).toMatchObject({ status: 2 });
  });
});

describeSshd('what a run prints', () => {
  const stage = useSshd();

  test.each(['| head -n 1', '2>&1 | head -n 1'])('may be cut short: %s', async (reader) => {
    const visit = stage.visit();
    const script = `{ "$@"; echo $? >"$HOME/status"; } ${reader}`;
    const words = [process.execPath, resolve('dist/main.cjs'), '-v', visit.destination];
    const env = { ...visit.laptop.env(), PREP_PASSWORD: visit.account.password };
    await ran('sh', ['-c', script, 'sh', ...words], env);
    expect(visit.laptop.read('status')).toBe('0\n');
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });

  test.each<[string, (visit: Visit) => string[], number, string]>([
    ['key', () => ['-i', '/nowhere/key'], 1, 'cannot-read'],
    ['password file', () => ['--password-file', '/nowhere/password'], 1, 'cannot-read'],
    ['folder for the retry file', () => ['--retry', '/nowhere/retry'], 1, 'cannot-write'],
    ['hosts file', () => ['--hosts', '/nowhere/hosts'], 1, 'cannot-read'],
    [
      'sense in the hosts file',
      ({ laptop }) => (laptop.write('hosts', 'web1 -p 0\n'), ['--hosts', laptop.path('hosts')]),
      2,
      'in-hosts-file',
    ],
  ])('--json ends with the summary where there is no %s', async (_what, args, status, code) => {
    const visit = stage.visit();
    const command = ['--json', ...args(visit), 'other@127.0.0.1'];
    const run = await visit.prep(command, { password: true });
    expect(run.status).toBe(status);
    expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
    expect(run.events.map(({ type }) => type)).toEqual(['problem', 'summary']);
    const { accounts } = run.events.at(-1) as unknown as Summary;
    expect(accounts.map(({ destination }) => destination)).toEqual([
      'other@127.0.0.1',
      visit.destination,
    ]);
    for (const account of accounts) {
      expect(account).toMatchObject({ status: 'failed', steps: [], problem: { code } });
    }
  });

  test('--json ends with the summary, whole', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--json'], { password: true });
    expect(run.stdout.trimEnd().split('\n')).toHaveLength(run.events.length);
    expect(run.stderr).toBe('');
    const summary = run.events.at(-1)!;
    expect(Object.keys(summary)).toEqual(['type', 'accounts']);
    const account = accountOf(run);
    expect(account).toMatchObject({
      destination: visit.destination,
      status: 'changed',
      verified: true,
    });
    for (const step of account.steps) {
      expect(Object.keys(step)).toEqual(['name', 'status', 'reason', 'changes']);
      expect(step.reason).not.toBe('');
      for (const change of step.changes) {
        expect(change).toMatchObject({
          what: expect.stringMatching(/^(entry|login-shell)$/),
          path: expect.any(String),
          action: expect.stringMatching(/^(create|replace|mode|link|remove)$/),
          reason: expect.stringMatching(/./),
        });
      }
    }
    expect(account.steps.find(({ name }) => name === 'authorized-keys')!.changes).toMatchObject([
      { what: 'entry', path: '.ssh/authorized_keys', action: 'create' },
    ]);
  });

  test('--json has a summary where the account failed, too', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--json'], { env: { PREP_PASSWORD: 'wrong' } });
    expect(run.status).toBe(1);
    expect(accountOf(run)).toMatchObject({ status: 'failed', steps: [], verified: false });
  });

  test('-q: only problems', async () => {
    const visit = stage.visit();
    expect(await visit.prep(['-q'], { password: true })).toMatchObject({
      status: 0,
      stdout: '',
      stderr: '',
    });
    const run = await visit.prep(['-q', '--shell', 'nosuchshell'], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
  });

  test('-v: what is done, in words, with diffs', async () => {
    const run = await stage.visit().prep(['-v'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toContain('+++ .zshrc');
    expect(run.stdout + run.stderr).toMatch(/trying password/);
  });

  test('several accounts, one after another; one that fails stops no other', async () => {
    const [first, second] = [stage.visit(), stage.visit()];
    const env = { PREP_PASSWORD: second.account.password };
    const args = ['--json', first.destination, second.destination];
    const run = await runPrep(args, { laptop: second.laptop, accounts: [second.account], env });
    expect(run.status).toBe(1);
    const accounts = (run.events.at(-1) as { accounts: { status: string }[] }).accounts;
    expect(accounts.map(({ status }) => status)).toEqual(['failed', 'changed']);
  });
});
