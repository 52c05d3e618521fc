import { execFileSync } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { changesOf } from '../../src/core/plan.ts';
import { startDriven } from '../support/driven-server.ts';
import { inside, sentenceOf, type Inside } from '../support/inside.ts';

const KEYS = '# mine\n';
let scene: Inside;
beforeEach(async () => {
  scene = await inside({
    theirs: {
      '.ssh/authorized_keys': { content: KEYS, mode: 0o600 },
      '.zshrc': 'theirs\n',
      '.many/a': 'old\n',
    },
    dotfiles: { '.zshrc': 'yours\n', '.many/a': 'new\n', '.many/b': 'new\n' },
  });
});
afterEach(() => scene.remove());

/** The same prepared account, whichever way it came about. */
async function finished(): Promise<void> {
  const { report, ...rest } = await scene.prepare();
  expect(report, sentenceOf(rest)).toMatchObject({ status: 'unchanged', verified: true });
  expect([scene.read('.zshrc'), scene.read('.many/a'), scene.read('.many/b')]).toEqual([
    'yours\n',
    'new\n',
    'new\n',
  ]);
  expect(scene.read('.ssh/authorized_keys')).toMatch(/^# mine\nssh-ed25519 /);
  expect(scene.server.sandbox.loginShell()).toMatch(/zsh$/);
  expect(scene.leftovers()).toEqual([]);
}

const once = (type: Event['type'], act: () => void): ((event: Event) => void) => {
  let done = false;
  return (event) => {
    if (event.type !== type || done) return;
    done = true;
    act();
  };
};

/** When every change is known to be made; the proof begins right behind. */
const onceMade = (act: () => void): ((event: Event) => void) => {
  let left = -1;
  return (event) => {
    if (event.type === 'applying') left = changesOf(event.plan).length;
    if (event.type === 'outcome' && --left === 0) act();
  };
};

describe('a server that is started again between the changes and their proof', () => {
  test('and is there again is proven', async () => {
    const { report, ...rest } = await scene.prepare({
      onEvent: onceMade(() => {
        scene.killAll();
        scene.server.hangUp();
      }),
    });
    expect(report, sentenceOf(rest)).toMatchObject({ status: 'changed', verified: true });
    await finished();
  });

  test('and stays away is said; the next run proves it', async () => {
    const { port } = scene.server;
    let closed: Promise<void> | undefined;
    const broken = await scene.prepare({
      onEvent: onceMade(() => {
        scene.killAll();
        closed = scene.server.close();
      }),
    });
    await closed;
    expect(broken.report).toMatchObject({ status: 'failed', verified: false });
    expect(sentenceOf(broken)).toMatch(/connect|hung up|connection/);
    const { sandbox, hostKey } = scene.server;
    const server = await startDriven({}, { sandbox, hostKey, port });
    try {
      await scene.prepare();
      await finished();
      const undone = await scene.undo();
      expect(undone.problem, sentenceOf(undone)).toBeUndefined();
    } finally {
      await server.close();
    }
  });
});

describe('what is edited between the preview and the yes', () => {
  const editing = (edit: () => void): Parameters<Inside['prepare']>[0] => ({
    prompter: { confirm: () => Promise.resolve((edit(), true)) },
  });

  test('is left alone and named; the rest is done, and the next run asks again', async () => {
    const first = await scene.prepare(editing(() => scene.write('.zshrc', 'edited\n')));
    expect(first.report?.status).toBe('failed');
    const reasons = first.report?.steps.map(({ reason }) => reason).join('\n');
    expect(reasons).toMatch(/\.zshrc changed after it was shown/);
    expect([scene.read('.zshrc'), scene.read('.many/a')]).toEqual(['edited\n', 'new\n']);
    await scene.prepare();
    await finished();
  });

  test('as authorized_keys loses no line', async () => {
    const file = join(scene.server.sandbox.home, '.ssh/authorized_keys');
    const first = await scene.prepare(editing(() => appendFileSync(file, '# another\n')));
    expect(first.report?.status).toBe('failed');
    expect(scene.read('.ssh/authorized_keys')).toBe('# mine\n# another\n');
    const again = await scene.prepare();
    expect(again.problem, sentenceOf(again)).toBeUndefined();
    expect(scene.read('.ssh/authorized_keys')).toMatch(/^# mine\n# another\nssh-ed25519 /);
  });

  test('so that something stands where there was nothing is left alone too', async () => {
    const { report } = await scene.prepare(editing(() => scene.write('.zlogin', '')));
    expect(report?.status).toBe('failed');
    expect(scene.read('.zlogin')).toBe('');
  });
});

describe('a clock that is wrong by a year', () => {
  const YEAR = 365 * 24 * 3600 * 1000;

  test.each([
    ['on the server, slow', -1, 0],
    ['on the server, fast', 1, 0],
    ['on the laptop, slow', 0, -1],
    ['on the laptop, fast', 0, 1],
  ])(
    '%s: changes nothing of what a run does, and undo takes back the last one',
    async (_, server, laptop) => {
      const before = scene.standing();
      if (server !== 0) {
        const date = execFileSync('sh', ['-c', 'command -v date'], { encoding: 'utf8' }).trim();
        const shift = server < 0 ? '1 year ago' : '1 year';
        scene.program('date', `exec ${date} -d '${shift}' "$@"`);
      }
      const now = (): Date => new Date(Date.now() + laptop * YEAR);
      const { report } = await scene.prepare({ now });
      expect(report).toMatchObject({ status: 'changed', verified: true });
      await finished();
      const undone = await scene.undo();
      expect(undone.problem, sentenceOf(undone)).toBeUndefined();
      expect(scene.standing()).toEqual(before);
    },
  );
});

test('two runs at once do it all between them, one after the other', async () => {
  const [a, b] = await Promise.all([scene.prepare(), scene.prepare()]);
  for (const run of [a, b]) expect(run.problem, sentenceOf(run)).toBeUndefined();
  for (const run of [a, b])
    expect(run.report?.steps.filter(({ status }) => status === 'failed')).toEqual([]);
  await finished();
  const lines = scene.read('.ssh/authorized_keys')!.trim().split('\n');
  expect(lines).toHaveLength(2);
});

test('a run that begins while another is at work waits for it, and says so', async () => {
  // Each change takes a moment, as on a busy server.
  scene.program('mv', 'sleep 0.2; exec /bin/mv "$@"');
  let second: ReturnType<Inside['prepare']> | undefined;
  const first = await scene.prepare({
    onEvent: once('outcome', () => {
      second = scene.prepare();
    }),
  });
  const waited = await second!;
  expect(first.problem, sentenceOf(first)).toBeUndefined();
  expect(waited.problem, sentenceOf(waited)).toBeUndefined();
  const notices = waited.events.flatMap((event) => (event.type === 'notice' ? [event.text] : []));
  expect(notices).toEqual([
    expect.stringMatching(/^another run of prep has been at work there since .* UTC; waiting/),
  ]);
  await finished();
});

test('names that are shell syntax, and contents that are escape sequences, do nothing', async () => {
  const names = [
    '$(touch TOUCHED)',
    '`touch TOUCHED`',
    ';touch TOUCHED',
    '|touch TOUCHED',
    '-rf',
    '*',
  ];
  for (const name of names) scene.laptop.write(`set/${name}`, `\x1b]0;title\x07 ${name}`);
  for (const name of names) scene.write(name, '\x1b[2J\x1b]52;c;cGFzdGU=\x07');
  writeFileSync(join(scene.server.sandbox.home, '.ssh', '\x1b[H'), '');
  const { report, ...rest } = await scene.prepare();
  expect(report, sentenceOf(rest)).toMatchObject({ status: 'changed', verified: true });
  for (const name of names) expect(scene.read(name)).toBe(`\x1b]0;title\x07 ${name}`);
  expect(scene.read('TOUCHED')).toBeUndefined();
  const undone = await scene.undo();
  expect(undone.problem, sentenceOf(undone)).toBeUndefined();
  for (const name of names) expect(scene.read(name)).toBe('\x1b[2J\x1b]52;c;cGFzdGU=\x07');
});
