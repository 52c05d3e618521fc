import { PassThrough, Writable } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import { Conversation } from '../../src/remote/conversation.ts';
import { prepareOpening } from '../../src/remote/opening.ts';
import type { Session } from '../../src/ssh/session.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { startProxy } from '../support/proxy.ts';
import { useSshd } from '../support/stage.ts';

afterEach(() => vi.useRealTimers());

/** A session whose shell answers once it has all, over a line that takes so many milliseconds for each byte. */
function slowSession(took: () => number): Session {
  const stdout = new PassThrough();
  let marker = '';
  const stdin = new Writable({
    write(chunk: Buffer, _encoding, done): void {
      const [, said] = /printf '\\n%s end\\n\\n' (\w+)\n$/.exec(chunk.toString('latin1')) ?? [];
      setTimeout(() => {
        if (said !== undefined) stdout.write(`\n${said} end\n\n`);
        done();
      }, took() * chunk.length);
    },
  });
  const channel = {
    stdin,
    stdout,
    stderr: new PassThrough(),
    exit: new Promise<never>(() => undefined),
    close: () => undefined,
  };
  return {
    label: 'alice@here',
    login: 'none',
    exec: (command: string) => {
      [, marker = ''] = /M=(\w+)/.exec(command.replaceAll('\\0012', '\n')) ?? [];
      stdout.write(`\n${marker} ready\n\n${marker} end\n\n`);
      return Promise.resolve(channel);
    },
    sftp: () => Promise.resolve(undefined),
    close: () => undefined,
  };
}

test('a script that takes minutes to get there is not given up while it is on its way', async () => {
  vi.useFakeTimers();
  let took = 0;
  const session = slowSession(() => took);
  const { conversation } = await Conversation.open(session, prepareOpening(':'));
  await vi.advanceTimersByTimeAsync(10);
  took = 0.3;
  const answer = conversation.run(`: ${'x'.repeat(1024 * 1024)}`).then(
    () => 'answered',
    (error: unknown) => String(error),
  );
  await vi.advanceTimersByTimeAsync(400_000);
  expect(await answer).toBe('answered');
});

describeSshd('a real server at the end of a slow line', () => {
  const stage = useSshd();

  test('counts as alive while it takes what is sent, though its answers to keep-alives stand behind that', async () => {
    const visit = stage.visit();
    const proxy = await startProxy(stage.server.port, { rate: 100_000 });
    stage.later(() => void proxy.close());
    visit.port = proxy.port;
    visit.laptop.write('.ssh/config', 'ServerAliveInterval 2\nServerAliveCountMax 2\n');
    for (let i = 0; i < 6; i++) visit.laptop.write(`set/f${i}`, `${i}\n`.repeat(100_000));
    const flags = ['--host-key', 'accept-new', '--yes', '--only', 'dotfiles'];
    const set = ['--dotfiles', visit.laptop.path('set')];
    const run = await visit.prep([...flags, ...set], { password: true, timeout: 60_000 });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.read('f5')).toBe('5\n'.repeat(100_000));
  }, 70_000);
});
