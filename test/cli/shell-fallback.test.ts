import { appendFileSync, chownSync, existsSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { logIn } from '../support/interactive.ts';
import type { PrepRun } from '../support/laptop.ts';
import { accountOf, ran, statusesOf, useSshd, type Visit } from '../support/stage.ts';

const DOTFILES = { '.zshenv': '', '.zshrc': 'PS1="%~ %# "\n', '.screenrc': '' };

/** Login shells, and the file in which each is made to start zsh. */
const SHELLS: readonly (readonly [shell: string, rc: string])[] = [
  ['/bin/bash', '.profile'],
  ['/bin/dash', '.profile'],
  ['/bin/sh', '.profile'],
  ['/bin/mksh', '.profile'],
  ['/bin/ksh93', '.profile'],
  ['/bin/tcsh', '.login'],
  ['/usr/bin/fish', '.config/fish/config.fish'],
];

const hasRsync = spawnSync('rsync', ['--version']).status === 0;
const withRsync = hasRsync ? '' : ' (without rsync, which is not installed)';

describeSshd('--shell-fallback, where the login shell cannot be changed', () => {
  const stage = useSshd();
  let visit: Visit;
  let zsh: string;

  /** An account whose only zsh is its own, which /etc/shells does not have. */
  function visitTo(shell = '/bin/bash', files = {}): void {
    visit = stage.visit({ account: { shell, files }, laptop: { files: DOTFILES } });
    visit.account.write('.local/bin/zsh', { link: '/usr/bin/zsh' });
    zsh = join(visit.account.home, '.local/bin/zsh');
  }
  const prep = (...flags: string[]) =>
    visit.prep(['--shell', zsh, '--shell-fallback', ...flags], { password: true });

  test.each(SHELLS.filter(([shell]) => existsSync(shell)))(
    `starts zsh from %s at interactive logins alone, once, and is undone${withRsync}`,
    async (shell, rc) => {
      visitTo(shell);
      const { account } = visit;
      const [before, shown] = [account.tree()[rc], await prep('--dry-run')];
      expect(shown.status, shown.stderr).toBe(0);
      expect(shown.stdout).toMatch(/^\+# >>> prep: start zsh/m);
      expect(account.tree()[rc]).toEqual(before);

      const run = await prep('--json');
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
      expect(statusesOf(run)['login-shell']).toBe('changed');
      expect(account.passwdShell()).toBe(shell);
      expect(await logIn(visit)).toMatchObject({ shell: 'zsh', variable: zsh });

      const plain = await visit.ssh('echo "[$SHELL]"; echo more');
      expect(plain).toEqual({ status: 0, stdout: `[${shell}]\nmore\n`, stderr: '' });
      visit.laptop.write('sent', 'by scp\n');
      const { port, host } = visit.server;
      const ssh = ['-S', visit.laptop.path('../bin/ssh'), '-o', 'BatchMode=yes'];
      const options = [...ssh, '-q', '-P', String(port), visit.laptop.path('sent')];
      for (const protocol of ['-s', '-O']) {
        const to = `${account.name}@${host}:copied${protocol}`;
        const copied = await ran('scp', [protocol, ...options, to], visit.laptop.env());
        expect(copied).toMatchObject({ status: 0, stderr: '' });
        expect(account.read(`copied${protocol}`)).toBe('by scp\n');
      }
      if (hasRsync) {
        const shell = `${visit.laptop.path('../bin/ssh')} -o BatchMode=yes -p ${port}`;
        const to = `${account.name}@${host}:by-rsync`;
        const args = ['-e', shell, visit.laptop.path('sent'), to];
        const synced = await ran('rsync', args, visit.laptop.env());
        expect(synced).toEqual({ status: 0, stdout: '', stderr: '' });
        expect(account.read('by-rsync')).toBe('by scp\n');
      }

      const tree = account.tree();
      const again = await prep('--json');
      expect(accountOf(again)).toMatchObject({ status: 'unchanged' });
      const without = await visit.prep(['--shell', zsh, '--json']);
      expect(accountOf(without)).toMatchObject({ status: 'unchanged' });
      expect(account.tree()).toEqual(tree);

      const undone = await visit.prep(['undo', '--yes', '--only', 'login-shell']);
      expect(undone.status, undone.stderr).toBe(0);
      expect(account.tree()[rc]).toEqual(before);
      expect((await logIn(visit)).shell).toBe(shell.replace(/^.*\//, ''));
    },
  );

  describe.each([
    ['/bin/bash', '.profile'],
    ['/bin/dash', '.profile'],
    ['/bin/tcsh', '.login'],
    ['/usr/bin/fish', '.config/fish/config.fish'],
  ])('leaves a usable %s', (shell, rc) => {
    test.skipIf(!existsSync(shell))('whatever is wrong with zsh', async () => {
      visitTo(shell);
      const { account } = visit;
      const run = await prep();
      expect(run.status, run.stderr).toBe(0);
      const own = shell.replace(/^.*\//, '');
      const replaceZsh = (content: string, mode = 0o755): void => {
        rmSync(zsh, { force: true });
        if (content !== '') account.write('.local/bin/zsh', { content, mode });
      };
      const wrong: Record<string, () => void> = {
        'it is gone': () => replaceZsh(''),
        'it may not be executed': () => replaceZsh('x', 0o644),
        'it crashes': () => replaceZsh('#!/bin/sh\nkill -SEGV $$\n'),
        'it is for another machine': () => replaceZsh('\x7fELF\x01\x01'),
        'its start-up file exits': () => {
          rmSync(zsh);
          account.write('.local/bin/zsh', { link: '/usr/bin/zsh' });
          account.write('.zshrc', 'exit 1\n');
        },
        'its start-up file exits without a word': () => account.write('.zshrc', 'exit 0\n'),
        'its first start-up file exits': () => account.write('.zshenv', 'exit 0\n'),
        'its start-up file starts this shell again': () => {
          account.write('.zshenv', '');
          account.write('.zshrc', `exec ${shell} -l\n`);
        },
      };
      wrong['its start-up file never ends'] = () => {
        account.write('.zshrc', 'sleep 1000\n');
        account.write(rc, account.read(rc).replace('-lt 20 ]', '-lt 2 ]'));
      };
      for (const [what, spoil] of Object.entries(wrong)) {
        spoil();
        const { shell: got, variable } = await logIn(visit);
        expect([what, got, variable]).toEqual([what, own, shell]);
        expect(await visit.ssh('echo ok'), what).toMatchObject({ status: 0, stdout: 'ok\n' });
      }
      expect(account.read(rc)).toContain(`exec ${zsh} -l`);
    });
  });

  describe('when asked to', () => {
    const asked = (answer: string) =>
      visit.prep(['--shell', zsh], {
        pty: true,
        password: true,
        answers: [{ prompt: /Start \S+ from \.profile at .*\?/s, type: answer }],
      });

    test('shows the block and asks at a terminal', async () => {
      visitTo();
      const run = await asked('y\r');
      expect(run.status, run.screen).toBe(0);
      expect(run.screen).toMatch(/^\+# >>> prep: start zsh/m);
      expect((await logIn(visit)).shell).toBe('zsh');
    });

    test('leaves it where the user says no, and does everything else', async () => {
      visitTo();
      const before = visit.account.read('.profile');
      const run = await asked('n\r');
      expect(run.status, run.screen).toBe(1);
      expect(run.screen).toMatch(/login-shell is blocked: .*--shell-fallback/s);
      expect(visit.account.read('.profile')).toBe(before);
      expect(visit.account.read('.zshrc')).toBe(DOTFILES['.zshrc']);
    });

    test.each([[['--yes']], [[]]])('names the flag with %j, and asks nobody', async (flags) => {
      visitTo();
      const run = await visit.prep(['--shell', zsh, '--json', ...flags], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(
        /^prep: [^\n]+: login-shell is blocked: \S+ is not listed in \/etc\/shells; [^\n]+ --shell-fallback\n$/,
      );
      expect(statusesOf(run)).toMatchObject({ dotfiles: 'changed', 'login-shell': 'blocked' });
    });
  });

  test('goes into the file that bash reads, by its real name, and keeps what is there', async () => {
    visitTo('/bin/bash', {
      '.bash_profile': { link: 'dotfiles/bash_profile' },
      'dotfiles/bash_profile': { content: 'LAST=line', mode: 0o600 },
    });
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('dotfiles/bash_profile')).toMatch(/^LAST=line\n# >>> prep/);
    expect(visit.account.tree()['dotfiles/bash_profile']).toMatchObject({ mode: '0600' });
    expect(visit.account.read('.profile')).not.toContain('prep');
    expect((await logIn(visit)).shell).toBe('zsh');
  });

  test('leaves a shell that ends at the first error', async () => {
    visitTo('/bin/bash', { '.profile': 'set -e\n' });
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    visit.account.write('.zshrc', 'exit 1\n');
    expect((await logIn(visit)).shell).toBe('bash');
  });

  test('passes by a command that is given on a terminal', async () => {
    visitTo();
    await prep();
    const options = ['-tt'];
    expect(await visit.ssh('echo "$0"', ...options)).toMatchObject({ stdout: 'bash\r\n' });
    expect(await visit.ssh('bash -lic "echo ok"', ...options)).toMatchObject({
      stdout: expect.stringMatching(/^ok\r$/m),
    });
  });

  test('is taken out again, and nothing else, where the file was edited since', async () => {
    visitTo();
    const before = visit.account.read('.profile');
    await prep();
    const file = join(visit.account.home, '.profile');
    appendFileSync(file, 'if true; then\n  SINCE=1\nfi\n');
    const undo = (): Promise<PrepRun> => visit.prep(['undo', '--yes', '--only', 'login-shell']);
    expect(await undo()).toMatchObject({ status: 0 });
    expect(visit.account.read('.profile')).toBe(`${before}if true; then\n  SINCE=1\nfi\n`);
    appendFileSync(file, 'MORE=1\n');
    expect(await undo()).toMatchObject({ status: 0 });
    expect(visit.account.read('.profile')).toMatch(/SINCE=1\nfi\nMORE=1\n# >>> prep[^]*<<<\n$/);
  });

  test('is refused where zsh does not start with these dotfiles', async () => {
    visitTo();
    visit.laptop.write('.zshrc', 'exit 1\n');
    const run = await prep('--json');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/zsh does not start with these dotfiles/);
    expect(statusesOf(run)).toMatchObject({ dotfiles: 'changed', 'login-shell': 'failed' });
    expect(visit.account.read('.profile')).not.toContain('prep');
  });

  test('is not possible from a restricted shell, which is said', async () => {
    visitTo('/bin/rbash');
    const run = await prep('--json');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /login-shell is blocked: [^\n]*zsh cannot be started from \/bin\/rbash; ask the administrator\n$/,
    );
  });

  test('writes nothing into a file of somebody else', async () => {
    visitTo();
    chownSync(join(visit.account.home, '.profile'), 0, 0);
    const run = await prep('--json');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/\.profile belongs to root; ask them to change it/);
  });
});
