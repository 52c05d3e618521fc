import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { Destination } from '../../src/core/destination.ts';
import type { Event, Report, StepReport } from '../../src/core/event.ts';
import { ABSENT, contentOf, type Entry } from '../../src/core/facts.ts';
import type { Change, Plan, Verdict } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { taskListView } from '../../src/terminal/task-list.ts';
import { textView } from '../../src/terminal/text.ts';
import type { Manner, Streams, View } from '../../src/terminal/view.ts';
import { actionOf, describe as words } from '../../src/terminal/words.ts';
import { Terminal } from '../support/terminal.ts';

const file = (text: string, mode = 0o644, mtime?: number): Entry => ({
  kind: 'file',
  mode,
  content: contentOf(Buffer.from(text)),
  ...(mtime !== undefined && { mtime }),
});

const link = (target: string): Entry => ({ kind: 'symlink', target: remotePath(target) });
const directory = (mode: number): Entry => ({ kind: 'directory', mode });

const entry = (path: string, before: Entry, after: Entry, reason = 'because'): Change => ({
  what: 'entry',
  path: remotePath(path),
  before,
  after,
  reason,
});

const shell = (as: 'self' | 'root' | 'sudo', by: 'chsh' | 'usermod' = 'chsh'): Change => ({
  what: 'login-shell',
  before: '/bin/bash',
  after: '/bin/zsh',
  by,
  as,
  reason: 'it is bash',
});

describe('a change in words', () => {
  test.each<[string, string, Change]>([
    ['create', '+ .zshrc (0644, 2 bytes): because', entry('.zshrc', ABSENT, file('a\n'))],
    ['create', '+ e (0600, 0 bytes): because', entry('e', ABSENT, file('', 0o600))],
    ['create', '+ .ssh (0700): because', entry('.ssh', ABSENT, directory(0o700))],
    ['link', '+ .zlogin -> .zshenv: because', entry('.zlogin', ABSENT, link('.zshenv'))],
    ['link', '~ .zlogin -> .zshenv: because', entry('.zlogin', file('x'), link('.zshenv'))],
    ['remove', '- .zshrc: because', entry('.zshrc', file('x'), ABSENT)],
    ['mode', '~ . (0777 -> 0700): because', entry('.', directory(0o777), directory(0o700))],
    ['mode', '~ f (0666 -> 0600): because', entry('f', file('x', 0o666), file('x', 0o600))],
    [
      'mode',
      '~ u (0644 -> 0600): because',
      entry('u', { kind: 'unreadable', mode: 0o644 }, { kind: 'unreadable', mode: 0o600 }),
    ],
    [
      'mode',
      '~ f (modified 1970-01-01 00:00:00 -> 2007-05-04 03:02:01): because',
      entry('f', file('x', 0o644, 0), file('x', 0o644, Date.UTC(2007, 4, 4, 3, 2, 1) / 1000)),
    ],
    ['replace', '~ f: because', entry('f', file('x'), file('y'))],
    ['replace', '~ f (0666 -> 0600): because', entry('f', file('x', 0o666), file('y', 0o600))],
    ['replace', '~ f (0644, 1 byte): because', entry('f', link('x'), file('y'))],
    ['replace', '~ login shell /bin/bash -> /bin/zsh by chsh: it is bash', shell('self')],
    ['replace', '~ login shell /bin/bash -> /bin/zsh by sudo chsh: it is bash', shell('sudo')],
    [
      'replace',
      '~ login shell /bin/bash -> /bin/zsh by usermod as root: it is bash',
      shell('root', 'usermod'),
    ],
    [
      'create',
      '+ a\\nb\\x1b (0644, 2,064 bytes): a\\rb',
      entry('a\nb\u001b', ABSENT, file('x'.repeat(2064)), 'a\rb'),
    ],
  ])('%s: %s', (action, expected, change) => {
    expect(words(change)).toBe(expected);
    expect(actionOf(change)).toBe(action);
  });
});

