import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { WAYS } from '../support/hardship.ts';
import { accountOf, statusesOf, useSshd, type Visit } from '../support/stage.ts';
import { shapeOf } from '../support/tree.ts';

/** Whether a file system can be mounted here. */
function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'prep-mount-'));
  const able = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', folder]).status === 0;
  if (able) spawnSync('umount', ['-l', folder]);
  rmSync(folder, { recursive: true });
  return able;
}

const mountable = canMount();

WAYS.forEach((way) =>
  describeSshd(`${way.name}, an account with`, () => {
    const stage = useSshd(way.server);
    let visit: Visit;
    beforeEach(() => {
      visit = stage.visit();
      visit.laptop.write('.zshrc', 'yours\n');
    });
    const at = (name: string): string => join(visit.account.home, name);
    const prep = (...args: string[]): ReturnType<Visit['prep']> =>
      visit.prep(['--json', '--yes', '--skip', 'login-shell', ...args], { password: true });
    const standing = (): object => {
      const tree = Object.entries(shapeOf(visit.account.tree()));
      return Object.fromEntries(tree.filter(([name]) => !name.startsWith('.local')));
    };

    /** Prepares it whole; the second time there is nothing to do; and undo puts everything back. */
    async function goesThrough(...args: string[]): Promise<void> {
      const before = standing();
      const run = await prep(...args);
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
      expect(leftovers()).toEqual([]);
      expect(accountOf(await prep(...args))).toMatchObject({ status: 'unchanged' });
      const undone = await visit.undo();
      expect(undone.status, undone.stderr).toBe(0);
      expect(standing()).toEqual(before);
      expect(leftovers()).toEqual([]);
    }
    const leftovers = (): string[] =>
      Object.keys(visit.account.tree()).filter((name) => /\.prep-|\/sent-|\/lock$/.test(name));

    test('folders that hand their group down', async () => {
      visit.account.write('.ssh/', {});
      chmodSync(at('.ssh'), 0o2755);
      chmodSync(visit.account.home, 0o2755);
      visit.laptop.write('set/.app/conf', 'yours\n');
      await goesThrough('--dotfiles', visit.laptop.path('set'));
    });

    test('a link to what a link takes the place of', async () => {
      visit.account.write('.zprofile', 'mine\n');
      visit.account.write('.zshrc', { link: '.zprofile' });
      visit.laptop.write('set/.zshrc', 'yours\n');
      symlinkSync('.zshrc', visit.laptop.path('set/.zprofile'));
      await goesThrough('--dotfiles', visit.laptop.path('set'));
    });

    test('a link to itself', async () => {
      visit.account.write('.zshrc', { link: '.zshrc' });
      await goesThrough();
    });

    test('a large file in ~/.ssh that has no line', async () => {
      visit.account.write('.ssh/', { mode: 0o700 });
      visit.account.write('.ssh/disk', '');
      truncateSync(at('.ssh/disk'), 300e6);
      visit.account.write('.ssh/a\nb', { content: '-----BEGIN OPENSSH PRIVATE KEY-----\n' });
      const run = await prep();
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
    });

    test('a file that is written into after it was replaced: undo puts that back', async () => {
      visit.account.write('.zshrc', 'mine\n');
      linkSync(at('.zshrc'), at('other'));
      expect((await prep()).status).toBe(0);
      appendFileSync(at('other'), 'more of mine\n');
      const undone = await visit.undo();
      expect(undone.status, undone.stderr).toBe(0);
      expect(visit.account.read('.zshrc')).toBe('mine\nmore of mine\n');
      expect((await visit.undo()).status).toBe(0);
      expect(visit.account.read('.zshrc')).toBe('yours\n');
    });

    test('~/.ssh that may not be entered is told so, and the next run does the rest', async () => {
      visit.account.write('.ssh/', { mode: 0o700 });
      visit.account.write('.ssh/authorized_keys', { content: '# mine\n', mode: 0o600 });
      chmodSync(at('.ssh'), 0o600);
      const run = await prep();
      expect(statusesOf(run)).toMatchObject({ 'ssh-dir': 'changed', dotfiles: 'changed' });
      expect(run.stderr).toMatch(/authorized-keys is blocked: ~\/\.ssh may not be entered as yet,/);
      const again = await prep();
      expect(accountOf(again)).toMatchObject({ status: 'changed', verified: true });
      expect(visit.authorizedKeys).toBe(`# mine\n${visit.keyLine}`);
    });

    test.skipIf(!mountable)('its records on another file system', async () => {
      const { uid, gid } = visit.account;
      visit.account.write('.local/state/prep/', { mode: 0o700 });
      const owned = `uid=${uid},gid=${gid},mode=700`;
      spawnSync('mount', ['-t', 'tmpfs', '-o', owned, 'tmpfs', at('.local/state/prep')]);
      const records = at('.local/state/prep');
      stage.later(() => spawnSync('umount', ['-l', records]));
      visit.account.write('.zshrc', 'mine\n');
      visit.laptop.write('.zshrc', 'binary\0'.repeat(60_000));
      await goesThrough();
    });

    test.skipIf(!mountable)(
      'no file left on its file system is told that there is no space',
      async () => {
        const { home, uid, gid } = visit.account;
        const owned = `nr_inodes=8,uid=${uid},gid=${gid},mode=755`;
        spawnSync('mount', ['-t', 'tmpfs', '-o', owned, 'tmpfs', home]);
        stage.later(() => spawnSync('umount', ['-l', home]));
        const run = await prep();
        expect(run.status).toBe(1);
        expect(run.stderr).toMatch(/no space left .*free some space there and run prep again/);
        expect(leftovers()).toEqual([]);
      },
    );
  }),
);
