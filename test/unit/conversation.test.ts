import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Conversation } from '../../src/remote/conversation.ts';
import { prepareOpening } from '../../src/remote/opening.ts';
import type { Session } from '../../src/ssh/session.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** A session in which every command prints what the test says. */
function printing(stdout: PassThrough): Session {
  const channel = {
    stdin: new PassThrough().resume(),
    stdout,
    stderr: new PassThrough(),
    exit: new Promise<never>(() => undefined),
    close: () => void stdout.end(),
  };
  return {
    label: 'alice@here',
    login: 'none',
    exec: () => Promise.resolve(channel),
    sftp: () => Promise.resolve(undefined),
    close: () => undefined,
  };
}

test('a start-up file that prints without end is given up after a minute', async () => {
  const stdout = new PassThrough();
  const opened = Conversation.open(printing(stdout), prepareOpening(''));
  const told = opened.then(
    () => undefined,
    (error: unknown) => error,
  );
  for (let second = 0; second < 61 && !stdout.writableEnded; second++) {
    stdout.write('noise\n');
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(await told).toMatchObject({ problem: { code: 'no-answer-from-shell', seconds: 60 } });
});

test('an answer that comes slowly is waited for', async () => {
  const stdout = new PassThrough();
  const opening = prepareOpening('');
  const opened = Conversation.open(printing(stdout), opening);
  await vi.advanceTimersByTimeAsync(0);
  stdout.write(`noise\n${opening.marker} ready\n\n${opening.marker} b file\n`);
  for (let second = 0; second < 120; second++) {
    stdout.write('content\n');
    await vi.advanceTimersByTimeAsync(1000);
  }
  stdout.write(`\n${opening.marker} end\n`);
  await vi.advanceTimersByTimeAsync(0);
  const { answer } = await opened;
  expect(answer.all('b')[0]?.bytes.length).toBe('content\n'.length * 120);
});
