import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { withMaster } from '../support/master.ts';
import { accountOf, statusesOf, useSshd, type Visit } from '../support/stage.ts';

const THROUGH = ['--transport', 'openssh'];

const EVERY_STEP_BUT_THE_SHELL = {
  'ssh-dir': 'unchanged',
  'authorized-keys': 'unchanged',
  permissions: 'unchanged',
  dotfiles: 'unchanged',
  zlogin: 'unchanged',
  'login-shell': 'blocked',
};

/** Prepares the account as far as SFTP can, then finds nothing more to do, then takes it back. */
async function prepares(visit: Visit, through: readonly string[] = []): Promise<void> {
  visit.account.write('.zshrc', 'old\n');
  const found = visit.account.tree();
  const keys = found['.ssh/authorized_keys'] === undefined ? '' : visit.authorizedKeys;
  const run = await visit.prep([...through, '--yes', '--json'], { password: true });
  expect(run.status).toBe(1);
  expect(run.stderr).toMatch(
    /^prep: [^\n]+: login-shell is blocked: the account is for file transfer alone \(SFTP\)[^\n]+\n$/,
  );
  expect(statusesOf(run)).toEqual({
    'ssh-dir': keys === '' ? 'changed' : 'unchanged',
    'authorized-keys': 'changed',
    permissions: 'unchanged',
    dotfiles: 'changed',
    zlogin: 'changed',
    'login-shell': 'blocked',
  });
  expect(accountOf(run).verified).toBe(true);
  expect(visit.authorizedKeys).toBe(keys + visit.keyLine);
  expect(visit.account.tree()['.ssh']).toMatchObject({ type: 'directory', mode: '0700' });
  expect(visit.account.tree()['.ssh/authorized_keys']).toMatchObject({ mode: '0600' });
  expect(readlinkSync(join(visit.account.home, '.zlogin'))).toBe('.zshenv');
  const before = visit.account.tree();
  const again = await visit.prep([...through, '--json']);
  expect(statusesOf(again)).toEqual(EVERY_STEP_BUT_THE_SHELL);
  expect(visit.account.tree()).toEqual(before);
  const back = await visit.prep(['undo', ...through, '--yes'], { password: true });
  expect(back.status, back.stderr).toBe(0);
  const left = Object.keys(visit.account.tree()).filter((name) => !name.startsWith('.local'));
  expect(left).toEqual(Object.keys(found));
  if (keys !== '') expect(visit.authorizedKeys).toBe(keys);
  expect(visit.account.read('.zshrc')).toBe('old\n');
  expect(visit.account.passwdShell()).toBe('/bin/bash');
}

