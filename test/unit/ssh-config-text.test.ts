import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addBlock,
  blockLines,
  configWord,
  directives,
  hasBlock,
  insertHost,
  removeBlock,
} from '../../src/core/ssh-config-text.ts';

const LINES = ['Host *', '  ControlMaster auto', '  ControlPath ~/.ssh/control/%C'];
const HOST = ['Host web1', '  HostName 10.0.0.7'];
const MARKS = addBlock('', []).split('\n').slice(0, 2);

/** What may stand in somebody's file, and what only looks like a part of the block. */
const line = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '# a comment',
    'Host *',
    'host web1 web2',
    'Match all',
    'Match exec "true"',
    '\tUser = root',
    'Include conf.d/*',
    'Port 2222 # the usual',
    ...MARKS,
    `${MARKS[0]!} `,
    ...addBlock(undefined, []).split('\n').slice(0, 1),
    ...addBlock('x', []).split('\n').slice(2, 3),
  ),
  fc.string({ unit: 'binary-ascii', maxLength: 12 }).map((text) => text.replaceAll('\n', ' ')),
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);
const text = fc
  .tuple(fc.array(fc.tuple(line, fc.constantFrom('\n', '\n', '\r\n')), { maxLength: 12 }), line)
  .map(([lines, last]) => lines.map(([words, end]) => words + end).join('') + last);
const withoutBlock = text.filter((content) => !hasBlock(content));

describe('the block at the end', () => {
  test('added and taken out again leaves every byte as it was, and no file where there was none', () => {
    fc.assert(
      fc.property(fc.option(withoutBlock, { nil: undefined }), (before) => {
        const added = addBlock(before, LINES);
        expect(hasBlock(added)).toBe(true);
        expect(removeBlock(added)).toBe(before);
      }),
      { numRuns: 3000 },
    );
  });

  test('added twice is added once', () => {
    fc.assert(
      fc.property(text, (before) => {
        const added = addBlock(before, LINES);
        expect(addBlock(added, LINES)).toBe(added);
      }),
    );
  });

  test('moves no byte of what stood there, and stands at the end with the lines it was given', () => {
    fc.assert(
      fc.property(withoutBlock, (before) => {
        const added = addBlock(before, LINES);
        expect(added.startsWith(before)).toBe(true);
        expect(blockLines(added)).toEqual(LINES);
        expect(added.endsWith('\n')).toBe(true);
      }),
    );
  });

  test('taken out from between what was written around it since, leaves all of that', () => {
    fc.assert(
      fc.property(withoutBlock, withoutBlock, (before, after) => {
        const added = addBlock(before, LINES) + after;
        const left = removeBlock(added)!;
        expect(left.startsWith(before)).toBe(true);
        expect(left.endsWith(after)).toBe(true);
        expect(left.length - before.length - after.length).toBeLessThanOrEqual(2);
      }),
    );
  });

  test('has the line ends of the file', () => {
    expect(addBlock('Host a\r\n  User b\r\n', LINES)).toMatch(/^([^\n]*\r\n)+$/);
    expect(addBlock('Host a\n', LINES)).not.toContain('\r');
  });

  test('is apart from what stands before it', () => {
    expect(addBlock('Host a\n', ['Host *'])).toMatch(
      /^Host a\n\n# prep mastering: begin .*\nHost \*\n# .*\n$/,
    );
    expect(addBlock('Host a', ['Host *'])).toMatch(/^Host a\n\n# prep mastering: begin, after /);
  });
});

describe('a Host block', () => {
  test('changes nothing else, and stands before every other block', () => {
    fc.assert(
      fc.property(text, (before) => {
        const after = insertHost(before, HOST);
        const at = after.indexOf('Host web1\n') >= 0 ? 'Host web1\n' : 'Host web1\r\n';
        expect(after).toContain(at);
        const blocks = directives(after).filter(({ block }) => block !== undefined);
        expect(blocks[0]!.values).toEqual(['web1']);
        const globals = (of: string) =>
          directives(of)
            .filter(({ block }) => block === undefined)
            .map(({ values }) => values);
        expect(globals(after)).toEqual(globals(before));
        const rest = directives(after).length - directives(before).length;
        expect(rest).toBe(2);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['', 'Host web1\n  HostName 10.0.0.7\n'],
    ['User me', 'User me\n\nHost web1\n  HostName 10.0.0.7\n'],
    ['Host *\n', 'Host web1\n  HostName 10.0.0.7\n\nHost *\n'],
    [
      'User me\n\n# everybody\n  # else\nHost *\n',
      'User me\n\nHost web1\n  HostName 10.0.0.7\n\n# everybody\n  # else\nHost *\n',
    ],
    ['Include a\nMatch all\n', 'Include a\n\nHost web1\n  HostName 10.0.0.7\n\nMatch all\n'],
    ['Host *\r\n', 'Host web1\r\n  HostName 10.0.0.7\r\n\r\nHost *\r\n'],
  ])('in %j', (before, after) => {
    expect(insertHost(before, HOST)).toBe(after);
  });
});

describe('directives', () => {
  test('are read as ssh reads them', () => {
    const file =
      'user=me\nHost a "b c" \'d\' #x y\n\tPort\t22\r\n# no\nMATCH all\nIdentityFile "a\\"b"\n=\n';
    expect(
      directives(file).map(({ keyword, values, line, block }) => [keyword, values, line, block]),
    ).toEqual([
      ['user', ['me'], 1, undefined],
      ['host', ['a', 'b c', 'd'], 2, 'Host a "b c" \'d\' #x y'],
      ['port', ['22'], 3, 'Host a "b c" \'d\' #x y'],
      ['match', ['all'], 5, 'MATCH all'],
      ['identityfile', ['a"b'], 6, 'MATCH all'],
    ]);
  });

  test('come back as the word that was written', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: 'grapheme-ascii' }), (value) => {
        expect(directives(`User ${configWord(value)}`)[0]?.values).toEqual([value]);
      }),
      { numRuns: 3000 },
    );
  });
});