const ALICE: Destination = { user: 'alice', host: 'web1' };
const DIRECTORY = entry('.ssh', ABSENT, directory(0o700), 'not there yet');
const ZSHRC = entry('.zshrc', file('a\nb\n'), file('a\nc\n'), 'differs');

function planOf(steps: Record<string, Verdict>, destination = ALICE): Plan {
  const named = Object.entries(steps).map(([name, verdict]) => ({
    name,
    title: `${name} is as it should be`,
    verdict,
  }));
  // The views look at no facts.
  return { destination, facts: {}, predicted: {}, steps: named } as unknown as Plan;
}

const PLAN = planOf({
  'ssh-dir': { kind: 'changes', changes: [DIRECTORY] },
  permissions: { kind: 'settled', because: 'already so' },
  dotfiles: { kind: 'changes', changes: [ZSHRC], except: '.screenrc is a directory' },
  'login-shell': { kind: 'blocked', because: 'zsh is not installed' },
});

const step = (
  name: string,
  status: StepReport['status'],
  changes: readonly Change[] = [],
): StepReport => ({
  name,
  status,
  reason: `${name} says why`,
  changes,
});

const report = (more: Partial<Report>): Event => ({
  type: 'report',
  report: { destination: ALICE, status: 'changed', steps: [], verified: 'not tried', ...more },
});

const done = (change: Change): Event => ({
  type: 'outcome',
  destination: ALICE,
  outcome: { change, result: 'done' },
});

const failed = (change: Change): Event => ({
  type: 'outcome',
  destination: ALICE,
  outcome: {
    change,
    result: 'failed',
    problem: { code: 'disk-full', path: '.zshrc', said: 'no space' },
  },
});

const verified: Event = { type: 'verified', destination: ALICE, loginShell: '/bin/zsh' };
const applied: Event = { type: 'applied', destination: ALICE, steps: [] };
const applying: Event = { type: 'applying', destination: ALICE, plan: PLAN };
const plan = (next: 'end' | 'ask' | 'apply', which = PLAN): Event => ({
  type: 'plan',
  destination: which.destination,
  plan: which,
  next,
});

type Make = (streams: Streams, manner: Manner) => View;

function open(make: Make, verbosity: Manner['verbosity'] = 'normal') {
  const out = Object.assign(new PassThrough(), { columns: 60, rows: 20 });
  const err = new PassThrough();
  const read = (stream: PassThrough) => String(stream.read() ?? '');
  const view = make({ out, err }, { verbosity });
  return { view, out: () => read(out), err: () => read(err) };
}

async function shown(
  make: Make,
  events: readonly Event[],
  verbosity: Manner['verbosity'] = 'normal',
) {
  const { view, out, err } = open(make, verbosity);
  for (const event of events) view.observe(event);
  await view.finish();
  return { out: out(), err: err() };
}

