import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change } from '../../src/core/plan.ts';
import { remotePath, type RemotePath } from '../../src/core/remote-path.ts';
import {
  journalLine,
  journalOf,
  nextRun,
  readJournal,
  type JournalLine,
} from '../../src/remote/journal.ts';
import { directory, file, symlink } from '../support/facts.ts';

const RUN = '0003-20260102T030405Z-5eed';
const reason = 'because';

describe('the name of a run', () => {
  const now = new Date('2026-01-02T03:04:05.678Z');

  test.each([
    ['the first', [], '0001-20260102T030405Z-5eed'],
    ['after others', ['0001-20250101T000000Z', '0002-20250102T000000Z'], RUN],
    ['whatever the clock said then', ['0002-20990101T000000Z'], RUN],
    ['after one that was deleted', ['0002-20250102T000000Z'], RUN],
    ['beside a folder that is no run', ['old', '0002-20250102T000000Z'], RUN],
  ])('%s', (_, runs, name) => {
    expect(nextRun(runs, now, '5eed')).toBe(name);
  });

  test('is another for each of two that begin at once', () => {
    expect(nextRun([], now)).not.toBe(nextRun([], now));
  });

  test('is the folder of its journal', () => {
    expect(journalOf(RUN)).toBe(`.local/state/prep/${RUN}/journal`);
  });
});

describe('a journal', () => {
  test.each<[string, Change, unknown]>([
    [
      'a new file',
      {
        what: 'entry',
        path: remotePath('a'),
        before: { kind: 'absent' },
        after: file(0o644, 'x'),
        reason,
      },
      { before: { kind: 'absent' }, after: { kind: 'file', mode: 0o644, content: { size: 1 } } },
    ],
    [
      'a replaced file, and where it is kept',
      {
        what: 'entry',
        path: remotePath('a'),
        before: file(0o600, 'old', { mtime: 7 }),
        after: file(0o644, 'x'),
        reason,
      },
      {
        before: {
          mode: 0o600,
          mtime: 7,
          content: { size: 3, keptAt: `.local/state/prep/${RUN}/1` },
        },
      },
    ],
    [
      'a file replaced by a link',
      {
        what: 'entry',
        path: remotePath('a'),
        before: file(0o600, 'old'),
        after: symlink('b'),
        reason,
      },
      { before: { content: { keptAt: `.local/state/prep/${RUN}/1` } }, after: symlink('b') },
    ],
    [
      'a mode',
      {
        what: 'entry',
        path: remotePath('a'),
        before: directory(0o755),
        after: directory(0o700),
        reason,
      },
      { before: directory(0o755), after: directory(0o700) },
    ],
    [
      'added lines',
      {
        what: 'entry',
        path: remotePath('a'),
        before: file(0o600, ''),
        after: file(0o600, 'x\n'),
        adds: ['x'],
        reason,
      },
      { adds: ['x'] },
    ],
    [
      'a login shell',
      { what: 'login-shell', before: '/bin/sh', after: '/bin/zsh', by: 'chsh', as: 'self', reason },
      { what: 'login-shell', before: '/bin/sh', after: '/bin/zsh' },
    ],
  ])('remembers %s', (_, change, expected) => {
    const [read] = readJournal(`${journalLine({ number: 1, step: 'any', change })}\n`, RUN);
    expect(read).toMatchObject({ number: 1, step: 'any', change: expected });
  });

  test('has no contents in it', () => {
    const change: Change = {
      what: 'entry',
      path: remotePath('a'),
      before: file(0o600, 'precious'),
      after: file(0o600, 'new text'),
      reason,
    };
    const line = journalLine({ number: 1, step: 'dotfiles', change });
    expect(line).not.toMatch(/precious|new text|"bytes"/);
    const mode = { ...change, after: { ...change.before, mode: 0o644 } } as Change;
    const [read] = readJournal(journalLine({ number: 1, step: 'permissions', change: mode }), RUN);
    expect(read?.change).not.toHaveProperty('before.content.keptAt');
  });

  test('has one line of ASCII for each change, whatever a path holds', () => {
    const path = fc.uint8Array({ minLength: 1 }).map((bytes) => remotePath(bytes));
    fc.assert(
      fc.property(path, fc.string({ unit: 'binary' }), (path, reason) => {
        const line = journalLine({ number: 1, step: 's', change: created(path, reason) });
        expect(line).toMatch(/^[ -~]*$/);
        expect(readJournal(line, RUN)[0]?.change).toMatchObject({ path, reason });
      }),
    );
  });

  test.each([
    ['was cut off by a full disk', '{"number":3,"step":"zlogin","cha'],
    ['is empty', ''],
    ['a later version added', '{"number":3,"note":"hello"}'],
    [
      'has a change that a later version added',
      '{"number":3,"step":"s","change":{"what":"owner"}}',
    ],
    [
      'has an entry without what was there before',
      '{"number":3,"step":"s","change":{"what":"entry","path":"a","after":{"kind":"absent"}}}',
    ],
    [
      'has an entry of a kind that a later version added',
      '{"number":3,"step":"s","change":{"what":"entry","path":"a","before":{"kind":"whiteout"},"after":{"kind":"absent"}}}',
    ],
    [
      'has a file without a content',
      '{"number":3,"step":"s","change":{"what":"entry","path":"a","before":{"kind":"file","mode":420},"after":{"kind":"absent"}}}',
    ],
    ['has no number', '{"step":"s","change":{"what":"command","argv":["true"]}}'],
    ['is null', 'null'],
    ['is a number', '5'],
  ])('is read without a line that %s', (_, odd) => {
    const lines = [1, 2].map((number) => journalLine(lineOf(number)));
    const read = readJournal([lines[0], odd, lines[1]].join('\n'), RUN);
    expect(read.map(({ number }) => number)).toEqual([1, 2]);
  });
});

function lineOf(number: number): JournalLine {
  return { number, step: 'zlogin', change: created(remotePath('.zlogin'), reason) };
}

function created(path: RemotePath, reason: string): Change {
  return { what: 'entry', path, before: { kind: 'absent' }, after: symlink('.zshenv'), reason };
}
