import { describe, expect, test } from 'vitest';
import { explain, problemOf } from '../../src/core/problem.ts';
import type { Prompter } from '../../src/core/prompter.ts';
import { unattended } from '../../src/core/unattended.ts';

const hostKey = { host: 'web1', keyType: 'ED25519', fingerprint: 'SHA256:abc' };
const choice = { message: 'Which key?', choices: [{ name: 'one', value: 1 }] };

const refused: [string, string, (ask: Prompter) => Promise<unknown>][] = [
  [
    "alice@web1's password",
    'give it with --password-file or PREP_PASSWORD',
    (ask) => ask.password("alice@web1's password:"),
  ],
  ['New password', 'give it with --new-password-file', (ask) => ask.newPassword('New password:')],
  [
    'Passphrase',
    'make a key with ssh-keygen -t ed25519, or name one with -i',
    (ask) => ask.newPassword('Passphrase: ', { mayBeEmpty: true }),
  ],
  [
    'trust the ED25519 host key SHA256:abc of web1',
    'compare the fingerprint and run it with --host-key accept-new',
    (ask) => ask.hostKey(hostKey),
  ],
  ['Really', 'run prep at a terminal', (ask) => ask.confirm('Really?', { preset: false })],
  ['Passcode', 'run prep at a terminal', (ask) => ask.answer('Passcode: ', true)],
  ['Which key', 'run prep at a terminal', (ask) => ask.choose(choice)],
];

describe('with nobody there', () => {
  test.each(refused)('%s; %s', async (question, flag, ask) => {
    for (const yes of [false, true]) {
      const problem = problemOf(await ask(unattended(yes)).catch((error: unknown) => error));
      expect(problem).toEqual({ code: 'needs-an-answer', question, flag });
      expect(explain(problem).exit).toBe(1);
    }
  });

  test('--yes gives the safe answer where there is one, and is named where it is missing', async () => {
    expect(await unattended(true).confirm('Replace?', { preset: false, safe: true })).toBe(true);
    expect(await unattended(true).choose(choice, 1)).toBe(1);
    const named = { flag: 'run it with --yes' };
    const confirm = unattended(false).confirm('Replace?', { preset: false, safe: true });
    await expect(confirm).rejects.toMatchObject({ problem: named });
    await expect(unattended(false).choose(choice, 1)).rejects.toMatchObject({ problem: named });
  });
});
