import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, ran, statusesOf, useSshd, type Visit } from '../support/stage.ts';

describeSshd('the login shell', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });

  test.each([
    ['is not installed', 'nosuchshell', /nosuchshell is not installed/],
    ['is not listed in /etc/shells', '/bin/true', /\/bin\/true is not listed in \/etc\/shells/],
    ['is no file', '/no/such/zsh', /\/no\/such\/zsh is not installed/],
  ])('that %s is blocked, saying so; everything else is done', async (_why, shell, words) => {
    const run = await visit.prep(['--shell', shell, '--json'], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: [^\n]+: login-shell is blocked: [^\n]+\n$/);
    expect(run.stderr).toMatch(words);
    expect(statusesOf(run)).toEqual({
      'ssh-dir': 'changed',
      'authorized-keys': 'changed',
      permissions: 'unchanged',
      dotfiles: 'changed',
      zlogin: 'changed',
      'login-shell': 'blocked',
    });
    expect(visit.account.passwdShell()).toBe('/bin/bash');
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
  });

  test('may be named by its path', async () => {
    const run = await visit.prep(['--shell', '/usr/bin/zsh'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/usr/bin/zsh');
  });

  test('may be another one', async () => {
    const run = await visit.prep(['--shell', 'dash'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toMatch(/\/dash$/);
  });

  test('that is zsh already is left as it is, by whichever path', async () => {
    visit.account.administer('usermod', '-s', '/usr/bin/zsh');
    const run = await visit.prep(['--json'], { password: true });
    expect(statusesOf(run)['login-shell']).toBe('unchanged');
    expect(visit.account.passwdShell()).toBe('/usr/bin/zsh');
  });

  describe('after a login by key', () => {
    beforeEach(() => visit.authorize());

    test('is changed with the password, which is asked for only now', async () => {
      const run = await visit.typing([], {
        prompt: /chsh on 127\.0\.0\.1 wants \S+'s password: *$/,
        type: `${visit.account.password}\r`,
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
      expect(stage.server.logins().map(({ method }) => method)).toEqual(['publickey', 'publickey']);
    });

    test('is changed with the password of PREP_PASSWORD', async () => {
      const run = await visit.prep([], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
    });

    test('is blocked where nobody gives the password; everything else is done', async () => {
      const run = await visit.prep(['--json']);
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(
        /^prep: [^\n]+: login-shell is blocked: chsh asks for the password of the account; give it with --password-file or PREP_PASSWORD\n$/,
      );
      expect(statusesOf(run)).toMatchObject({ dotfiles: 'changed', 'login-shell': 'blocked' });
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });

    test('is left alone after a wrong password, and the rest is done', async () => {
      const run = await visit.prep(['--json'], { env: { PREP_PASSWORD: 'wrong' } });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/^prep: [^\n]+: chsh did not accept the password; [^\n]+\n$/);
      expect(statusesOf(run)).toMatchObject({ dotfiles: 'changed', 'login-shell': 'failed' });
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });
  });

  test.each([
    ['ends at once', 'exit 1\n'],
    ['replaces the shell', 'exec false\n'],
    ['has a fatal error', 'setopt no_such_option || exit 3\n'],
  ])('is left alone where the .zshrc %s, and the key still lets in', async (_why, zshrc) => {
    visit.laptop.write('.zshrc', zshrc);
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /zsh does not start with these dotfiles .*the login shell was left alone/,
    );
    expect(visit.account.passwdShell()).toBe('/bin/bash');
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
  });

  test('is changed with a .zshrc that only complains', async () => {
    visit.laptop.write('.zshrc', 'nosuchcommand\nfalse\n');
    const run = await visit.prep([], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });

  test('with passwordless sudo is changed without any password', async (context) => {
    const found = await ran('sudo', ['-n', 'true'], { PATH: process.env['PATH']! });
    context.skip(found.status !== 0, 'sudo is not installed');
    const rule = `/etc/sudoers.d/${visit.account.name}`;
    stage.later(() => rmSync(rule, { force: true }));
    writeFileSync(rule, `${visit.account.name} ALL=(ALL) NOPASSWD: ALL\n`, { mode: 0o440 });
    visit.authorize();
    const run = await visit.prep(['--json']);
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run).verified).toBe(true);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    const undone = await visit.prep(['undo', '--yes']);
    expect(undone.status, undone.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/bash');
  });

  test('is left out with --skip login-shell', async () => {
    const run = await visit.prep(['--skip', 'login-shell'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/bash');
  });
});

describeSshd('a zsh that crashes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'prep-crash-'));
  const crash = join(folder, 'zsh');
  writeFileSync(crash, '#!/bin/sh\nkill -SEGV $$\n', { mode: 0o755 });
  chmodSync(folder, 0o755);
  afterAll(() => rmSync(folder, { recursive: true }));
  const stage = useSshd({ mounts: [[crash, '/usr/bin/zsh']] });

  test('never becomes the login shell, and the key still lets in', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--yes'], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/zsh does not start .*the login shell was left alone/);
    expect(visit.account.passwdShell()).toBe('/bin/bash');
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
    const fallback = await visit.prep(['--yes', '--shell-fallback'], { password: true });
    expect(fallback.status).toBe(1);
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
  });
});
