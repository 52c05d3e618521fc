import { describe, expect, test } from 'vitest';
import { unifiedDiff } from '../../src/core/diff.ts';
import { ABSENT, contentOf, type Entry } from '../../src/core/facts.ts';
import { remotePath } from '../../src/core/remote-path.ts';

const file = (text: string | Uint8Array, mode = 0o644): Entry => ({
  kind: 'file',
  mode,
  content: contentOf(Buffer.from(text as string)),
});

const large = (size: number): Entry => ({
  kind: 'file',
  mode: 0o644,
  content: { size, checksum: size },
});

const link = (target: string): Entry => ({ kind: 'symlink', target: remotePath(target) });

const diff = (before: Entry, after: Entry, path = '.zshrc') =>
  unifiedDiff(remotePath(path), before, after).join('\n');

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join('');

describe('a unified diff', () => {
  test.each([
    ['a new file', ABSENT, file('a\nb\n'), '--- /dev/null\n+++ .zshrc\n@@ -0,0 +1,2 @@\n+a\n+b'],
    ['a file that goes', file('a\n'), ABSENT, '--- .zshrc\n+++ /dev/null\n@@ -1 +0,0 @@\n-a'],
    ['a new empty file', ABSENT, file(''), '--- /dev/null\n+++ .zshrc'],
    [
      'one line of many',
      file(numbers(1, 20)),
      file(numbers(1, 20).replace('10\n', 'ten\n')),
      '--- .zshrc\n+++ .zshrc\n@@ -7,7 +7,7 @@\n 7\n 8\n 9\n-10\n+ten\n 11\n 12\n 13',
    ],
    [
      'no final newline before',
      file('a'),
      file('a\nb\n'),
      '--- .zshrc\n+++ .zshrc\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b',
    ],
    [
      'no final newline in a new file',
      ABSENT,
      file('a\nb'),
      '--- /dev/null\n+++ .zshrc\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file',
    ],
    [
      'CRLF becomes LF',
      file('a\r\n'),
      file('a\n'),
      '--- .zshrc\n+++ .zshrc\n@@ -1 +1 @@\n-a\\r\n+a',
    ],
    [
      'control characters and bytes that are not UTF-8 are spelled out, tabs and letters stay',
      file('\tgrün\n'),
      file(
        Buffer.concat([Buffer.from('\tgrün \u001b[2J \u202e'), Buffer.from([0x0a, 0xfc, 0x0a])]),
      ),
      '--- .zshrc\n+++ .zshrc\n@@ -1 +1,2 @@\n-\tgrün\n+\tgrün \\x1b[2J \\u202e\n+\\xfc',
    ],
    [
      'a file becomes a link',
      file('a\n'),
      link('.zshenv'),
      '--- .zshrc\n+++ .zshrc (a link to .zshenv)\n@@ -1 +0,0 @@\n-a',
    ],
    [
      'a link becomes a file',
      link('x\ny'),
      file('a\n'),
      '--- .zshrc (a link to x\\ny)\n+++ .zshrc\n@@ -0,0 +1 @@\n+a',
    ],
    ['only the mode', file('a\n'), file('a\n', 0o600), ''],
    [
      'directories',
      { kind: 'directory', mode: 0o777 } as const,
      { kind: 'directory', mode: 0o700 } as const,
      '',
    ],
    ['a new link', ABSENT, link('x'), ''],
    ['binary', file('a\0b'), file('a'), '.zshrc: binary, 3 -> 1 bytes; not shown'],
    ['new binary', ABSENT, file('a\0b'), '.zshrc: binary, 3 bytes; not shown'],
    ['large', large(300_000), large(310_000), '.zshrc: large, 300,000 -> 310,000 bytes; not shown'],
    ['large new', ABSENT, large(300_000), '.zshrc: large, 300,000 bytes; not shown'],
    ['no difference in content', large(300_000), large(300_000), ''],
  ])('%s', (_, before, after, expected) => {
    expect(diff(before, after)).toBe(expected);
  });

  test('a name with a line feed stays on its line', () => {
    expect(diff(ABSENT, file('a\n'), 'x\n+++ y')).toContain('+++ x\\n+++ y\n');
  });

  test('huge new files are shown, huge unlike ones are summed up', () => {
    const many = numbers(1, 60_000);
    expect(unifiedDiff(remotePath('f'), ABSENT, file(many))).toHaveLength(60_003);
    expect(diff(file(many), file(many.replaceAll('\n', 'x\n')), 'f')).toMatch(
      /^f: too unlike to compare line by line, [\d,]+ -> [\d,]+ bytes; not shown$/,
    );
  });

  test('a line added to a huge file is found', () => {
    const many = numbers(1, 60_000);
    expect(diff(file(many), file(`${many}last\n`), 'f')).toContain('\n+last');
  });

  test('a very long line is cut', () => {
    const line = diff(ABSENT, file('x'.repeat(100_000))).split('\n')[3]!;
    expect(line).toMatch(/^\+x+ \.\.\. \([\d,]+ more bytes\)$/);
    expect(line.length).toBeLessThan(4200);
  });
});
