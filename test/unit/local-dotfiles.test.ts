import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { INLINE_LIMIT, contentOf } from '../../src/core/facts.ts';
import type { LocalFile } from '../../src/core/plan.ts';
import { MANAGED, managedBy, readDotfiles } from '../../src/local/dotfiles.ts';
import { problemIn } from '../support/problem-in.ts';

const PACKAGE = path.resolve(import.meta.dirname, '../../dotfiles');
const shipped = (name: string): Promise<Uint8Array> => readFile(path.join(PACKAGE, name));

let home = '';
let dir = '';

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'prep-dotfiles-'));
  dir = path.join(home, 'set');
  mkdirSync(dir);
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

describe('--dotfiles DIR', () => {
  test('every kind of thing, in byte order, directories before what is in them', async () => {
    put('.zshrc', 'zsh\n', 0o640);
    put('empty', '');
    put('bin/run me', '#!/bin/sh\n', 0o755);
    put('.config/a/b/deep', 'x');
    put('.config-more', 'x');
    mkdirSync(path.join(dir, 'hollow'), { mode: 0o700 });
    symlinkSync('.zshrc', path.join(dir, 'to-file'));
    symlinkSync('bin', path.join(dir, 'to-directory'));
    symlinkSync('/no/where', path.join(dir, 'to-nothing'));
    const files = await read();
    expect(files.map(summary)).toEqual([
      '.config directory 755',
      '.config/a directory 755',
      '.config/a/b directory 755',
      '.config/a/b/deep file 644 1000 x',
      '.config-more file 644 1000 x',
      '.zshrc file 640 1000 zsh\n',
      'bin directory 755',
      'bin/run me file 755 1000 #!/bin/sh\n',
      'empty file 644 1000 ',
      'hollow directory 700',
      'to-directory symlink bin',
      'to-file symlink .zshrc',
      'to-nothing symlink /no/where',
    ]);
  });

  test('names and targets are bytes', async () => {
    const names = [
      '-n',
      'a b',
      'it\'s "$(touch X)"',
      'new\nline',
      '\\',
      '\u00c3\u00a9',
      '\u00ff\u0080',
    ];
    for (const name of names) {
      writeFileSync(Buffer.from(`${dir}/${name}`, 'latin1'), name);
      symlinkSync(Buffer.from(name, 'latin1'), Buffer.from(`${dir}/link-${name}`, 'latin1'));
    }
    const files = await read();
    expect(files.map((file) => file.path)).toEqual(
      [...names, ...names.map((name) => `link-${name}`)].sort((a, b) =>
        Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')),
      ),
    );
    const links = files.filter(({ entry }) => entry.kind === 'symlink');
    expect(links.map(({ path: name, entry }) => [name, entry])).toEqual(
      links.map(({ path: name }) => [
        name,
        { kind: 'symlink', target: name.slice('link-'.length) },
      ]),
    );
  });

  test('times are whole seconds, rounded down; set-user-ID is left out', async () => {
    put('a', '');
    chmodSync(path.join(dir, 'a'), 0o4755);
    utimesSync(path.join(dir, 'a'), 5.9, 5.9);
    expect((await read())[0]!.entry).toMatchObject({ mode: 0o755, mtime: 5 });
  });

  test.each([
    ['text up to the limit', 'x'.repeat(INLINE_LIMIT), true],
    ['text above it', 'x'.repeat(INLINE_LIMIT + 1), false],
    ['a NUL byte', 'x\0', false],
  ])('%s: the bytes are carried, or the name of the file', async (_, content, carried) => {
    put('a', content);
    const { size, checksum } = contentOf(Buffer.from(content));
    const [file] = await read();
    const found = file!.entry.kind === 'file' ? file!.entry.content : undefined;
    expect({ ...found, bytes: found?.bytes?.length }).toEqual({
      size,
      checksum,
      bytes: carried ? size : undefined,
      localFile: carried ? undefined : path.join(dir, 'a'),
    });
  });

  test('a binary file whose name is not UTF-8 carries its bytes, for no string names it', async () => {
    writeFileSync(Buffer.from(`${dir}/\u00ff`, 'latin1'), 'x\0');
    expect((await read())[0]!.entry).toMatchObject({ content: contentOf(Buffer.from('x\0')) });
  });

  test('a file of 200 MB is not kept in memory', async () => {
    const megabyte = Buffer.alloc(1 << 20, 'x');
    const file = openSync(path.join(dir, 'large'), 'w');
    for (let i = 0; i < 200; i++) writeSync(file, megabyte);
    closeSync(file);
    const before = process.memoryUsage().arrayBuffers;
    const [large] = await read();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 << 20);
    const said = execFileSync('cksum', [path.join(dir, 'large')], { encoding: 'latin1' }).split(
      ' ',
    );
    expect(large!.entry).toMatchObject({
      content: { checksum: Number(said[0]), size: Number(said[1]) },
    });
  });

  test('.git is left out at the top, and only there', async () => {
    put('.git/config', 'x');
    put('.gitconfig', 'x');
    put('sub/.git/config', 'x');
    const names = (await read()).map((file) => file.path);
    expect(names).toEqual(['.gitconfig', 'sub', 'sub/.git', 'sub/.git/config']);
  });

  test('.ssh is 0700 whatever it is here; what is in it keeps its mode', async () => {
    put('.ssh/config', 'x');
    expect((await read()).map(summary)).toEqual([
      '.ssh directory 700',
      '.ssh/config file 644 1000 x',
    ]);
  });

  test('a private key in .ssh is 0600 whatever it is here, its public half is not', async () => {
    put('.ssh/id_x', '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n');
    put('.ssh/id_x.pub', 'ssh-ed25519 x\n');
    put('.ssh/old/id_x', '-----BEGIN OPENSSH PRIVATE KEY-----\nx\n');
    const modes = (await read()).map(({ path, entry }) => [path, 'mode' in entry && entry.mode]);
    expect(Object.fromEntries(modes)).toMatchObject({
      '.ssh/id_x': 0o600,
      '.ssh/id_x.pub': 0o644,
      '.ssh/old/id_x': 0o644,
    });
  });

  test('nothing in it is fine, and DIR may be a link or start with ~', async () => {
    expect(await read()).toEqual([]);
    put('a', 'x');
    symlinkSync('set', path.join(home, 'link'));
    const files = await readDotfiles({ dir: '~/link', home, shipped });
    expect(files.map(summary)).toEqual(['a file 644 1000 x']);
  });

  test.each([
    ['missing', () => 'nowhere', 'no such file or directory'],
    ['a file', () => (put('a', ''), 'a'), 'it is not a directory'],
  ])('DIR is %s', async (_, make, cause) => {
    const file = path.join(dir, make());
    const problem = await problemIn(readDotfiles({ dir: file, home, shipped }));
    expect(problem).toEqual({ code: 'cannot-read', what: 'dotfiles directory', file, cause });
  });

  test('a pipe among the files', async () => {
    execFileSync('mkfifo', [path.join(dir, 'pipe')]);
    expect(await problemIn(read())).toEqual({
      code: 'cannot-read',
      what: 'dotfile',
      file: path.join(dir, 'pipe'),
      cause: 'it is neither a file, a directory nor a link',
      next: 'take it out of there',
    });
  });

  test.skipIf(process.getuid?.() === 0)('a file that may not be read', async () => {
    put('a', 'x', 0o000);
    expect(await problemIn(read())).toMatchObject({
      code: 'cannot-read',
      cause: 'permission denied',
    });
  });
});

