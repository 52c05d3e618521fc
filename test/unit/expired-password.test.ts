import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { nobody } from '../../src/core/unattended.ts';
import { PrepError } from '../../src/core/problem.ts';
import { pastExpiry } from '../../src/ssh/expired-password.ts';
import { NewPassword, Password } from '../../src/ssh/password.ts';
import type { Channel, Exit, Session } from '../../src/ssh/session.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const MINUTE = 60_000;
const EXPIRED = new PrepError({ code: 'no-shell', said: 'password has expired' });

/** passwd(1) on a channel: it wants the old password, then a new one twice; silent for ever where it says nothing at all. */
function passwd(questions: readonly string[]): { channel: Channel; heard: string[] } {
  const [stdin, stdout] = [new PassThrough(), new PassThrough()];
  const heard: string[] = [];
  const left = [...questions];
  let end: (exit: Exit) => void = () => undefined;
  const exit = new Promise<Exit>((resolve) => (end = resolve));
  const ask = (): void => {
    const question = left.shift();
    if (question === undefined) end({ kind: 'status', status: 0 });
    else stdout.write(question);
  };
  stdin.on('data', (line: Buffer) => {
    heard.push(line.toString().trim());
    ask();
  });
  if (questions.length > 0) ask();
  const close = (): void => end({ kind: 'lost' });
  return { channel: { stdin, stdout, stderr: new PassThrough(), exit, close }, heard };
}

function sessionOver(channel: Channel): Session {
  return {
    label: 'alice@web1',
    login: 'password',
    exec: () => Promise.resolve(channel),
    sftp: () => Promise.resolve(undefined),
    close: () => undefined,
  };
}

async function renewing(channel: Channel, newPassword: () => Promise<Secret>): Promise<string> {
  let tries = 0;
  const first = (): Promise<string> =>
    tries++ === 0 ? Promise.reject(EXPIRED) : Promise.resolve('done');
  const session = sessionOver(channel);
  const { result } = await pastExpiry(session, first, {
    password: new Password('', nobody, new Secret('old')),
    newPassword: new NewPassword('alice@web1', { ...nobody, newPassword }),
    logIn: () => Promise.resolve(session),
  });
  return result;
}

test('whoever invents a new password has all the time in the world', async () => {
  const { channel, heard } = passwd(['Current password: ', 'New password: ', 'Retype password: ']);
  let typed: (secret: Secret) => void = () => undefined;
  const done = renewing(channel, () => new Promise((resolve) => (typed = resolve)));
  for (let minute = 0; minute < 10; minute++) {
    await turn();
    await vi.advanceTimersByTimeAsync(MINUTE);
  }
  typed(new Secret('new'));
  expect(await done).toBe('done');
  expect(heard).toEqual(['old', 'new', 'new']);
});

test('passwd itself has a minute', async () => {
  const done = renewing(passwd([]).channel, () => Promise.resolve(new Secret('new')));
  const refusal = done.catch((error: unknown) => error);
  await turn();
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(await refusal).toMatchObject({ problem: { code: 'new-password-refused' } });
});