describe('plain text', () => {
  const text = (events: readonly Event[], verbosity?: Manner['verbosity']) =>
    shown(textView, events, verbosity);

  test('shows a plan with reasons and, where it is the result or is asked about, with diffs', async () => {
    const { out, err } = await text([plan('ask')]);
    expect(out).toBe(`alice@web1: 2 changes
  ssh-dir         + .ssh (0700): not there yet
  permissions     = already so
  dotfiles        ~ .zshrc: differs
--- .zshrc
+++ .zshrc
@@ -1,2 +1,2 @@
 a
-b
+c
  dotfiles        ! .screenrc is a directory
  login-shell     ! zsh is not installed
`);
    expect(err).toBe('');
    expect((await text([plan('end')])).out).toBe(out);
    expect((await text([plan('apply')], 'verbose')).out).toBe(out);
    expect((await text([plan('apply')])).out).toBe(out.replace(/---[^]*\+c\n/, ''));
  });

  test('a plan without changes says so', async () => {
    const settled = planOf({ dotfiles: { kind: 'settled', because: 'all 3 already there' } });
    expect((await text([plan('end', settled)])).out).toBe(
      'alice@web1: nothing to change\n  dotfiles        = all 3 already there\n',
    );
  });

  test('tells how a run went', async () => {
    const events = [
      done(DIRECTORY),
      done(ZSHRC),
      applied,
      verified,
      report({ verified: true, steps: [step('x', 'changed')] }),
    ];
    const closing = `alice@web1: logged in with the key alone, into /bin/zsh
alice@web1 is ready: 2 changes made; log in with: ssh alice@web1
`;
    expect(await text(events)).toEqual({ out: closing, err: '' });
    expect((await text(events, 'verbose')).out).toBe(
      `alice@web1: done: + .ssh (0700): not there yet\nalice@web1: done: ~ .zshrc: differs\n${closing}`,
    );
    expect(await text(events, 'quiet')).toEqual({ out: '', err: '' });
  });

  test.each<[string, Partial<Report>, readonly Event[], string]>([
    [
      'unchanged',
      { status: 'unchanged', steps: [step('x', 'unchanged')] },
      [],
      'alice@web1: nothing to do; everything is as wanted',
    ],
    [
      'planned',
      { status: 'planned', steps: [step('x', 'planned', [ZSHRC])] },
      [],
      'alice@web1: 1 change planned, none made',
    ],
    [
      'planned and blocked',
      { status: 'planned', steps: [step('x', 'planned', [ZSHRC]), step('y', 'blocked')] },
      [],
      'alice@web1: 1 change planned, none made; y blocked',
    ],
    [
      'only blocked',
      { status: 'unchanged', steps: [step('y', 'blocked')] },
      [],
      'alice@web1: nothing changed; y blocked',
    ],
    ['not verified', { steps: [step('x', 'changed')] }, [done(ZSHRC)], 'alice@web1: 1 change made'],
    [
      'partly failed, yet the key works',
      {
        status: 'failed',
        verified: true,
        steps: [step('x', 'failed'), step('y', 'failed'), step('z', 'blocked')],
      },
      [done(ZSHRC), failed(DIRECTORY)],
      'alice@web1: 1 change made; x, y failed; z blocked; log in with: ssh alice@web1',
    ],
    [
      'another port',
      { destination: { host: '::1', port: 2222 }, verified: true, steps: [step('x', 'changed')] },
      [
        {
          type: 'outcome',
          destination: { host: '::1', port: 2222 },
          outcome: { change: ZSHRC, result: 'done' },
        },
      ],
      '[::1]:2222 is ready: 1 change made; log in with: ssh -p 2222 ::1',
    ],
    [
      'a port of its own flag',
      { port: 2222, verified: true, steps: [step('x', 'changed')] },
      [{ type: 'outcome', destination: ALICE, outcome: { change: ZSHRC, result: 'done' } }],
      'alice@web1 is ready: 1 change made; log in with: ssh -p 2222 alice@web1',
    ],
  ])('closing line: %s', async (_, more, before, expected) => {
    expect((await text([...before, report(more)])).out).toBe(`${expected}\n`);
  });

  test('tells each problem once, on standard error, however quiet', async () => {
    const problem = { code: 'wrong-password', tries: 3 } as const;
    const { out, err } = await text(
      [
        failed(ZSHRC),
        failed(DIRECTORY),
        { type: 'problem', destination: ALICE, problem },
        report({ status: 'failed', problem }),
        report({ status: 'failed', steps: [step('login-shell', 'blocked')] }),
      ],
      'quiet',
    );
    expect(out).toBe('');
    expect(err.split('\n')).toEqual([
      'prep: alice@web1: .zshrc could not be written: no space left (no space); free some space there and run prep again; the old file is untouched',
      expect.stringMatching(/^prep: alice@web1: the password was refused 3 times; check /),
      'prep: alice@web1: login-shell is blocked: login-shell says why',
      '',
    ]);
  });

  test('tells once what blocks several steps', async () => {
    const blocked = (name: string, reason: string): StepReport => {
      return { ...step(name, 'blocked'), reason };
    };
    const steps = [
      blocked('a', 'the same'),
      blocked('b', 'another'),
      blocked('c', 'the same'),
      step('d', 'changed'),
      blocked('e', 'the same'),
    ];
    const { err } = await text([report({ status: 'failed', steps })], 'quiet');
    expect(err).toBe(
      'prep: alice@web1: a, c and e are blocked: the same\nprep: alice@web1: b is blocked: another\n',
    );
  });

  test('notes only with -v, notices and banners unless -q, all harmless', async () => {
    const events: Event[] = [
      { type: 'note', destination: ALICE, text: 'a note' },
      { type: 'notice', destination: ALICE, text: 'a \u001b[31mnotice' },
      { type: 'banner', destination: ALICE, text: 'Welcome\r\nto \u009b2J web1\n' },
    ];
    const said = 'prep: alice@web1: a \\x1b[31mnotice\nWelcome\nto \\x9b2J web1\n';
    expect((await text(events)).err).toBe(said);
    expect((await text(events, 'verbose')).err).toBe(`prep: alice@web1: a note\n${said}`);
    expect((await text(events, 'quiet')).err).toBe('');
  });

  test('sums up several accounts', async () => {
    const reports = ['changed', 'failed', 'failed'].map(
      (status) => ({ status, destination: ALICE, steps: [], verified: false }) as unknown as Report,
    );
    expect((await text([{ type: 'summary', reports }])).out).toBe(
      '  alice@web1  changed\n  alice@web1  failed\n  alice@web1  failed\n' +
        '3 accounts: 1 changed, 2 failed\n',
    );
  });

  test('an interruption is told at once', () => {
    const { view, err } = open(textView);
    view.interrupt();
    expect(err()).toBe('prep: interrupted; run prep again: it does only what is missing\n');
  });
});

