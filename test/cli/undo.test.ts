import {
  appendFileSync,
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, useSshd, type Visit } from '../support/stage.ts';
import type { Tree } from '../support/tree.ts';

const RUNS = '.local/state/prep';
const OTHER_KEY =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

/** A home without prep's own records, and without the times of directories and links, which no cp -p brings back. */
function content(tree: Tree): object {
  const entries = Object.entries(tree).filter(([name]) => !/^\.local(\/|$)/.test(name));
  return Object.fromEntries(
    entries.map(([name, { mtime, size, ...entry }]) => [
      name,
      entry.type !== 'file' ? entry : { ...entry, mtime, size },
    ]),
  );
}

describeSshd('prep undo', () => {
  const stage = useSshd();
  let visit: Visit;
  const undo = (...flags: string[]) => visit.prep(['undo', ...flags], { password: true });
  const state = () => [content(visit.account.tree()), visit.account.passwdShell()];

  describe('on an account that was used before', () => {
    let before: unknown;
    beforeEach(() => {
      visit = stage.visit({ laptop: { files: { '.zshrc': 'new\n', '.zshenv': 'new\n' } } });
      const { account } = visit;
      account.write('.ssh/', { mode: 0o755 });
      account.write('.ssh/authorized_keys', { content: `${OTHER_KEY} other`, mode: 0o644 });
      account.write('.zshrc', { content: 'old\r\n\xe9\0', mode: 0o640 });
      account.write('.zlogin', { content: 'echo old', mode: 0o755 });
      for (const name of ['.zshrc', '.zlogin', '.ssh/authorized_keys']) {
        utimesSync(join(account.home, name), 1_000_000_000, 1_234_567_890);
      }
      before = state();
    });

    test('puts everything back: bytes, modes, times, login shell', async () => {
      expect(await visit.prep(['--yes'], { password: true })).toMatchObject({ status: 0 });
      expect(state()).not.toEqual(before);
      const run = await undo('--yes');
      expect(run.status, run.stderr).toBe(0);
      expect(state()).toEqual(before);
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });

    test('is not begun without the password that chsh wants, which nobody can give', async () => {
      await visit.prep(['--yes'], { password: true });
      const after = state();
      const run = await visit.prep(['undo', '--yes']);
      expect(run).toMatchObject({
        status: 1,
        stdout: expect.not.stringContaining('made') as string,
      });
      expect(run.stderr).toMatch(/chsh on [^\n]*--password-file/);
      expect(state()).toEqual(after);
      expect(await undo('--yes')).toMatchObject({ status: 0 });
      expect(state()).toEqual(before);
    });

    test('can be previewed, and then changes nothing', async () => {
      await visit.prep(['--yes'], { password: true });
      const tree = visit.account.tree();
      const run = await undo('--dry-run');
      expect(run).toMatchObject({ status: 0, stderr: '' });
      expect(run.stdout).toMatch(/login shell \/bin\/zsh -> \/bin\/bash/);
      expect(run.stdout).toContain('-new');
      expect(run.stdout).toMatch(/planned, none made/);
      expect(visit.account.tree()).toEqual(tree);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
    });

    test('is itself undone by a second undo', async () => {
      await visit.prep(['--yes'], { password: true });
      const prepared = state();
      await undo('--yes');
      const again = await undo('--yes');
      expect(again.status, again.stderr).toBe(0);
      expect(state()).toEqual(prepared);
      expect((await visit.ssh('echo $SHELL')).stdout).toBe('/bin/zsh\n');
    });

    test('asks before it replaces anything', async () => {
      await visit.prep(['--yes'], { password: true });
      const run = await undo();
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/no terminal to ask: Replace .*--yes/);
      const [tree, shell] = state();
      expect(tree).not.toEqual((before as unknown[])[0]);
      expect(shell).toBe('/bin/zsh');
    });

    test('leaves the keys that were added since', async () => {
      await visit.prep(['--yes'], { password: true });
      const since = `${OTHER_KEY.replace('IAAAA', 'IBBBB')} since\n`;
      appendFileSync(join(visit.account.home, '.ssh/authorized_keys'), since);
      const run = await undo('--yes');
      expect(run.status, run.stderr).toBe(0);
      expect(visit.authorizedKeys).toContain(`${OTHER_KEY} other`);
      expect(visit.authorizedKeys).toContain(since);
      expect(visit.authorizedKeys).not.toContain(visit.keyLine);
    });

    test('undone itself, puts its lines back beside the keys that were added meanwhile', async () => {
      await visit.prep(['--yes'], { password: true });
      const add = (name: string): void => {
        const line = OTHER_KEY.replace('IAAAA', `I${name}`);
        appendFileSync(join(visit.account.home, '.ssh/authorized_keys'), `${line} ${name}\n`);
      };
      add('BBBB');
      await undo('--yes');
      add('CCCC');
      const run = await undo('--yes');
      expect(run.status, run.stderr).toBe(0);
      for (const part of [' BBBB\n', ' CCCC\n', visit.keyLine, `${OTHER_KEY} other`])
        expect(visit.authorizedKeys).toContain(part);
    });

    test('shows what was edited since, and keeps it', async () => {
      await visit.prep(['--yes'], { password: true });
      appendFileSync(join(visit.account.home, '.zshenv'), 'edited since\n');
      const preview = await undo('--dry-run');
      expect(preview.stdout).toContain('edited since');
      const run = await undo('--yes');
      expect(run.status, run.stderr).toBe(0);
      expect(state()).toEqual(before);
      const kept = readdirSync(join(visit.account.home, '.local/state/prep'), { recursive: true })
        .map((name) => join(visit.account.home, '.local/state/prep', String(name)))
        .filter((path) => !/state\/prep\/[^/]+$/.test(path) && existsSync(path))
        .map((path) => readFileSync(path, 'utf8'));
      expect(kept).toContainEqual('new\nedited since\n');
    });

    test('leaves what was edited since where the user says no', async () => {
      await visit.prep(['--yes'], { password: true });
      appendFileSync(join(visit.account.home, '.zshrc'), 'edited since\n');
      const run = await visit.prep(['undo'], {
        pty: true,
        password: true,
        answers: [{ prompt: /Replace .*\?/, type: 'n\r' }],
      });
      expect(run.typed, run.screen).toHaveLength(1);
      expect(run.screen).toContain('edited since');
      expect(run.screen.replaceAll(/\s+/g, ' ')).toContain(
        'you said no; put it back by hand later, from what is kept in ~/.local/state/prep',
      );
      expect(visit.account.read('.zshrc')).toBe('new\nedited since\n');
      expect(run.status).toBe(1);
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });

    test('previews and says that a kept copy is gone, and takes back the rest', async () => {
      await visit.prep(['--yes'], { password: true });
      const { account } = visit;
      for (const name of readdirSync(join(account.home, RUNS))) {
        const folder = join(account.home, RUNS, name);
        for (const file of readdirSync(folder)) if (/^\d+$/.test(file)) rmSync(join(folder, file));
      }
      const changes = async (...flags: string[]): Promise<object> => {
        const run = await undo('--json', ...flags);
        expect(run.status).toBe(1);
        expect(run.stderr).toMatch(
          /^prep: \S+: dotfiles is blocked: \.zshrc stays: what it was before is gone \(it was kept as ~\/\.local\/state\/prep\/\S+\/\d+\); restore it from a backup$/m,
        );
        const { steps } = accountOf(run);
        return steps.map(({ name, changes: made }) => [name, made]);
      };
      const shown = await changes('--dry-run');
      expect(await changes('--yes')).toEqual(shown);
      expect(visit.account.read('.zshrc')).toBe('new\n');
      expect(visit.authorizedKeys).toBe(`${OTHER_KEY} other\n`);
      expect(account.passwdShell()).toBe('/bin/bash');
    });

    test('takes back only the steps that are named', async () => {
      await visit.prep(['--yes'], { password: true });
      const tree = visit.account.tree();
      const run = await undo('--only', 'login-shell');
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.passwdShell()).toBe('/bin/bash');
      expect(content(visit.account.tree())).toEqual(content(tree));
    });
  });

  describe('on a new account', () => {
    beforeEach(() => {
      visit = stage.visit();
    });

    test('leaves nothing but the record of what was done', async () => {
      const before = state();
      await visit.prep([], { password: true });
      const run = await undo('--yes');
      expect(run.status, run.stderr).toBe(0);
      expect(state()).toEqual(before);
      expect(await visit.ssh('true')).not.toMatchObject({ status: 0 });
    });

    test('says what a step leaves there beside what it takes back', async () => {
      visit.laptop.write('set/.app/rc', 'mine\n');
      await visit.prep(['--dotfiles', visit.laptop.path('set')], { password: true });
      visit.account.write('.app/theirs', 'x\n');
      const run = await undo('--yes', '--json');
      expect(run.status, run.stderr).toBe(0);
      const dotfiles = accountOf(run).steps.find(({ name }) => name === 'dotfiles');
      expect(dotfiles).toMatchObject({ status: 'changed' });
      expect(dotfiles?.reason).toContain('.app holds other files by now; left there');
      const tree = visit.account.tree();
      expect([tree['.app/rc'], tree['.app/theirs']?.type]).toEqual([undefined, 'file']);
    });

    test('leaves ~/.ssh where other files have come to lie in it', async () => {
      await visit.prep([], { password: true });
      visit.account.write('.ssh/config', 'Host x\n');
      const run = await undo('--yes');
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.read('.ssh/config')).toBe('Host x\n');
      expect(existsSync(join(visit.account.home, '.ssh/authorized_keys'))).toBe(false);
    });

    test('fails where the record of the last run cannot be read', async () => {
      visit = stage.visit();
      const run = await visit.prep(['--only', 'ssh-dir,authorized-keys'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      const runs = join(visit.account.home, '.local/state/prep');
      const [last] = readdirSync(runs);
      chmodSync(join(runs, last!, 'journal'), 0);
      const undone = await undo();
      expect(undone).toMatchObject({ status: 1, stdout: '' });
      expect(undone.stderr).toMatch(
        /^prep: \S+: cannot read the record of the last run ~\/\.local\/state\/prep\/\S+\/journal \([^\n]+\n$/,
      );
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    });

    test('says so where prep never changed anything, and does no harm', async () => {
      const before = visit.account.tree();
      const run = await undo('--yes');
      expect(run.stderr.trim().split('\n')).toEqual([
        expect.stringContaining('prep has changed nothing there that could be put back'),
      ]);
      expect(run.status).toBe(0);
      expect(visit.account.tree()).toEqual(before);
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });

    test('asks only for the password that chsh wants, after a login by key', async () => {
      await visit.prep([], { password: true });
      const run = await visit.prep(['undo', '--only', 'login-shell'], {
        pty: true,
        answers: [visit.typesPassword()],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toEqual([expect.stringMatching(/^chsh on 127\.0\.0\.1 wants/)]);
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });

    test('reports as the main job does', async () => {
      await visit.prep([], { password: true });
      const run = await undo('--yes', '--json');
      expect(accountOf(run)).toMatchObject({ status: 'changed' });
      expect(accountOf(run).steps.map(({ name }) => name)).toContain('login-shell');
    });
  });
});
