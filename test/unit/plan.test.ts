import { describe, expect, test } from 'vitest';
import { entryAt, type Entry, type Reading } from '../../src/core/facts.ts';
import {
  changesOf,
  makePlan,
  rehearse,
  replaces,
  withoutChanges,
  type Change,
  type Desired,
  type LoginShellChange,
  type Step,
  type Verdict,
} from '../../src/core/plan.ts';
import { readingsOf } from '../../src/core/readings.ts';
import { noRecords } from '../../src/core/records.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { directory, factsOf, file, symlink } from '../support/facts.ts';

const DESTINATION = { host: 'web1' };
const NOTHING: Desired = { keys: [], dotfiles: [], loginShell: 'zsh' };
const ABSENT: Entry = { kind: 'absent' };

const SHELL: LoginShellChange = {
  what: 'login-shell',
  before: '/bin/bash',
  after: '/bin/zsh',
  by: 'chsh',
  as: 'self',
  reason: 'it is /bin/bash',
};

function change(path: string, before: Entry, after: Entry, adds?: readonly string[]): Change {
  const reason = `${path} is wanted`;
  return { what: 'entry', path: remotePath(path), before, after, reason, ...(adds && { adds }) };
}

function step(name: string, plan: Step['plan'], reads: readonly Reading[] = []): Step {
  return { name, title: `the title of ${name}`, reads: () => reads, plan };
}

function saying(name: string, ...changes: readonly Change[]): Step {
  return step(name, () => ({ kind: 'changes', changes }));
}

describe('a plan', () => {
  const a = change('a', ABSENT, file(0o644, 'x'));

  test('is one verdict for each step, in order, with its title', () => {
    const settled = step('second', () => ({ kind: 'settled', because: 'there already' }));
    const { steps } = makePlan(DESTINATION, factsOf(), NOTHING, [saying('first', a), settled]);
    expect(steps).toEqual([
      { name: 'first', title: 'the title of first', verdict: { kind: 'changes', changes: [a] } },
      {
        name: 'second',
        title: 'the title of second',
        verdict: { kind: 'settled', because: 'there already' },
      },
    ]);
  });

  test('lets each step see what the steps before it will have done', () => {
    const seen: Entry[] = [];
    const watching = step('watching', (facts): Verdict => {
      seen.push(entryAt(facts, remotePath('a')));
      return { kind: 'settled', because: 'seen' };
    });
    makePlan(DESTINATION, factsOf(), NOTHING, [watching, saying('making', a), watching]);
    expect(seen).toEqual([ABSENT, file(0o644, 'x')]);
  });

  test('predicts what all its changes come to, and leaves the facts as they were', () => {
    const b = change('a', file(0o644, 'x'), file(0o600, 'x'));
    const facts = factsOf();
    const steps = [saying('first', a), saying('second', b, SHELL)];
    const { predicted, ...plan } = makePlan(DESTINATION, facts, NOTHING, steps);
    expect(entryAt(predicted, remotePath('a'))).toEqual(file(0o600, 'x'));
    expect(predicted.account.loginShell).toBe('/bin/zsh');
    expect(plan.facts).toEqual(factsOf());
    expect(plan.facts).toBe(facts);
  });

  test.each([
    ['closed to its owner', 0o500, 0o700, ['.ssh'], []],
    ['closed by the file system', 0o777, 0o700, ['.ssh'], ['.ssh']],
    ['that is closed now', 0o700, 0o500, [], ['.ssh']],
  ])('knows what it does to a directory %s', (_, before, after, was, is) => {
    const open = change('.ssh', directory(before), directory(after));
    const { unwritable } = rehearse(factsOf({ unwritable: was }), open);
    expect([...unwritable]).toEqual(is);
  });

  test('changes nothing where what it replaces could not be kept', () => {
    const barred = { path: remotePath('.local'), because: 'is not a directory' } as const;
    const settled = step('settled', () => ({ kind: 'settled', because: 'there already' }));
    const facts = factsOf({ barred });
    const plan = makePlan(DESTINATION, facts, NOTHING, [saying('making', a), settled]);
    expect(plan.steps.map(({ verdict }) => verdict)).toEqual([
      { kind: 'blocked', because: noRecords(facts) },
      { kind: 'settled', because: 'there already' },
    ]);
    expect(plan.predicted).toBe(facts);
  });

  test('of nothing predicts what is there', () => {
    const facts = factsOf();
    expect(rehearse(facts)).toBe(facts);
    expect(makePlan(DESTINATION, facts, NOTHING, []).predicted).toBe(facts);
  });
});