describeSshd('an account for SFTP alone', () => {
  const forced = ['Match User prep_*', 'ForceCommand internal-sftp'];
  const stage = useSshd({ sftp: 'internal', match: forced });

  test('is prepared as far as SFTP can, proven, left alone, and taken back', async () => {
    await prepares(stage.visit());
  });

  test('is the same for OpenSSH, which proves it, too', async () => {
    const visit = stage.visit();
    await prepares(visit, THROUGH);
    expect(stage.server.logins().map(({ method }) => method)).toContain('publickey');
  });

  test('is the same over a live control master', async () => {
    const { visit, socket } = await withMaster(stage);
    await prepares(visit, ['-S', socket]);
  });

  test('is found over the master that ssh_config names', async () => {
    const { visit, socket } = await withMaster(stage);
    visit.laptop.write('.ssh/config', `Host *\n  ControlPath ${socket}\n`);
    await prepares(visit);
  });

  test.each(['OpenSSH', 'a master'])('gets a large file through %s', async (way) => {
    const { visit, socket } = await withMaster(stage);
    const large = randomBytes(8 << 20);
    visit.laptop.write('set/large', large, 0o640);
    const set = ['--dotfiles', visit.laptop.path('set'), '--only', 'dotfiles', '--yes'];
    const flags = [...(way === 'OpenSSH' ? THROUGH : ['-S', socket]), '--no-verify', ...set];
    const run = await visit.prep(flags, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('large')).toBe(large.toString('latin1'));
    const again = await visit.prep([...flags, '--json'], { password: true });
    expect(statusesOf(again)).toEqual({ dotfiles: 'unchanged' });
  });

  test('is prepared wholly without the login shell', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--skip', 'login-shell'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toContain('logged in with the key alone, for file transfer');
    expect(run.stdout).toMatch(/log in with: sftp -P \d+ /);
    const dry = await visit.prep(['--skip', 'login-shell', '-n', '--json']);
    expect(dry.status, dry.stderr).toBe(0);
    expect(accountOf(dry).status).toBe('unchanged');
  });

  test('is changed by no dry run', async () => {
    const visit = stage.visit();
    const before = visit.account.tree();
    const run = await visit.prep(['-n'], { password: true });
    expect(run.stdout).toContain('+++ .ssh/authorized_keys');
    expect(visit.account.tree()).toEqual(before);
  });

  test('gets large and binary files with their modes and times, and keeps what was there', async () => {
    const visit = stage.visit();
    const [large, binary] = [randomBytes(3 << 20), Buffer.from([0, 1, 2, 0])];
    visit.laptop.write('set/large', large, 0o640);
    visit.laptop.write('set/deep/er/binary', binary, 0o755);
    const old = randomBytes(1 << 20);
    visit.account.write('large', { content: old, mode: 0o600 });
    const flags = ['--dotfiles', visit.laptop.path('set'), '--only', 'dotfiles', '--yes'];
    const run = await visit.prep(flags, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('large')).toBe(large.toString('latin1'));
    expect(visit.account.read('deep/er/binary')).toBe(binary.toString('latin1'));
    const tree = visit.account.tree();
    const laptop = visit.laptop.tree();
    expect(tree['large']).toMatchObject({ mode: '0640' });
    for (const name of ['large', 'deep/er/binary']) {
      const second = (time: bigint | undefined): bigint => (time ?? 0n) / 1_000_000_000n;
      expect(second(tree[name]?.mtime)).toBe(second(laptop[`set/${name}`]?.mtime));
    }
    const again = await visit.prep([...flags, '--json'], { password: true });
    expect(statusesOf(again)).toEqual({ dotfiles: 'unchanged' });
    const back = await visit.prep(['undo', '--yes'], { password: true });
    expect(back.status, back.stderr).toBe(0);
    expect(visit.account.read('large')).toBe(old.toString('latin1'));
    expect(visit.account.tree()['large']).toMatchObject({ mode: '0600' });
    expect(existsSync(join(visit.account.home, 'deep'))).toBe(false);
  });

  test('has a linked authorized_keys written where it leads, and loses no key', async () => {
    const visit = stage.visit();
    visit.account.write('real/', { mode: 0o700 });
    visit.account.write('real/keys', { content: '# mine\nssh-rsa AAAA other', mode: 0o600 });
    visit.account.write('.ssh/', { mode: 0o700 });
    visit.account.write('.ssh/authorized_keys', { link: '../real/keys' });
    const run = await visit.prep(['--only', 'authorized-keys'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(readlinkSync(join(visit.account.home, '.ssh/authorized_keys'))).toBe('../real/keys');
    expect(visit.account.read('real/keys')).toBe(`# mine\nssh-rsa AAAA other\n${visit.keyLine}`);
  });

  test('has loose modes tightened, and those of private keys', async () => {
    const visit = stage.visit();
    visit.authorize();
    visit.account.write('.ssh/id_x', {
      content: '-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n',
      mode: 0o644,
    });
    chmodSync(join(visit.account.home, '.ssh'), 0o777);
    chmodSync(visit.account.home, 0o777);
    const run = await visit.prep(['--only', 'permissions', '--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    const tree = visit.account.tree();
    expect([tree['.']?.mode, tree['.ssh']?.mode, tree['.ssh/id_x']?.mode]).toEqual([
      '0755',
      '0700',
      '0600',
    ]);
    expect(JSON.stringify(run.events)).not.toContain('secret');
    const back = await visit.prep(['undo', '--yes'], { password: true });
    expect(back.status, back.stderr).toBe(0);
    expect(visit.account.tree()['.ssh/id_x']?.mode).toBe('0644');
  });

  test('says so of a file that belongs to root', async () => {
    const visit = stage.visit();
    visit.authorize('');
    chownSync(join(visit.account.home, '.ssh/authorized_keys'), 0, 0);
    chmodSync(join(visit.account.home, '.ssh/authorized_keys'), 0o644);
    const run = await visit.prep(['--only', 'authorized-keys', '--json'], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/authorized_keys belongs to root; ask them to change it/);
  });
});

describeSshd('a run over SFTP', () => {
  const stage = useSshd({ sftp: 'internal' });

  /** The same account with a shell, and for SFTP alone. */
  function allow(visit: Visit, what: 'shell' | 'sftp'): void {
    visit.account.administer('usermod', '-s', what === 'shell' ? '/bin/bash' : '/usr/sbin/nologin');
  }

  test.each(['shell', 'sftp'] as const)(
    'is undone by the other way where it began by %s',
    async (first) => {
      const visit = stage.visit();
      visit.account.write('.zshrc', 'old\n');
      visit.account.write('big', { content: 'x'.repeat(300_000), mode: 0o640 });
      visit.laptop.write('set/.zshrc', 'new\n');
      visit.laptop.write('set/big', 'y'.repeat(400_000));
      const before = visit.account.tree();
      allow(visit, first);
      const flags = ['--dotfiles', visit.laptop.path('set'), '--skip', 'login-shell', '--yes'];
      const run = await visit.prep(flags, { password: true });
      expect(run.status, run.stderr).toBe(0);
      allow(visit, first === 'shell' ? 'sftp' : 'shell');
      const again = await visit.prep([...flags, '--json']);
      expect(accountOf(again).status, again.stdout).toBe('unchanged');
      const back = await visit.prep(['undo', '--yes'], { password: true });
      expect(back.status, back.stderr).toBe(0);
      const after = visit.account.tree();
      for (const name of ['.zshrc', 'big']) {
        const { mode, sha256 } = before[name]!;
        expect(after[name]).toMatchObject({ mode, sha256 });
      }
      expect(after['.ssh']).toBeUndefined();
    },
  );

  test('says that it cannot take back the login shell, and takes back the rest', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--shell', 'dash'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    allow(visit, 'sftp');
    const back = await visit.prep(['undo', '--yes', '--json'], { password: true });
    expect(back.status).toBe(1);
    expect(statusesOf(back)['login-shell']).toBe('blocked');
    expect(back.stderr).toContain('SFTP can neither tell nor change the login shell');
    expect(visit.account.tree()['.ssh']).toBeUndefined();
  });
});

describeSshd('an account whose server has an SFTP server', () => {
  describe('of its own process, forced on every command', () => {
    const stage = useSshd({
      match: ['Match User prep_*', 'ForceCommand /usr/lib/openssh/sftp-server'],
    });
    test('is prepared as far as SFTP can', () => prepares(stage.visit()));
    test('is so for OpenSSH', () => prepares(stage.visit(), THROUGH));
  });

  describe('that cannot replace files in one step', () => {
    const stage = useSshd({
      match: ['Match User prep_*', 'ForceCommand internal-sftp -P posix-rename,hardlink'],
      sftp: 'internal',
    });
    test('gets what is new, and keeps what is there', async () => {
      const visit = stage.visit();
      visit.account.write('.zshrc', 'old\n');
      const run = await visit.prep(['--yes', '--json'], { password: true });
      expect(run.status).toBe(1);
      expect(visit.account.read('.zshrc')).toBe('old\n');
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    });
  });

  describe('and no way to log in otherwise', () => {
    const stage = useSshd({ sftp: 'none' });
    test('or not even that: that is said in one sentence', async () => {
      const visit = stage.visit({ account: { shell: '/usr/sbin/nologin' } });
      for (const through of [[], THROUGH]) {
        const run = await visit.prep(through, { password: true });
        expect(run.status).toBe(1);
        expect(run.stderr).toMatch(/^prep: [^\n]*the account runs no commands[^\n]*\n$/);
      }
    });
  });
});

describeSshd('an account for SFTP alone in a chroot', () => {
  const chroot = (folder: string): string[] => [
    'Match User prep_*',
    `ChrootDirectory ${folder}`,
    'ForceCommand internal-sftp',
  ];

  describe('whose home directory is inside', () => {
    const stage = useSshd({ sftp: 'internal', match: chroot('/') });
    test('is prepared as any other', () => prepares(stage.visit()));
    test('is so for OpenSSH', () => prepares(stage.visit(), THROUGH));
    test('is so over a live control master', async () => {
      const { visit, socket } = await withMaster(stage);
      await prepares(visit, ['-S', socket]);
    });
  });

  describe('that is its home directory, root’s', () => {
    const stage = useSshd({ sftp: 'internal', match: chroot('%h') });

    function visitOf(root: boolean): Visit {
      const visit = stage.visit();
      const { home, uid, gid } = visit.account;
      chownSync(home, 0, 0);
      chmodSync(home, 0o755);
      if (root) return visit;
      for (const name of ['.ssh', '.local']) {
        mkdirSync(join(home, name), { mode: 0o700 });
        chownSync(join(home, name), uid, gid);
      }
      return visit;
    }

    test('is told what may not be written, before anything is tried', async () => {
      const visit = visitOf(true);
      const before = visit.account.tree();
      const run = await visit.prep(['--json'], { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toContain('the home directory may not be written; ask its owner');
      expect(Object.values(statusesOf(run))).not.toContain('changed');
      expect(visit.account.tree()).toEqual(before);
    });

    test('gets the key where its own .ssh is there', async () => {
      const visit = visitOf(false);
      const run = await visit.prep(['--only', 'ssh-dir,authorized-keys,permissions', '--json'], {
        password: true,
      });
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run).verified).toBe(true);
      expect(readFileSync(join(visit.account.home, '.ssh/authorized_keys'), 'latin1')).toBe(
        visit.keyLine,
      );
    });
  });

  describe('outside of which the server looks for keys', () => {
    const stage = useSshd({ sftp: 'internal', match: chroot('/srv/prep-chroot-%u') });

    test('is told that SFTP does not see where', async () => {
      const visit = stage.visit();
      const root = `/srv/prep-chroot-${visit.account.name}`;
      mkdirSync(join(root, visit.account.home), { recursive: true });
      stage.later(() => rmSync(root, { recursive: true }));
      chownSync(join(root, visit.account.home), visit.account.uid, visit.account.gid);
      writeFileSync(join(root, 'mark'), '');
      const run = await visit.prep(['--skip', 'login-shell', '--json'], { password: true });
      expect(run.status).toBe(1);
      expect(accountOf(run).verified).toBe(false);
      expect(run.stderr).toMatch(/does not accept the key; SFTP shows only part of the server/);
    });
  });
});
