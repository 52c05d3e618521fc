import { execFileSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { randomPassword } from '../support/account.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { useSshd, type Visit } from '../support/stage.ts';

const UNTOUCHED = { echo: true, lines: true, cursor: true };
const QUICK = ['--only', 'ssh-dir,authorized-keys'];

describeSshd('the password', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });

  describe('at a terminal', () => {
    test('is asked for again after a wrong one', async () => {
      const wrong = randomPassword();
      const run = await visit.prep(QUICK, {
        pty: true,
        accounts: [visit.account, { password: wrong, home: visit.account.home }],
        answers: [visit.typesPassword(wrong), visit.typesPassword()],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(2);
      expect(stage.server.refusals()).toBe(1);
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    });

    test('is asked for again after an empty one, which is never sent', async () => {
      const run = await visit.typing(QUICK, visit.typesPassword(''), visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(2);
      expect(stage.server.refusals()).toBe(0);
    });

    test('is asked for three times in all', async () => {
      const before = visit.account.tree();
      const wrong = visit.typesPassword('wrong');
      const run = await visit.typing([], wrong, wrong, wrong, wrong);
      expect(run).toMatchObject({ status: 1, typed: { length: 3 }, terminal: UNTOUCHED });
      expect(run.screen).toMatch(/the password was refused 3 times; check/);
      expect(visit.account.tree()).toEqual(before);
    });

    test('Ctrl-C at its prompt ends with 130 and leaves the terminal as it was', async () => {
      const before = visit.account.tree();
      const run = await visit.typing([], { ...visit.typesPassword(), type: 'half\x03' });
      expect(run).toMatchObject({ status: 130, terminal: UNTOUCHED });
      expect(run.screen).not.toMatch(/^ +at /m);
      expect(visit.account.tree()).toEqual(before);
    });

    test('Ctrl-D at its prompt ends with 1', async () => {
      const run = await visit.typing([], { ...visit.typesPassword(), type: '\x04' });
      expect(run).toMatchObject({ status: 1, terminal: UNTOUCHED });
      expect(run.screen).toMatch(/no answer was given to: \S+'s password; run prep again/);
    });

    test('does not take what was typed ahead, while the last one was being judged', async () => {
      const run = await visit.typing(
        QUICK,
        { ...visit.typesPassword(), type: 'wrong\rtyped\rahead\r' },
        visit.typesPassword(),
      );
      expect(run.status, run.screen).toBe(0);
      expect(run.screen).not.toContain('ahead');
      expect(stage.server.refusals()).toBe(1);
    });

    test('may be a paste of a megabyte: it is refused as a wrong one, and nothing breaks', async () => {
      const huge = 'x'.repeat(1 << 20);
      const run = await visit.typing(QUICK, visit.typesPassword(huge), visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.screen).not.toContain('xxx');
      expect(run.terminal).toEqual(UNTOUCHED);
    });

    test('is asked for on standard error, so that results can be redirected', async () => {
      const run = await visit.prep(['--json'], {
        pty: true,
        redirect: true,
        answers: [visit.typesPassword()],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.events.at(-1)).toMatchObject({ type: 'summary' });
      expect(run.stdout).not.toContain('password:');
    });
  });

  describe('without a terminal', () => {
    test('that nobody gives fails at once, saying how to give it', async () => {
      const start = Date.now();
      const run = await visit.prep();
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr.trim().split('\n')).toEqual([
        `prep: ${visit.destination}: there is no terminal to ask: ${visit.account.name}@127.0.0.1's password; give it with --password-file or PREP_PASSWORD`,
      ]);
      expect(Date.now() - start).toBeLessThan(5_000);
    });

    test('comes from the first line of --password-file FILE', async () => {
      const file = visit.laptop.passwordFile(visit.account.password, 'second line');
      const run = await visit.prep(['--password-file', file]);
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
    });

    test('comes in pieces from a pipe, as `--password-file <(pass show web1)` gives it', async () => {
      const { account, laptop } = visit;
      const pipe = laptop.path('pipe');
      execFileSync('mkfifo', [pipe]);
      const writer = createWriteStream(pipe);
      writer.write(account.password.slice(0, 4));
      const rest = sleep(1500).then(() => writer.end(`${account.password.slice(4)}\n`));
      const run = await visit.prep(['--password-file', pipe, ...QUICK]);
      expect(run.status, run.stderr).toBe(0);
      expect(stage.server.refusals()).toBe(0);
      await rest;
    });

    test('comes from standard input with --password-file -', async () => {
      const run = await visit.prep(['--password-file', '-'], {
        stdin: `${visit.account.password}\n`,
      });
      expect(run.status, run.stderr).toBe(0);
    });

    test('comes from standard input without a final newline too', async () => {
      const run = await visit.prep(['--password-file', '-', ...QUICK], {
        stdin: visit.account.password,
      });
      expect(run.status, run.stderr).toBe(0);
    });

    test('comes from the environment as PREP_PASSWORD', async () => {
      const run = await visit.prep([], { password: true });
      expect(run.status, run.stderr).toBe(0);
    });

    test('of --password-file wins over PREP_PASSWORD', async () => {
      const file = visit.laptop.passwordFile(visit.account.password);
      const run = await visit.prep(['--password-file', file, ...QUICK], {
        env: { PREP_PASSWORD: 'wrong' },
      });
      expect(run.status, run.stderr).toBe(0);
    });

    test('that is wrong is tried once', async () => {
      const run = await visit.prep([], { env: { PREP_PASSWORD: 'wrong' } });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/: the password was refused once; check/);
      expect(stage.server.refusals()).toBe(1);
    });

    test.each([
      ['is not there', () => '/no/such/file', /\(no such file( or directory)?\)/i],
      ['is a directory', () => '/', /directory/],
      ['is empty', () => visit.laptop.passwordFile(), /its first line is empty/],
      [
        'begins with an empty line',
        () => visit.laptop.passwordFile('', 'x'),
        /its first line is empty/,
      ],
    ])('in a file that %s: one sentence, and no connection', async (_why, file, words) => {
      const run = await visit.prep(['--password-file', file()]);
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(/^prep: cannot read the password file [^\n]+\n$/);
      expect(run.stderr).toMatch(words);
      expect(stage.server.connections()).toBe(0);
    });

    test('from an empty standard input: one sentence', async () => {
      const run = await visit.prep(['--password-file', '-']);
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/^prep: cannot read the password file standard input [^\n]+\n$/);
    });
  });
});
