import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { makeBusyboxRoot, noBusyboxRoot } from '../support/busybox-root.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, statusesOf, useSshd, type Visit } from '../support/stage.ts';

const DONE = {
  'ssh-dir': 'unchanged',
  'authorized-keys': 'unchanged',
  permissions: 'unchanged',
  dotfiles: 'unchanged',
  zlogin: 'unchanged',
};

describeSshd('a server that has busybox and nothing else', () => {
  const root = noBusyboxRoot === undefined ? makeBusyboxRoot(['cksum', 'od', 'getent']) : '';
  const stage = useSshd({
    sftp: 'none',
    mounts: [
      ['/home', `${root}/home`],
      ['/dev', `${root}/dev`],
    ],
    match: ['Match User prep_*', `ChrootDirectory ${root}`],
  });
  // What is mounted there is mounted for the server alone.
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test.skipIf(noBusyboxRoot !== undefined)(
    'is prepared as far as it can be, left alone, and taken back',
    async () => {
      const visit = stage.visit({ account: { shell: '/bin/sh', files: { '.zshrc': 'old\n' } } });
      const { name, uid, gid, home } = visit.account;
      writeFileSync(join(root, 'etc/passwd'), `${name}:x:${uid}:${gid}::${home}:/bin/sh\n`);
      const names = Object.keys(visit.account.tree());
      const run = await visit.prep(['--yes', '--json'], { password: true });
      expect(run.stderr).toMatch(
        /^prep: [^\n]+: login-shell is blocked: zsh is not installed[^\n]+\n$/,
      );
      expect(accountOf(run).verified).toBe(true);
      expect(visit.authorizedKeys).toBe(visit.keyLine);
      expect((await visit.ssh('ls -l /bin/sh')).stdout).toContain('busybox');
      const before = visit.account.tree();
      const again = await visit.prep(['--json']);
      expect(statusesOf(again)).toEqual({ ...DONE, 'login-shell': 'blocked' });
      expect(visit.account.tree()).toEqual(before);
      const back = await visit.prep(['undo', '--yes'], { password: true });
      expect(back.status, back.stderr).toBe(0);
      const left = Object.keys(visit.account.tree()).filter((path) => !path.startsWith('.local'));
      expect(left).toEqual(names);
      expect(visit.account.read('.zshrc')).toBe('old\n');
    },
  );
});

/** The key gets to where the server looks for it, lets the user in, is found there, and is taken out again. */
async function installs(visit: Visit, file: string): Promise<void> {
  const flags = ['--only', 'ssh-dir,authorized-keys,permissions,dotfiles,zlogin', '--json'];
  const names = Object.keys(visit.account.tree());
  const run = await visit.prep(flags, { password: true });
  expect(run.status, run.stderr).toBe(0);
  expect(accountOf(run).verified).toBe(true);
  expect(visit.account.read(file)).toContain(visit.keyLine);
  expect(visit.account.tree()[file]).toMatchObject({ mode: '0600' });
  const again = await visit.prep(flags);
  expect(again.status, again.stderr).toBe(0);
  expect(statusesOf(again)).toEqual(DONE);
  const back = await visit.prep(['undo', '--yes'], { password: true });
  expect(back.status, back.stderr).toBe(0);
  const left = Object.keys(visit.account.tree()).filter((path) => !path.startsWith('.local'));
  expect(left).toEqual(names);
}

describeSshd('a server whose readable AuthorizedKeysFile is', () => {
  const at = (value: string, ...more: readonly string[]): ReturnType<typeof useSshd> =>
    useSshd({ config: [`AuthorizedKeysFile ${value}`, ...more], readable: true, sftp: 'internal' });

  describe.each([
    ['.ssh/authorized_keys2', '.ssh/authorized_keys2'],
    ['.config/ssh/keys', '.config/ssh/keys'],
    ['%h/keys/%u/100%%', 'keys/NAME/100%'],
    ['"my keys" .ssh/authorized_keys', 'my keys'],
  ])('%s', (value, file) => {
    const stage = at(value);
    test('has the key put there', async () => {
      const visit = stage.visit();
      await installs(visit, file.replace('NAME', visit.account.name));
    });

    test('has it put there over SFTP alone, too', async () => {
      const visit = stage.visit({ account: { shell: '/usr/sbin/nologin' } });
      await installs(visit, file.replace('NAME', visit.account.name));
    });
  });

  describe('two files', () => {
    const stage = at('.ssh/authorized_keys .ssh/authorized_keys2');
    test('has the first one used', () => installs(stage.visit(), '.ssh/authorized_keys'));
  });

  describe('beyond the user', () => {
    const stage = at('/etc/ssh/keys-of-%u');
    test('is told so, and nothing is put where nobody looks', async () => {
      const visit = stage.visit();
      const run = await visit.prep(['--only', 'authorized-keys', '--json'], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(
        /authorized-keys is blocked: the server looks for keys in \/etc\/ssh\/keys-of-\S+: \/etc\/ssh may not be written; ask its owner/,
      );
      expect(visit.account.tree()['.ssh']).toBeUndefined();
    });
  });

  describe('set for some users only', () => {
    const stage = useSshd({
      readable: true,
      match: ['Match User nobody', 'AuthorizedKeysFile none'],
    });
    test('is no word on this account', () => installs(stage.visit(), '.ssh/authorized_keys'));
  });

  const byMatch = (match: string): ReturnType<typeof useSshd> =>
    useSshd({
      readable: true,
      sftp: 'internal',
      config: ['AuthorizedKeysFile .ssh/for-others'],
      match: [`Match ${match}`, 'AuthorizedKeysFile .ssh/for-you'],
    });

  describe.each([
    ['User prep_*'],
    ['User prep_* Address 127.0.0.0/8 LocalAddress 127.0.0.1'],
    ['Group prep_*,!root'],
    ['all'],
  ])('set by Match %s', (match) => {
    const stage = byMatch(match);
    test('has the key put there', () => installs(stage.visit(), '.ssh/for-you'));
  });

  // That tells neither groups nor addresses.
  describe.each([['User prep_*'], ['all']])('set by Match %s, over SFTP alone,', (match) => {
    const stage = byMatch(match);
    test('has the key put there', () =>
      installs(stage.visit({ account: { shell: '/usr/sbin/nologin' } }), '.ssh/for-you'));
  });

  describe('in a file that sshd was told with -f', () => {
    const stage = useSshd({ readable: 'where it is', config: ['AuthorizedKeysFile .ssh/told'] });
    test('has the key put there', () => installs(stage.visit(), '.ssh/told'));
  });

  describe('in an included file', () => {
    const stage = useSshd({ readable: true, config: ['Include /etc/ssh/prep-test-*.conf'] });
    test('that is not there is the default', () => installs(stage.visit(), '.ssh/authorized_keys'));
  });
});

describeSshd('a server with SELinux', () => {
  const stage = useSshd();

  test('has the labels of what sshd reads put right', async () => {
    const visit = stage.visit();
    const log = join(visit.account.home, 'labels');
    visit.account.write('tools/restorecon', {
      content: `#!/bin/sh\necho "$@" >>'${log}'\n`,
      mode: 0o755,
    });
    visit.account.write('.bashrc', `PATH=${visit.account.home}/tools:$PATH\n`);
    const run = await visit.prep(['--skip', 'login-shell'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(readFileSync(log, 'utf8')).toBe('-F ./.ssh ./.ssh/authorized_keys\n');
    rmSync(log);
    visit.laptop.write('.zshrc', 'other\n');
    await visit.prep(['--only', 'dotfiles', '--yes'], { password: true });
    expect(() => readFileSync(log)).toThrow();
  });
});
