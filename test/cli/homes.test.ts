import { chmodSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, useSshd, type Visit } from '../support/stage.ts';

const DOTFILES = { '.zshenv': 'export EDITOR=vi\n', '.zshrc': 'PS1="%~ %# "\n', '.screenrc': '' };

describeSshd('a home directory', () => {
  const stage = useSshd();
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'prep-homes-'));
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const visitTo = (home: string): Visit =>
    stage.visit({ account: { home }, laptop: { files: DOTFILES } });

  test.each([
    `it's  "quoted" $HOME $(touch X) \`touch Y\` a;b&c|d`,
    'back\\slash !h * ? [a] {b,c} #d',
    'ünï\u00a0',
    '-n',
  ])('called %j serves as any other', async (name) => {
    const visit = visitTo(join(folder, name));
    const { account } = visit;
    const before = account.tree();
    const run = await visit.prep(['--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
    expect(account.read('.zshrc')).toBe(DOTFILES['.zshrc']);
    expect((await visit.ssh('echo $SHELL,$EDITOR')).stdout).toBe('/bin/zsh,vi\n');
    expect(accountOf(await visit.prep(['--json']))).toMatchObject({ status: 'unchanged' });
    const undone = await visit.prep(['undo', '--yes'], { password: true });
    expect(undone.status, undone.stderr).toBe(0);
    const names = Object.keys(account.tree()).filter((one) => !/^\.(local|cache)/.test(one));
    expect(names).toEqual(Object.keys(before));
  });

  test('that is a symbolic link serves as any other', async () => {
    const visit = visitTo(join(folder, 'home'));
    renameSync(join(folder, 'home'), join(folder, 'elsewhere'));
    symlinkSync('elsewhere', join(folder, 'home'));
    const run = await visit.prep(['--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
    expect(accountOf(await visit.prep(['--json']))).toMatchObject({ status: 'unchanged' });
    const undone = await visit.prep(['undo', '--yes'], { password: true });
    expect(undone.status, undone.stderr).toBe(0);
  });

  test('that is missing is named in one sentence, and nothing is made in its place', async () => {
    const visit = visitTo(join(folder, 'gone'));
    rmSync(visit.account.home, { recursive: true });
    const run = await visit.prep([], { password: true, accounts: [] });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^prep: [^\n]+: the home directory \S+\/gone does not exist; [^\n]+\n$/,
    );
  });

  test('that may not be entered is named in one sentence', async () => {
    const visit = visitTo(join(folder, 'closed'));
    visit.account.write('../closed/', { mode: 0o000 });
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: [^\n]+closed[^\n]+; [^\n]+\n$/);
  });
});
