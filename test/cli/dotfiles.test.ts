import { randomBytes } from 'node:crypto';
import {
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { statusesOf, useSshd, type Visit } from '../support/stage.ts';
import { treeOf } from '../support/tree.ts';

describeSshd('--dotfiles DIR', () => {
  const stage = useSshd();
  let visit: Visit;
  let set: string;
  const flags = () => ['--dotfiles', set, '--only', 'dotfiles'];
  const lay = (name: string | Buffer, content: string | Buffer = 'x\n', mode = 0o644): void => {
    const path = Buffer.concat([Buffer.from(`${set}/`), Buffer.from(name)]);
    const cut = path.lastIndexOf('/');
    mkdirSync(path.subarray(0, cut), { recursive: true });
    writeFileSync(path, content, { mode });
    utimesSync(path, 1_100_000_000, 1_100_000_000);
  };
  /** What must be equal on both sides: everything but times of directories and links, and owners. */
  const shape = (folder: string, only?: ReadonlySet<string>): object =>
    Object.fromEntries(
      Object.entries(treeOf(folder))
        .filter(([name]) => name !== '.' && (only?.has(name) ?? true))
        .map(([name, { owner: _o, mtime, size, ...rest }]) => [
          name,
          rest.type === 'file' ? { ...rest, mtime, size } : rest,
        ]),
    );
  beforeEach(() => {
    visit = stage.visit();
    set = visit.laptop.path('set');
    mkdirSync(set);
  });
  const arrives = async (): Promise<void> => {
    const names = new Set(Object.keys(treeOf(set)));
    const run = await visit.prep(flags(), { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(shape(visit.account.home, names)).toEqual(shape(set));
    const before = visit.account.tree();
    const again = await visit.prep([...flags(), '--json'], { password: true });
    expect(statusesOf(again)).toEqual({ dotfiles: 'unchanged' });
    expect(visit.account.tree()).toEqual(before);
  };

  test('carries nested directories, each with its mode', async () => {
    lay('.config/app/deep/er/file', 'deep\n');
    lay('.config/app/private', 'mine\n', 0o600);
    lay('bin/tool', '#!/bin/sh\n', 0o755);
    mkdirSync(join(set, '.cache/empty'), { recursive: true, mode: 0o700 });
    await arrives();
  });

  test('carries any name', async () => {
    for (const name of [
      'two  words',
      `it's "quoted"`,
      'new\nline',
      '-rf',
      '--',
      '$(touch X)',
      '`touch X`',
      'a;touch X',
      'back\\slash',
      '*',
      '~',
      ' lead and trail ',
      'umläut 漢',
      Buffer.from('latin1 \xe9\xff', 'latin1'),
      '$(touch Y)/-n/new\n',
    ]) {
      lay(name, `${String(name)}\n`);
    }
    const names = readdirSync(visit.account.home);
    await arrives();
    expect(readdirSync(visit.account.home)).not.toContain('X');
    expect(await visit.prep(['undo', '--yes'], { password: true })).toMatchObject({ status: 0 });
    expect(readdirSync(visit.account.home).filter((name) => name !== '.local')).toEqual(names);
  });

  test('carries links as links, dangling ones too', async () => {
    lay('real');
    symlinkSync('real', join(set, 'link'));
    symlinkSync('/no/such place', join(set, 'dangling'));
    symlinkSync('-n', join(set, 'dash'));
    await arrives();
  });

  test('carries empty, binary and large files, and those without a final newline', async () => {
    lay('empty', '');
    lay('.binary', Buffer.from([0, 1, 2, 255, 10, 0, 13]), 0o600);
    lay('.large', randomBytes(3 << 20), 0o640);
    lay('.long', 'a line of text\n'.repeat(60_000));
    lay('.bare', 'no newline');
    await arrives();
  });

  test('leaves out .git, and refuses what prep looks after itself', async () => {
    lay('.git/config', 'x');
    lay('.vimrc', 'x');
    expect(await visit.prep(flags(), { password: true })).toMatchObject({ status: 0 });
    expect(visit.account.tree()['.git']).toBeUndefined();
    lay('.ssh/authorized_keys', 'x');
    const run = await visit.prep(flags(), { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: [^\n]+\.ssh\/authorized_keys[^\n]+\n$/);
  });

  test.each([
    ['is not there', 'none'],
    ['is a file', 'file'],
  ])('that %s: one sentence', async (_why, name) => {
    writeFileSync(visit.laptop.path('file'), '');
    const run = await visit.prep(['--dotfiles', visit.laptop.path(name)], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: cannot read the dotfiles directory [^\n]+\n$/);
    expect(stage.server.connections()).toBe(0);
  });

  test('brings mode and modification time of a file whose content is there already', async () => {
    lay('.vimrc', 'same\n', 0o600);
    visit.account.write('.vimrc', 'same\n');
    const run = await visit.prep([...flags(), '--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(shape(visit.account.home, new Set(['.vimrc']))).toEqual(shape(set));
  });

  test('is stopped by a directory in the way, and does the rest', async () => {
    lay('.vimrc');
    lay('.profile2');
    visit.account.write('.vimrc/inner', 'x');
    const run = await visit.prep(flags(), { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/dotfiles is blocked: \.vimrc is a directory; move it away/);
    expect(visit.account.read('.profile2')).toBe('x\n');
    expect(visit.account.read('.vimrc/inner')).toBe('x');
  });
});

describeSshd('a different file in the way', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit({ laptop: { files: { '.zshrc': 'yours\n', '.zshenv': 'env\n' } } });
    visit.account.write('.zshrc', { content: 'theirs\n', mode: 0o640 });
    utimesSync(join(visit.account.home, '.zshrc'), 1_000_000_000, 1_000_000_000);
  });
  const QUESTION = /Replace .*\(y\/N\)/;

  test('needs an answer: without one, nothing at all is changed', async () => {
    const before = visit.account.tree();
    const run = await visit.prep([], { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^prep: [^\n]+: there is no terminal to ask: Replace [^\n]+--yes\n$/,
    );
    expect(visit.account.tree()).toEqual(before);
    expect(visit.account.passwdShell()).toBe('/bin/bash');
  });

  test('is shown as a diff and left as it is after a no; the rest is done', async () => {
    const run = await visit.typing([], visit.typesPassword(), { prompt: QUESTION, type: 'n\r' });
    expect(run).toMatchObject({ status: 1, typed: { length: 2 } });
    expect(run.screen).toMatch(/^-theirs$/m);
    expect(run.screen).toMatch(/^\+yours$/m);
    expect(run.screen.replaceAll(/\s+/g, ' ')).toContain(
      'you said no; run prep again to be asked once more',
    );
    expect(visit.account.read('.zshrc')).toBe('theirs\n');
    expect(visit.account.read('.zshenv')).toBe('env\n');
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });

  test.each([
    ['a yes', false],
    ['--yes', true],
  ])('is replaced after %s, and its old version kept as it was', async (_how, flag) => {
    const run = flag
      ? await visit.prep(['--yes'], { password: true })
      : await visit.typing([], visit.typesPassword(), { prompt: QUESTION, type: 'y\r' });
    expect(run.status, run.screen + run.stderr).toBe(0);
    expect(visit.account.read('.zshrc')).toBe('yours\n');
    const runs = join(visit.account.home, '.local/state/prep');
    expect(lstatSync(runs).mode & 0o777).toBe(0o700);
    const kept = readdirSync(runs, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => readFileSync(path, 'utf8') === 'theirs\n');
    expect(kept).toHaveLength(1);
    const { mode, mtimeMs } = lstatSync(kept[0]!);
    expect([mode & 0o777, mtimeMs]).toEqual([0o640, 1_000_000_000_000]);
  });

  test('that is edited between the question and the answer is left alone', async () => {
    const run = await visit.typing([], visit.typesPassword(), {
      prompt: QUESTION,
      type: 'y\r',
      before: () => visit.account.write('.zshrc', 'just edited\n'),
    });
    expect(run.status).toBe(1);
    expect(run.screen).toMatch(/\.zshrc changed after it was shown/);
    expect(visit.account.read('.zshrc')).toBe('just edited\n');
  });

  test('does not matter to --skip dotfiles, nor to --only', async () => {
    const skipping = await visit.prep(['--skip', 'dotfiles,login-shell', '--json'], {
      password: true,
    });
    expect(skipping.status, skipping.stderr).toBe(0);
    expect(Object.keys(statusesOf(skipping))).toEqual([
      'ssh-dir',
      'authorized-keys',
      'permissions',
      'zlogin',
    ]);
    const only = await visit.prep(['--only', 'login-shell', '--no-verify', '--json'], {
      password: true,
    });
    expect(Object.keys(statusesOf(only))).toEqual(['login-shell']);
    expect(visit.account.read('.zshrc')).toBe('theirs\n');
  });

  test('that is a link of the account to the same content is left alone', async () => {
    visit.account.write('repository/zshrc', 'yours\n');
    const home = visit.account.home;
    rmSync(join(home, '.zshrc'));
    visit.account.write('.zshrc', { link: 'repository/zshrc' });
    const run = await visit.prep(['--only', 'dotfiles'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(lstatSync(join(home, '.zshrc')).isSymbolicLink()).toBe(true);
  });
});

describeSshd('~/.zlogin', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });
  const only = ['--only', 'zlogin', '--yes', '--json'];

  test('as a hard link to .zshenv is settled', async () => {
    visit.account.write('.zshenv', 'x\n');
    linkSync(join(visit.account.home, '.zshenv'), join(visit.account.home, '.zlogin'));
    const before = visit.account.tree();
    const run = await visit.prep(only, { password: true });
    expect(statusesOf(run)).toEqual({ zlogin: 'unchanged' });
    expect(visit.account.tree()).toEqual(before);
  });

  describe('as a regular file', () => {
    test('is kept before the link takes its place', async () => {
      visit.account.write('.zshenv', 'x\n');
      visit.account.write('.zlogin', 'mine\n');
      const run = await visit.prep(only, { password: true });
      expect(statusesOf(run)).toEqual({ zlogin: 'changed' });
      expect(visit.account.tree()['.zlogin']).toMatchObject({ target: '.zshenv' });
      const undone = await visit.prep(['undo', '--yes'], { password: true });
      expect(undone.status, undone.stderr).toBe(0);
      expect(visit.account.read('.zlogin')).toBe('mine\n');
    });
  });
});