describe('what prep itself looks after is not in the set', () => {
  test.each([
    ['.ssh/authorized_keys', () => put('.ssh/authorized_keys', 'x')],
    ['.ssh/authorized_keys', () => symlinkSync('elsewhere', path.join(dir, '.ssh'))],
    ['.zlogin', () => put('.zlogin', 'x')],
    ['.local/state/prep', () => put('.local/state/prep/x/journal', 'x')],
  ])('%s', async (taken, make) => {
    make();
    const cause = `~/${taken} is what prep itself looks after`;
    const next = expect.stringMatching(/^take it out of there/) as string;
    expect(await problemIn(read())).toMatchObject({ code: 'cannot-read', cause, next });
    const rest = MANAGED.filter((one) => one !== taken);
    await readDotfiles({ dir, home, shipped, managed: rest });
  });

  test.each([
    [
      '.zlogin as the very link that prep makes',
      () => symlinkSync('.zshenv', path.join(dir, '.zlogin')),
    ],
    ['neighbours', () => (put('.ssh/authorized_keys2', ''), put('.local/state/prepared', ''))],
  ])('but %s may be', async (_, make) => {
    make();
    await expect(read()).resolves.not.toEqual([]);
  });
});

test('what a step looks after may be in the set of a run without it', async () => {
  put('.zlogin', 'x');
  const managed = managedBy(new Set(['dotfiles']));
  const files = await readDotfiles({ dir, home, shipped, managed });
  expect(files.map(({ path: name }) => name)).toContain('.zlogin');
});