describe('the task list', () => {
  const screen = (output: string) => {
    const terminal = new Terminal(60, 20);
    terminal.write(output.replaceAll('\n', '\r\n'));
    return terminal.text();
  };
  const ending = [
    verified,
    report({ status: 'failed', verified: true, steps: [step('login-shell', 'blocked')] }),
  ];

  test('has one line for each step, with its reason, and lets the text follow', async () => {
    const { out, err } = await shown(taskListView, [
      plan('apply'),
      applying,
      done(DIRECTORY),
      done(ZSHRC),
      applied,
      ...ending,
    ]);
    expect(screen(out)).toBe(
      `✔ ssh-dir: .ssh (0700): not there yet
↓ permissions: already so
✔ dotfiles: .zshrc: differs; blocked: .screenrc is a directory
↓ login-shell: blocked: zsh is not installed
alice@web1: logged in with the key alone, into /bin/zsh
alice@web1: 2 changes made; login-shell blocked; log in with: ssh alice@web1`.replaceAll(
        /(.{60})(?=.)/g,
        '$1',
      ),
    );
    expect(err).toBe('prep: alice@web1: login-shell is blocked: login-shell says why\n');
  });

  test('prints nothing else while it is alive', async () => {
    const { view, out, err } = open(taskListView);
    for (const event of [applying, failed(DIRECTORY)]) view.observe(event);
    await new Promise((resolve) => setTimeout(resolve, 350));
    expect(err()).toBe('');
    const drawn = out();
    expect(screen(drawn)).toMatch(
      /^✖ ssh-dir: \.zshrc could not be written[^\n]*…\n↓ permissions: already so\n. dotfiles: dotfiles is as it should be\n↓ login-shell: blocked: zsh is not installed$/,
    );
    for (const event of [done(ZSHRC), applied]) view.observe(event);
    await view.finish();
    expect(screen(drawn + out())).toMatch(/^✖ ssh-dir: [^]*\n✔ dotfiles: /);
    expect(err()).toMatch(/^prep: alice@web1: \.zshrc could not be written/);
  });

  test('shows how far an upload is', async () => {
    const { view, out } = open(taskListView);
    view.observe(applying);
    view.observe(done(DIRECTORY));
    await new Promise((resolve) => setTimeout(resolve, 150));
    const path = remotePath('.zshrc');
    view.observe({ type: 'progress', destination: ALICE, path, sent: 500_000, total: 2_000_000 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(screen(out())).toMatch(/dotfiles: [^\n]*\n {4}\.zshrc: 25% of 2,000,000 bytes\n/);
    await view.finish();
  });

  test('ends, whatever is left, when the account has ended', async () => {
    const lost = report({
      status: 'failed',
      problem: { code: 'connection-lost', certain: 1, uncertain: 1 },
    });
    const { out, err } = await shown(taskListView, [applying, done(DIRECTORY), lost]);
    expect(screen(out)).toContain('✖ dotfiles: not finished');
    expect(err).toContain('prep: alice@web1: the connection broke');
  });

  test('leaves plans that are the result, asked about or empty to the text', async () => {
    for (const next of ['end', 'ask'] as const) {
      expect((await shown(taskListView, [plan(next)])).out).toContain('alice@web1: 2 changes\n');
    }
    const settled = planOf({ dotfiles: { kind: 'settled', because: 'already there' } });
    expect((await shown(taskListView, [plan('apply', settled)])).out).toContain('= already there');
    expect((await shown(taskListView, [plan('apply')])).out).toBe('');
  });

  test('gives the terminal back at an interruption', async () => {
    const { view, out, err } = open(taskListView);
    view.observe(applying);
    view.observe(failed(DIRECTORY));
    await new Promise((resolve) => setTimeout(resolve, 150));
    view.interrupt();
    expect(screen(out())).toMatch(/↓ login-shell: [^\n]*$/);
    expect(err()).toMatch(/could not be written[^]*\nprep: interrupted; /);
    await view.finish();
  });

  test('several accounts share one list', async () => {
    const accounts = ['a', 'b', 'c'].map((host) => ({ host }));
    const [a, b, c] = accounts as [Destination, Destination, Destination];
    const make: Make = (streams, manner) => taskListView(streams, { ...manner, accounts });
    const outcome = (destination: Destination, event: Event): Event =>
      ({ ...event, destination }) as Event;
    const { view, out } = open(make);
    const tell = (...events: Event[]): void => events.forEach((event) => view.observe(event));
    const drawn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 150));
    const reports = [
      { destination: b, status: 'unchanged' as const },
      { destination: a, steps: [step('ssh-dir', 'changed')], verified: true },
      { destination: c, status: 'failed' as const, steps: [step('x', 'failed')] },
    ].map(report) as (Event & { type: 'report' })[];
    tell(reports[0]!);
    tell({ type: 'applying', destination: a, plan: { ...PLAN, destination: a } });
    await drawn();
    expect(screen(out())).toMatch(/^. a: ssh-dir: [^\n]+\n▪ c$/);
    tell({ type: 'applying', destination: c, plan: { ...PLAN, destination: c } });
    tell(...[failed(DIRECTORY), done(ZSHRC)].map((event) => outcome(c, event)));
    tell(reports[2]!);
    await drawn();
    expect(screen(out())).toMatch(/^. a: ssh-dir: [^\n]+\n✖ c: failed: x failed \(x says why\)$/);
    tell(reports[1]!, { type: 'summary', reports: reports.map((one) => one.report) });
    await view.finish();
    expect(screen(out())).toBe(
      '  b  unchanged\n  a  changed    logged in with the key\n' +
        '  c  failed     x failed (x says why)\n3 accounts: 1 changed, 1 unchanged, 1 failed',
    );
  });
});
