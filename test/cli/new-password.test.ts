import { describe, expect, test } from 'vitest';
import { randomPassword } from '../support/account.ts';
import type { Faults } from '../support/driven-server.ts';
import { useDriven, type DrivenVisit } from '../support/driven-visit.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys', '--no-verify'];
const SAYS = 'Expired.\r\nUse \u001b[1m12\u001b[0m.';

interface Visit extends DrivenVisit {
  readonly expired: NonNullable<Faults['passwordExpired']>;
}

const driven = useDriven();

/** A server that answers the right password with a demand for a new one (RFC 4252 section 8). */
async function demanding(): Promise<Visit> {
  const expired: Visit['expired'] = { says: SAYS, wantsLength: 12 };
  return { ...(await driven({ passwordExpired: expired })), expired };
}

function typesTwice(password: string): { prompt: RegExp; type: string }[] {
  return [
    { prompt: /New password for [^,]*: *$/, type: `${password}\r` },
    { prompt: /New password for .*, once more: *$/, type: `${password}\r` },
  ];
}

describe('a new password that the server demands within the login', () => {
  test('is the one of --new-password-file, and the run goes on', async () => {
    const { server, expired, laptop, prep } = await demanding();
    const fresh = randomPassword();
    const file = laptop.passwordFile(fresh);
    const run = await prep([...QUICK, '--new-password-file', file], {
      env: { PREP_PASSWORD: server.password },
      accounts: [
        { password: server.password, home: laptop.home },
        { password: fresh, home: laptop.home },
      ],
    });
    expect(run.status, run.stderr).toBe(0);
    expect(expired.becomes).toBe(fresh);
    expect(server.connections).toBe(1);
  });

  test('is typed twice, and again where the server does not like it, under its own words', async () => {
    const { server, expired, prep } = await demanding();
    const run = await prep(QUICK, {
      pty: true,
      timeout: 25_000,
      answers: [
        { prompt: /'s password: *$/, type: `${server.password}\r` },
        ...typesTwice('short'),
        ...typesTwice('a longer password'),
      ],
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(5);
    expect(run.screen).toContain('Expired. Use \\x1b[1m12\\x1b[0m.');
    expect(expired.becomes).toBe('a longer password');
  });

  test('that was given beforehand and is refused: one sentence with the reason', async () => {
    const { server, expired, laptop, prep } = await demanding();
    const file = laptop.passwordFile('short');
    const run = await prep([...QUICK, '--new-password-file', file], {
      env: { PREP_PASSWORD: server.password },
    });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /^prep: [^\n]+: the server demands a new password and did not take the one given \(Expired[^\n]+\); choose another and run prep again\n$/,
    );
    expect(expired.becomes).toBeUndefined();
  });

  test('is nothing that a dry run gives', async () => {
    const { server, expired, laptop, prep } = await demanding();
    const file = laptop.passwordFile(randomPassword());
    const run = await prep(['-n', '--new-password-file', file], {
      env: { PREP_PASSWORD: server.password },
    });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /: its password must be changed [^\n]+; run prep without --dry-run\n$/,
    );
    expect(expired.becomes).toBeUndefined();
  });

  test('that nobody is there to give: the flag for it is named', async () => {
    const { server, prep } = await demanding();
    const run = await prep(QUICK, { env: { PREP_PASSWORD: server.password } });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]+--new-password-file\n$/);
  });
});