test('authorized_keys may be in no set, whatever runs', async () => {
  put('.ssh/authorized_keys', 'x');
  const reading = readDotfiles({ dir, home, shipped, managed: managedBy(new Set(['dotfiles'])) });
  expect(await problemIn(reading)).toMatchObject({ code: 'cannot-read' });
});

describe('the default set', () => {
  test("is the user's own, whichever of the three there are; links there are followed", async () => {
    put('zshrc', 'mine\n', 0o600);
    symlinkSync('set/zshrc', path.join(home, '.zshrc'));
    symlinkSync('nowhere', path.join(home, '.screenrc'));
    writeFileSync(path.join(home, '.bashrc'), 'not sent');
    const files = await readDotfiles({ home, shipped });
    expect(files.map(summary)).toEqual(['.zshrc file 600 1000 mine\n']);
  });

  test('is the package set where the user has none', async () => {
    const files = await readDotfiles({ home, shipped });
    expect(files.map((file) => file.path)).toEqual(['.screenrc', '.zshenv', '.zshrc']);
  });

  test('a directory in place of one', async () => {
    mkdirSync(path.join(home, '.zshrc'));
    const problem = await problemIn(readDotfiles({ home, shipped }));
    expect(problem).toMatchObject({ code: 'cannot-read', cause: 'it is not a file' });
  });
});

describe.skipIf(spawnSync('zsh', ['-c', 'true']).status !== 0)("the package's own set", () => {
  beforeEach(() => {
    cpSync(PACKAGE, home, { recursive: true });
    symlinkSync('.zshenv', path.join(home, '.zlogin'));
    mkdirSync(path.join(home, 'bin'));
  });

  test.each([
    ['-c', 'xterm'],
    ['-lc', 'xterm'],
    ['-ic', 'xterm'],
    ['-lic', 'xterm'],
    ['-lic', 'dumb'],
    ['-lic', 'no-such-terminal'],
    ['-lic', undefined],
  ])('zsh %s on %s starts and prints nothing', (flags, terminal) => {
    expect(zsh(flags, 'true', { TERM: terminal })).toEqual({ out: '', status: 0 });
  });

  test('without the functions that zsh usually brings, too', () => {
    const off = 'fpath=()\n';
    execFileSync('sh', ['-c', `printf '${off}' | cat - .zshrc > new && mv new .zshrc`], {
      cwd: home,
    });
    expect(zsh('-lic', 'true', { TERM: 'xterm' })).toEqual({ out: '', status: 0 });
  });

  test('the search path has each directory once, however often it is read', () => {
    const twice = '. ~/.zshenv; . ~/.zshenv; zsh -lc "print -r -- \\$PATH"';
    expect(zsh('-lc', twice, {}).out).toBe(`${home}/bin:/usr/local/bin:/usr/bin:/bin\n`);
  });

  test("the user's choice of editor stands", () => {
    expect(zsh('-lc', 'print -r -- $EDITOR', { EDITOR: 'ed' }).out).toBe('ed\n');
  });
});

function put(name: string, content: string, mode = 0o644): void {
  const file = path.join(dir, name);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 });
  writeFileSync(file, content);
  chmodSync(file, mode);
  utimesSync(file, 1000, 1000);
}

function read(): Promise<readonly LocalFile[]> {
  return readDotfiles({ dir, home, shipped });
}

function summary({ path: name, entry }: LocalFile): string {
  switch (entry.kind) {
    case 'directory':
      return `${name} directory ${entry.mode.toString(8)}`;
    case 'symlink':
      return `${name} symlink ${entry.target}`;
    case 'file':
      return `${name} file ${entry.mode.toString(8)} ${entry.mtime} ${Buffer.from(entry.content.bytes!).toString()}`;
    default:
      return `${name} ${entry.kind}`;
  }
}

/** Both streams of a zsh started in the home directory. */
function zsh(
  flags: string,
  command: string,
  more: NodeJS.ProcessEnv,
): { out: string; status: number | null } {
  const env = { HOME: home, PATH: '/usr/local/bin:/usr/bin:/bin', ...more };
  const { stdout, stderr, status } = spawnSync('zsh', [flags, command], {
    env,
    cwd: home,
    encoding: 'utf8',
  });
  return { out: stdout + stderr, status };
}