describe('a plan without some of its changes', () => {
  const a = change('a', file(0o644, 'old'), file(0o644, 'new'));
  const b = change('b', ABSENT, file(0o644, 'x'));
  const planned = (...steps: readonly Step[]) => makePlan(DESTINATION, factsOf(), NOTHING, steps);

  test.each<[string, Step, readonly Change[], Verdict]>([
    [
      'a step that keeps some says what it does not do',
      saying('s', a, b),
      [a],
      { kind: 'changes', changes: [b], except: 'you said no' },
    ],
    [
      'and adds it to what could not be done anyway',
      step('s', () => ({ kind: 'changes', changes: [a, b], except: 'c is a directory' })),
      [a],
      { kind: 'changes', changes: [b], except: 'c is a directory; you said no' },
    ],
    [
      'a step that keeps none is blocked',
      saying('s', a, b),
      [a, b],
      { kind: 'blocked', because: 'you said no' },
    ],
    ['a step that loses none is the same', saying('s', b), [a], { kind: 'changes', changes: [b] }],
    [
      'a settled step is the same',
      step('s', () => ({ kind: 'settled', because: 'there' })),
      [a],
      { kind: 'settled', because: 'there' },
    ],
  ])('%s', (_, step, out, verdict) => {
    const plan = withoutChanges(planned(step), new Set(out), 'you said no');
    expect(plan.steps[0]?.verdict).toEqual(verdict);
  });

  test('predicts only what is left', () => {
    const plan = planned(saying('s', a, SHELL), saying('t', b));
    const left = withoutChanges(plan, new Set([a, SHELL]), 'you said no');
    expect(changesOf(left)).toEqual([b]);
    expect(left.predicted).toEqual(rehearse(plan.facts, b));
  });
});

test.each<[string, Change, boolean]>([
  ['a new file', change('a', ABSENT, file(0o644, 'x')), false],
  ['other bytes', change('a', file(0o644, 'old'), file(0o644, 'new')), true],
  ['another mode', change('a', file(0o644, 'x'), file(0o600, 'x')), false],
  [
    'another time',
    change('a', file(0o644, 'x', { mtime: 1 }), file(0o644, 'x', { mtime: 2 })),
    false,
  ],
  ['lines added to a file', change('a', file(0o600, 'x\n'), file(0o600, 'x\ny\n'), ['y']), false],
  ['a link instead of a file', change('a', file(0o644, 'x'), symlink('b')), true],
  ['a link that leads elsewhere', change('a', symlink('c'), symlink('b')), true],
  ['a file instead of a link', change('a', symlink('c'), file(0o644, 'x')), true],
  ['the mode of a directory', change('a', directory(0o755), directory(0o700)), false],
  ['a file that goes', change('a', file(0o644, 'x'), ABSENT), true],
  ['the login shell', SHELL, false],
])('whether something of the user is replaced: %s', (_, change, yes) => {
  expect(replaces(change)).toBe(yes);
});

describe('what steps read', () => {
  const known = { size: 1, checksum: 2 };
  const a = remotePath('a');

  test.each<[string, readonly Reading[], Reading]>([
    [
      'once is as it was asked',
      [{ path: a, bytes: 'some', follow: true }],
      { path: a, bytes: 'some', follow: true },
    ],
    ['twice is read once', [{ path: a }, { path: a }], { path: a }],
    [
      'is followed if anybody follows',
      [{ path: a }, { path: a, follow: true }],
      { path: a, follow: true },
    ],
    ['is listed if anybody lists', [{ path: a, list: true }, { path: a }], { path: a, list: true }],
    [
      'has all bytes if anybody needs all',
      [
        { path: a, bytes: 'some' },
        { path: a, bytes: 'all' },
      ],
      { path: a, bytes: 'all' },
    ],
    [
      'has bytes if anybody needs them',
      [{ path: a }, { path: a, bytes: 'some' }],
      { path: a, bytes: 'some' },
    ],
    [
      'may be known already, if nobody else needs the bytes',
      [{ path: a, bytes: 'some', unless: known }, { path: a }],
      { path: a, bytes: 'some', unless: known },
    ],
    [
      'is not known already to somebody else',
      [
        { path: a, bytes: 'some', unless: known },
        { path: a, bytes: 'all' },
      ],
      { path: a, bytes: 'all' },
    ],
  ])('%s', (_, readings, expected) => {
    const nothing = (): Verdict => ({ kind: 'settled', because: '' });
    const steps = readings.map((reading, i) => step(`s${i}`, nothing, [reading]));
    expect(readingsOf(steps, NOTHING)).toEqual([expected]);
    expect(readingsOf(steps.toReversed(), NOTHING)).toEqual([expected]);
  });
});
