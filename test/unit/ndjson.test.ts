import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import type { Event, Report } from '../../src/core/event.ts';
import { ABSENT, contentOf } from '../../src/core/facts.ts';
import type { Change, Plan } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { ndjsonView } from '../../src/terminal/ndjson.ts';
import type { Manner } from '../../src/terminal/view.ts';

const ALICE: Destination = { user: 'alice', host: 'web1' };

const KEYS: Change = {
  what: 'entry',
  path: remotePath('.ssh/authorized_keys'),
  before: ABSENT,
  after: { kind: 'file', mode: 0o600, content: contentOf(Buffer.from('file content')) },
  reason: 'add leah@laptop SHA256:abc',
};

const SHELL: Change = {
  what: 'login-shell',
  before: '/bin/bash',
  after: '/bin/zsh',
  by: 'chsh',
  as: 'self',
  reason: 'it is bash',
};

const PLAN = {
  destination: ALICE,
  steps: [
    { name: 'authorized-keys', title: '', verdict: { kind: 'changes', changes: [KEYS] } },
    { name: 'permissions', title: '', verdict: { kind: 'settled', because: 'already so' } },
    { name: 'zlogin', title: '', verdict: { kind: 'blocked', because: 'a socket' } },
    { name: 'login-shell', title: '', verdict: { kind: 'changes', changes: [SHELL], except: 'x' } },
  ],
} as unknown as Plan;

const keysObject = {
  what: 'entry',
  path: '.ssh/authorized_keys',
  action: 'create',
  reason: 'add leah@laptop SHA256:abc',
};

const shellObject = {
  what: 'login-shell',
  path: '/bin/zsh',
  action: 'replace',
  reason: 'it is bash',
  before: '/bin/bash',
  after: '/bin/zsh',
};

function shown(events: readonly Event[], verbosity: Manner['verbosity'] = 'normal') {
  const out = new PassThrough();
  const err = new PassThrough();
  const view = ndjsonView({ out, err }, { verbosity });
  for (const event of events) view.observe(event);
  const text = String(out.read() ?? '');
  const lines = text.split('\n').filter(Boolean);
  return {
    text,
    objects: lines.map((line) => JSON.parse(line) as unknown),
    err: String(err.read() ?? ''),
  };
}

describe('JSON lines', () => {
  test('the summary is as the contract has it', () => {
    const report: Report = {
      destination: ALICE,
      status: 'changed',
      steps: [{ name: 'authorized-keys', status: 'changed', reason: 'why', changes: [KEYS] }],
      verified: true,
    };
    const { text } = shown([
      { type: 'report', report },
      { type: 'summary', reports: [report] },
    ]);
    expect(text).toBe(
      '{"type":"summary","accounts":[{"destination":"alice@web1","status":"changed","steps":[{"name":"authorized-keys","status":"changed","reason":"why","changes":[{"what":"entry","path":".ssh/authorized_keys","action":"create","reason":"add leah@laptop SHA256:abc"}]}],"verified":true}]}\n',
    );
  });

  test.each([
    [true, true],
    [false, false],
    ['not tried', false],
  ] as const)('verified %s is %s', (verified, expected) => {
    const report: Report = { destination: ALICE, status: 'planned', steps: [], verified };
    const { objects } = shown([{ type: 'summary', reports: [report] }]);
    expect(objects).toMatchObject([{ accounts: [{ verified: expected }] }]);
  });

  test.each<[Event, object | undefined]>([
    [
      // oxlint-disable-next-line unicorn/no-thenable -- events are never awaited
      { type: 'plan', destination: ALICE, plan: PLAN, next: 'ask' },
      {
        type: 'plan',
        next: 'ask',
        steps: [
          {
            name: 'authorized-keys',
            status: 'planned',
            reason: KEYS.reason,
            changes: [keysObject],
          },
          { name: 'permissions', status: 'unchanged', reason: 'already so', changes: [] },
          { name: 'zlogin', status: 'blocked', reason: 'a socket', changes: [] },
          { name: 'login-shell', status: 'blocked', reason: 'x', changes: [shellObject] },
        ],
      },
    ],
    [
      { type: 'outcome', destination: ALICE, outcome: { change: KEYS, result: 'done' } },
      { type: 'outcome', result: 'done', change: keysObject },
    ],
    [
      { type: 'verified', destination: ALICE, loginShell: '/bin/zsh' },
      { type: 'verified', loginShell: '/bin/zsh' },
    ],
    [
      { type: 'banner', destination: ALICE, text: 'Hi\n' },
      { type: 'banner', text: 'Hi\n' },
    ],
    [
      { type: 'applied', destination: ALICE, steps: [] },
      { type: 'applied', steps: [] },
    ],
    [{ type: 'note', destination: ALICE, text: 'n' }, undefined],
    [{ type: 'applying', destination: ALICE, plan: PLAN }, undefined],
    [{ type: 'progress', destination: ALICE, path: remotePath('x'), sent: 1, total: 2 }, undefined],
  ])('%j', (event, expected) => {
    const { objects, err } = shown([event]);
    expect(objects).toEqual(
      expected === undefined ? [] : [{ ...expected, destination: 'alice@web1' }],
    );
    expect(err).toBe('');
  });

  test('notes come with -v', () => {
    expect(
      shown([{ type: 'note', destination: ALICE, text: 'n' }], 'verbose').objects,
    ).toHaveLength(1);
  });

  test('a problem is a line here and a sentence on standard error, once', () => {
    const problem = { code: 'wrong-password', tries: 3 } as const;
    const report: Report = {
      destination: ALICE,
      status: 'failed',
      steps: [],
      verified: 'not tried',
      problem,
    };
    const { objects, err } = shown([
      { type: 'problem', destination: ALICE, problem },
      { type: 'report', report },
      { type: 'summary', reports: [report] },
    ]);
    const object = {
      code: 'wrong-password',
      exit: 1,
      text: expect.stringContaining('refused 3 times') as string,
    };
    expect(objects).toMatchObject([
      { type: 'problem', destination: 'alice@web1', ...object },
      { type: 'summary', accounts: [{ status: 'failed', problem: object }] },
    ]);
    expect(err).toMatch(/^prep: alice@web1: the password was refused 3 times; [^\n]*\n$/);
  });

  test('never the content of a file; paths as UTF-8 text; nothing that a terminal obeys', () => {
    const change: Change = {
      ...KEYS,
      path: remotePath(
        Buffer.concat([Buffer.from('grün\u001b\u009b\u202e\n'), Buffer.from([0xff])]),
      ),
    };
    const { text, objects } = shown([
      { type: 'outcome', destination: ALICE, outcome: { change, result: 'done' } },
    ]);
    expect(text).not.toContain('file content');
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(objects).toMatchObject([{ change: { path: 'grün\u001b\u009b\u202e\n\ufffd' } }]);
  });
});
