import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { WAYS } from '../support/hardship.ts';
import { accountOf, useSshd, type Visit } from '../support/stage.ts';

const KEYS = '# mine\n';

/** Whether files can be made append-only and immutable here. */
function canChattr(): boolean {
  const folder = mkdtempSync(join('/home', 'prep-chattr-'));
  const file = join(folder, 'f');
  writeFileSync(file, '');
  const able = spawnSync('chattr', ['+i', file]).status === 0;
  spawnSync('chattr', ['-i', file]);
  rmSync(folder, { recursive: true });
  return able;
}

WAYS.forEach((way) =>
  describeSshd(`${way.name}, an account whose authorized_keys or ~/.ssh`, () => {
    const stage = useSshd(way.server);
    let visit: Visit;
    beforeEach(() => {
      visit = stage.visit();
      visit.laptop.write('.zshrc', 'yours\n');
    });
    const reasonOf = async (step: string): Promise<string> => {
      const run = await visit.prep(['--json', '--yes', '--skip', 'login-shell'], {
        password: true,
      });
      expect(run.stderr).not.toMatch(/^ +at /m);
      expect(
        Object.keys(visit.account.tree()).filter((name) => /\.prep-|sent-/.test(name)),
      ).toEqual([]);
      return accountOf(run).steps.find(({ name }) => name === step)?.reason ?? '';
    };
    const keys = (link?: string): void => {
      visit.account.write('.ssh/', { mode: 0o700 });
      if (link === undefined)
        visit.account.write('.ssh/authorized_keys', { content: KEYS, mode: 0o600 });
      else visit.account.write('.ssh/authorized_keys', { link });
    };

    test("is root's is named with its owner, and the rest is done", async () => {
      keys();
      chownSync(join(visit.account.home, '.ssh/authorized_keys'), 0, 0);
      expect(await reasonOf('authorized-keys')).toMatch(/authorized_keys/);
      expect(visit.authorizedKeys).toBe(KEYS);
      expect(visit.account.read('.zshrc')).toBe('yours\n');
    });

    test('leads nowhere: the key is written where it leads', async () => {
      keys('nowhere');
      expect(await reasonOf('authorized-keys')).toMatch(/in \.ssh\/nowhere, where it leads/);
      expect(visit.account.read('.ssh/nowhere')).toBe(visit.keyLine);
      expect(visit.account.tree()['.ssh/authorized_keys']).toMatchObject({
        type: 'symlink',
        target: 'nowhere',
      });
    });

    test('is a link to nowhere as ~/.ssh is named, and stays', async () => {
      visit.account.write('.ssh', { link: 'nowhere' });
      await reasonOf('ssh-dir');
      expect(visit.account.tree()['.ssh']).toMatchObject({ type: 'symlink', target: 'nowhere' });
      expect(visit.account.read('.zshrc')).toBe('yours\n');
    });

    test.skipIf(!canChattr()).each(['+a', '+i'])(
      'has the attribute %s is left as it is',
      async (how) => {
        keys();
        const file = join(visit.account.home, '.ssh/authorized_keys');
        execFileSync('chattr', [how, file]);
        stage.later(() => execFileSync('chattr', [how.replace('+', '-'), file]));
        expect(await reasonOf('authorized-keys')).toMatch(/authorized_keys may not be written/);
        expect(visit.authorizedKeys).toBe(KEYS);
        expect(visit.account.read('.zshrc')).toBe('yours\n');
      },
    );

    test('is a file as ~/.ssh is named, and stays', async () => {
      visit.account.write('.ssh', 'mine\n');
      expect(await reasonOf('ssh-dir')).toMatch(/\.ssh is a file/);
      expect(visit.account.read('.ssh')).toBe('mine\n');
      expect(visit.account.read('.zshrc')).toBe('yours\n');
    });

    test('is a directory as authorized_keys is named, and stays', async () => {
      visit.account.write('.ssh/authorized_keys/', { mode: 0o700 });
      expect(await reasonOf('authorized-keys')).toMatch(/authorized_keys is a directory/);
      expect(visit.account.tree()['.ssh/authorized_keys']?.type).toBe('directory');
      expect(visit.account.read('.zshrc')).toBe('yours\n');
    });
  }),
);

