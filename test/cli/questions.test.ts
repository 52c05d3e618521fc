import { describe, expect, test } from 'vitest';
import type { DrivenServer, Faults } from '../support/driven-server.ts';
import { useDriven } from '../support/driven-visit.ts';
import type { Answer, PrepRun } from '../support/laptop.ts';

const QUICK = ['-v', '--only', 'ssh-dir,authorized-keys', '--no-verify'];

const driven = useDriven();

/** A server that asks questions of its own (RFC 4256), and someone who answers at a terminal. */
async function asking(faults: Faults): Promise<{
  readonly server: DrivenServer;
  prep(...answers: readonly Answer[]): Promise<PrepRun>;
}> {
  const { server, prep } = await driven(faults);
  return { server, prep: (...answers) => prep(QUICK, { pty: true, answers, timeout: 25_000 }) };
}

describe('the questions of a server', () => {
  test('come in several rounds, shown and hidden, between them words without a question', async () => {
    const { prep } = await asking({
      questions: [{ prompt: 'Colour? ', echo: true, answer: 'green' }],
      instructions: 'Answer \u001b[2J me',
      rounds: [
        { questions: [], instructions: 'Thank you.' },
        { questions: [{ prompt: 'Code: ', answer: '123456' }] },
      ],
    });
    const run = await prep(
      { prompt: /Colour\? *$/, type: 'green\r' },
      { prompt: /Code: *$/, type: '123456\r' },
    );
    expect(run.status, run.screen).toBe(0);
    expect(run.screen).toContain('Answer \\x1b[2J me');
    expect(run.screen).toMatch(/Colour\?.* green/);
    expect(run.screen).not.toContain('123456');
    expect(run.typed).toHaveLength(2);
  });

  test('are withdrawn when the connection breaks, and asked anew on another', async () => {
    const { server, prep } = await asking({ questions: [{ prompt: 'Code: ', answer: '123456' }] });
    const run = await prep(
      { prompt: /Code: *$/, type: '', before: () => server.hangUp() },
      { prompt: /Code: *$/, type: '123456\r' },
    );
    expect(run.status, run.screen).toBe(0);
    expect(server.connections).toBe(2);
  });

  test('say how the login came about, and why nothing else was tried', async () => {
    const { prep } = await asking({ questions: [{ prompt: 'Code: ', answer: '1' }] });
    const run = await prep({ prompt: /Code: *$/, type: '1\r' });
    expect(run.screen.replace(/\s+/g, ' ')).toMatch(
      /logged in with keyboard-interactive over one connection; password: not offered by the server/,
    );
  });
});
