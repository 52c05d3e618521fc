import { chmodSync, lstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, ran, statusesOf, useSshd, type Visit } from '../support/stage.ts';

const KEYS = ['--only', 'ssh-dir,authorized-keys'];
const ACCESS = ['--only', 'ssh-dir,authorized-keys,permissions'];
const OTHER =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA other';

describeSshd('authorized_keys', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
    visit.account.write('.ssh/', { mode: 0o700 });
  });
  const stands = (content: string): void =>
    visit.account.write('.ssh/authorized_keys', {
      content: Buffer.from(content, 'latin1'),
      mode: 0o600,
    });
  const prep = (...flags: string[]) => visit.prep([...KEYS, ...flags], { password: true });

  test.each<[string, string, string]>([
    ['is empty', '', ''],
    ['has other keys', `# mine\n\n${OTHER}\n`, ''],
    ['has no final newline', OTHER, '\n'],
    ['has CRLF line ends', `${OTHER}\r\n${OTHER} 2\r\n`, ''],
    ['has CRLF line ends and no final one', `${OTHER}\r\n${OTHER} 2`, '\n'],
    ['holds bytes that are no UTF-8', `# caf\xe9 \xff\xfe\n${OTHER} \xe9\n`, ''],
    ['has 10,000 lines', `${OTHER}\n`.repeat(10_000), ''],
    ['has a very long line', `# ${'x'.repeat(300_000)}\n${OTHER}\n`, ''],
  ])('that %s keeps every byte, and the key follows', async (_what, old, joint) => {
    stands(old);
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    const now = visit.authorizedKeys;
    expect(now.startsWith(old)).toBe(true);
    expect(
      now
        .slice(old.length)
        .replace(/^\r?\n/, joint && '\n')
        .replace('\r\n', '\n'),
    ).toBe(joint + visit.keyLine);
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
    expect(statusesOf(await prep('--json'))).toMatchObject({ 'authorized-keys': 'unchanged' });
  });

  test('that holds a NUL byte keeps it', async () => {
    stands(`${OTHER}\n# \0\n`);
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(`${OTHER}\n# \0\n${visit.keyLine}`);
  });

  test('with the key restricted by from= is left as it is, and the restriction is named', async () => {
    stands(`from="127.0.0.1",no-pty ${visit.keyLine}`);
    const before = visit.account.tree();
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toContain('already there, restricted by from=, no-pty');
    expect(visit.account.tree()).toEqual(before);
  });

  test('with the key under another comment is left as it is', async () => {
    stands(visit.keyLine.replace('user@laptop', 'somebody else'));
    const before = visit.account.tree();
    expect(await prep()).toMatchObject({ status: 0 });
    expect(visit.account.tree()).toEqual(before);
  });

  test('with the key commented out gets it for good', async () => {
    stands(`#${visit.keyLine}`);
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(`#${visit.keyLine}${visit.keyLine}`);
  });

  test('that is a link is written where it leads', async () => {
    visit.account.write('dotfiles/keys', { content: `${OTHER}\n`, mode: 0o600 });
    visit.account.write('.ssh/authorized_keys', { link: '../dotfiles/keys' });
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('dotfiles/keys')).toBe(`${OTHER}\n${visit.keyLine}`);
    expect(lstatSync(join(visit.account.home, '.ssh/authorized_keys')).isSymbolicLink()).toBe(true);
  });

  test('that is a directory is blocked, and says so', async () => {
    visit.account.write('.ssh/authorized_keys/', { mode: 0o700 });
    const run = await prep();
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/authorized-keys is blocked: .*is a directory, not a file/);
  });

  test('is not given a second key of its own by a second laptop that has the same', async () => {
    const runs = [await prep(), await prep('--json')];
    expect(accountOf(runs[1]!).status).toBe('unchanged');
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });
});

describeSshd('~/.ssh', () => {
  const stage = useSshd();

  test('that is a link is used where it leads', async () => {
    const visit = stage.visit();
    visit.account.write('elsewhere/', { mode: 0o755 });
    visit.account.write('.ssh', { link: 'elsewhere' });
    const run = await visit.prep(ACCESS, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('elsewhere/authorized_keys')).toBe(visit.keyLine);
    expect(visit.account.tree()).toMatchObject({
      '.ssh': { type: 'symlink', target: 'elsewhere' },
      elsewhere: { mode: '0700' },
    });
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
  });

  test('that is a file is blocked, and the rest is done', async () => {
    const visit = stage.visit();
    visit.account.write('.ssh', 'a file');
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^prep: \S+: ssh-dir and authorized-keys are blocked: ~\/\.ssh is a file, not a directory; move it away\n$/,
    );
    expect(visit.account.read('.ssh')).toBe('a file');
    expect(visit.account.tree()['.zshrc']).toBeDefined();
  });
});

describeSshd('permissions that sshd refuses', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });
  const mode = (path: string) => lstatSync(join(visit.account.home, path)).mode & 0o7777;
  const loosen = (path: string, bits: number) => chmodSync(join(visit.account.home, path), bits);
  const finds = async (): Promise<void> => {
    const run = await visit.prep([...ACCESS, '--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(await visit.ssh('true')).toMatchObject({ status: 0, stderr: '' });
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  };

  test('home 0777', async () => {
    loosen('.', 0o777);
    await finds();
    expect(mode('.') & 0o002).toBe(0);
  });

  test("home 0775 with the user's own group is left alone", async () => {
    loosen('.', 0o775);
    await finds();
    expect(mode('.')).toBe(0o775);
  });

  test('home 0775 with a group that others are in', async () => {
    await ran('chgrp', ['users', visit.account.home], { PATH: process.env['PATH']! });
    loosen('.', 0o775);
    await finds();
    expect(mode('.')).toBe(0o755);
  });

  describe('where the key stands already', () => {
    beforeEach(() => visit.authorize());

    test.each([
      ['.ssh', 0o777, 0o700],
      ['.ssh', 0o755, 0o700],
      ['.ssh/authorized_keys', 0o666, 0o600],
      ['.ssh/authorized_keys', 0o644, 0o600],
    ])('%s %o becomes %o', async (path, bits, wanted) => {
      loosen(path, bits);
      await finds();
      expect(mode(path)).toBe(wanted);
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    });

    test('a private key that lies there with 0644 becomes 0600, its public half stays', async () => {
      const text = readFileSync(visit.laptop.path('.ssh/id_ed25519'), 'utf8');
      visit.account.write('.ssh/id_ed25519', text);
      visit.account.write('.ssh/id_ed25519.pub', visit.keyLine);
      await finds();
      expect(mode('.ssh/id_ed25519')).toBe(0o600);
      expect(mode('.ssh/id_ed25519.pub')).toBe(0o644);
      expect(visit.account.read('.ssh/id_ed25519')).toBe(text);
    });

    test('are all that --only permissions changes', async () => {
      loosen('.ssh/authorized_keys', 0o666);
      const run = await visit.prep(['--only', 'permissions'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(mode('.ssh/authorized_keys')).toBe(0o600);
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    });

    test('all at once, home 0777 included', async () => {
      loosen('.ssh/authorized_keys', 0o666);
      loosen('.ssh', 0o777);
      loosen('.', 0o777);
      await finds();
      expect([mode('.') & 0o002, mode('.ssh'), mode('.ssh/authorized_keys')]).toEqual([
        0, 0o700, 0o600,
      ]);
    });
  });
});