WAYS.forEach((way) =>
  describeSshd(`${way.name}, an account whose ~/.local`, () => {
    const stage = useSshd(way.server);
    /** Makes the folder that prep keeps its records in impossible. */
    type Hindrance = (visit: Visit, home: string) => void;

    const belongsTo =
      (owner: number, mode: number, name: string): Hindrance =>
      ({ account }, home) => {
        account.write('.local/state/', {});
        chownSync(join(home, name), owner, owner);
        chmodSync(join(home, name), mode);
      };

    test.each<[string, Hindrance, string]>([
      ['is a file', ({ account }) => account.write('.local', 'x'), '.local is not a directory'],
      [
        'is a link to nowhere',
        ({ account }) => account.write('.local', { link: 'nowhere' }),
        '.local is not a directory',
      ],
      [
        'holds a file in the place of the folder',
        ({ account }) => account.write('.local/state/prep', 'x'),
        '.local/state/prep is not a directory',
      ],
      ["is root's alone", belongsTo(0, 0o700, '.local'), '.local may not be written'],
      [
        "holds a folder of root's",
        belongsTo(0, 0o755, '.local/state'),
        '.local/state may not be written',
      ],
    ])('%s: nothing is changed, as the preview says', async (_, hinder, reason) => {
      const visit = stage.visit({ laptop: { files: { '.zshrc': 'yours\n' } } });
      const { account } = visit;
      hinder(visit, account.home);
      const before = account.tree();
      const flags = ['--json', '--yes', ...way.flags];
      const shown = await visit.prep([...flags, '--dry-run'], { password: true });
      const run = await visit.prep(flags, { password: true });
      for (const one of [shown, run]) {
        expect(one.status).toBe(1);
        const steps = accountOf(one).steps.filter(({ status }) => status !== 'unchanged');
        expect(steps.map(({ status }) => status)).toEqual(steps.map(() => 'blocked'));
        expect(steps.map(({ name }) => name)).toContain('authorized-keys');
        expect(one.stderr).toMatch(
          /^prep: \S+: ssh-dir, [^:]+ are blocked: prep keeps what it replaces in [^\n]+\n$/,
        );
        expect(one.stderr).toContain(`~/${reason}; `);
      }
      expect(account.tree()).toEqual(before);
    });

    test("is root's, but not what is in it, keeps nothing from being done", async () => {
      const visit = stage.visit();
      belongsTo(0, 0o755, '.local')(visit, visit.account.home);
      const run = await visit.prep(['--json', '--yes', ...way.flags], { password: true });
      expect(run.status, run.stderr).toBe(0);
      const undone = await visit.undo();
      expect(undone.status, undone.stderr).toBe(0);
    });
  }),
);

describe.each(['000', '077', '777'])('an SFTP server with umask %s', (umask) => {
  describeSshd('makes files', () => {
    const forced = ['Match User prep_*', `ForceCommand internal-sftp -u ${umask}`];
    const stage = useSshd({ sftp: 'internal', match: forced });

    test('of the same modes', async () => {
      const visit = stage.visit();
      visit.laptop.write('.zshrc', 'yours\n');
      const run = await visit.prep(['--skip', 'login-shell'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(modesOf(visit)).toEqual(['0700', '0600', '0644', '0700']);
      const again = await visit.prep(['--skip', 'login-shell', '--json']);
      expect(accountOf(again).status).toBe('unchanged');
    });
  });
});

/** The modes of what prep makes. */
function modesOf({ account }: Visit): (string | undefined)[] {
  const tree = account.tree();
  const names = ['.ssh', '.ssh/authorized_keys', '.zshrc', '.local/state/prep'];
  return names.map((name) => tree[name]?.mode);
}

describeSshd('an account with', () => {
  const stage = useSshd();

  test.each(['000', '077'])('umask %s gets the same modes', async (umask) => {
    const visit = stage.visit();
    visit.account.write('.bashrc', `umask ${umask}\n`);
    visit.account.write('.zshenv', `umask ${umask}\n`);
    visit.laptop.write('.zshrc', 'yours\n');
    const run = await visit.prep(['--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(modesOf(visit)).toEqual(['0700', '0600', '0644', '0700']);
  });

  describe.each(['with blank', "it's", '$(touch TOUCHED)', 'a"b'])('a home called %j', (name) => {
    test('is prepared, and taken back', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'prep-homes-'));
      execFileSync('chmod', ['755', folder]);
      stage.later(() => rmSync(folder, { recursive: true, force: true }));
      const visit = stage.visit({ account: { home: join(folder, name) } });
      const run = await visit.prep(['--yes'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.passwdShell()).toMatch(/zsh$/);
      expect(visit.account.tree()['TOUCHED']).toBeUndefined();
      const undone = await visit.undo();
      expect(undone.status, undone.stderr).toBe(0);
    });
  });
});
