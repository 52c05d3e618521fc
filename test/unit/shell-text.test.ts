import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { remotePath } from '../../src/core/remote-path.ts';
import { openingCommand, pathWord, preamble, quote } from '../../src/remote/shell-text.ts';

/** Every byte that a shell word can hold. */
const ALL_BYTES = String.fromCharCode(...Array.from({ length: 255 }, (_, i) => i + 1));

/** fish complains where it cannot keep its history. */
const HOME = mkdtempSync(join(tmpdir(), 'prep-home-'));
afterAll(() => rmSync(HOME, { recursive: true, force: true }));

const run = (command: readonly [string, ...string[]], input: string): string => {
  const [file, ...args] = command;
  const { stdout, stderr } = spawnSync(file, args, {
    input: Buffer.from(input, 'latin1'),
    encoding: 'latin1',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', HOME, LC_ALL: 'C' },
    timeout: 10_000,
  });
  return stdout + stderr;
};

/** What the login shells of servers are, and those that stand in for /bin/sh. */
const LOGIN_SHELLS = [
  'bash',
  'rbash',
  'dash',
  'zsh',
  'fish',
  'tcsh',
  'csh',
  'mksh',
  'ksh',
  'ksh93',
];
const POSIX_SHELLS: readonly (readonly [string, ...string[]])[] = [
  ['/bin/sh'],
  ['/bin/bash', '--posix'],
  ['/bin/dash'],
  ['/bin/busybox', 'sh'],
  ['/bin/mksh'],
  ['/bin/ksh93'],
  ['/bin/zsh', '--emulate', 'sh'],
];

describe('a quoted word', () => {
  const words = fc
    .sample(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
        fc.string({ unit: fc.constantFrom(...Array.from('\'"\\`$!*?[]{}()<>|&;#~ \t\n=-a')) }),
        fc.constantFrom('', '$(touch X)', '-n', '~root', '%s\\n', "it's", '\n', ALL_BYTES),
      ),
      500,
    )
    .map((word) => word.replaceAll('\0', ''));

  for (const shell of POSIX_SHELLS) {
    test.skipIf(!existsSync(shell[0]))(`is what it was, in ${shell.join(' ')}`, () => {
      const script = words.map((word) => `printf '%s\\0' ${quote(word)}`).join('\n');
      expect(run(shell, script).split('\0').slice(0, -1)).toEqual(words);
    });
  }

  test('needs no quotes where nothing in it is special', () => {
    expect(quote('/usr/bin/zsh')).toBe('/usr/bin/zsh');
    expect(quote('')).toBe("''");
    expect(quote("it's")).toBe(String.raw`'it'\''s'`);
  });

  test('cannot hold a NUL byte', () => {
    expect(() => quote('a\0b')).toThrow(RangeError);
  });
});

test.each([
  ['.zshrc', './.zshrc'],
  ['-rf', './-rf'],
  ['~', "'./~'"],
  ['a b', "'./a b'"],
  ['/etc/shells', '/etc/shells'],
])('the path %s is the word %s, which no command takes for an option', (path, word) => {
  expect(pathWord(remotePath(path))).toBe(word);
});

describe('the opening command', () => {
  const script = `printf '%s\\n' ${quote(ALL_BYTES)}\necho it\\'s "first"! # a comment\n`;
  const said = `${ALL_BYTES}\nit's first!\n`;
  for (const name of LOGIN_SHELLS) {
    const path = `/bin/${name}`;
    // A restricted shell runs nothing by its path.
    for (const sh of name === 'rbash' ? ['sh'] : ['sh', '/bin/sh']) {
      test.skipIf(!existsSync(path))(
        `runs the script and then reads on: ${sh}, from ${name}`,
        () => {
          const command = openingCommand(sh, script);
          expect(run([path, '-c', command], 'echo second\n')).toBe(`${said}second\n`);
        },
      );
    }
  }

  test('holds nothing that some shell would take apart', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const latin1 = Buffer.from(text).toString('latin1');
        expect(openingCommand('/bin/sh', latin1)).toMatch(/^[ -~]+$/);
        expect(openingCommand('/bin/sh', latin1)).not.toMatch(/!|\\\\|\\'/);
      }),
    );
  });
});

test.skipIf(!existsSync('/bin/bash'))(
  'functions that a start-up file exported are not those of a script, where sh is bash',
  () => {
    const sh = join(HOME, 'sh');
    symlinkSync('/bin/bash', sh);
    const script = `${preamble('mark')}say one; id -u; has printf && say two`;
    const names = ['printf', 'id', 'say', 'cat'].map((name) => `${name}() { echo no; }`);
    const login = `${names.join('; ')}; export -f printf id say cat; ${openingCommand(sh, script)}`;
    const said = `\nmark one\n${process.getuid!()}\n\nmark two\n`;
    expect(run(['/bin/bash', '-c', login], 'id -u')).toBe(`${said}${process.getuid!()}\n`);
  },
);

test.skipIf(!existsSync('/bin/zsh'))('a zsh that is handed a script takes it as sh would', () => {
  const script = `${preamble('mark')}words='a b'; set -- $words; say $#; echo xyzzy* =ls`;
  expect(run(['/bin/zsh', '-f'], script)).toBe('\nmark 2\nxyzzy* =ls\n');
});
