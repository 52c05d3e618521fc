import { randomBytes } from 'node:crypto';
import { chownSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { randomPassword } from '../support/account.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, statusesOf, useSshd, type Stage } from '../support/stage.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys'];

describeSshd('a login that the server makes hard', () => {
  const inAnyShell = useSshd();

  describe('one try a connection (MaxAuthTries 1)', () => {
    const stage = useSshd({ config: ['MaxAuthTries 1'] });

    test('a wrong password is sent once, lest it lock the account', async () => {
      const run = await stage.visit().prep(QUICK, { env: { PREP_PASSWORD: randomPassword() } });
      expect(run).toMatchObject({ status: 1 });
      expect(run.stderr).toMatch(/the password was refused once; check/);
      expect(stage.server.refusals()).toBe(1);
    });

    test('a wrong password is asked for again on another connection', async () => {
      const visit = stage.visit();
      const run = await visit.typing(QUICK, visit.typesPassword('wrong'), visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(stage.server.refusals()).toBe(1);
    });
  });

  describe("an account that knows another of the user's own keys", () => {
    test.each(['ssh2', 'openssh'])('asks nothing, as with ssh: %s', async (speaker) => {
      const visit = inAnyShell.visit({ laptop: { keys: ['ed25519', 'rsa'] } });
      visit.authorize();
      const added = visit.laptop.path('.ssh/id_rsa.pub');
      const run = await visit.prep(['-i', added, '--transport', speaker, '--json', ...QUICK]);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
      expect(inAnyShell.server.logins().map(({ method }) => method)).toEqual([
        'publickey',
        'publickey',
      ]);
      expect(visit.authorizedKeys).toBe(visit.keyLine + visit.laptop.read('.ssh/id_rsa.pub')!);
    });
  });

  describe('a key that is there for one command alone (command=)', () => {
    test('is left as it is, and the password is the way in', async () => {
      const visit = inAnyShell.visit();
      visit.authorize(`command="echo hi" ${visit.keyLine}`);
      const run = await visit.prep(['--json', '--skip', 'login-shell'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(statusesOf(run)).toMatchObject({
        'authorized-keys': 'unchanged',
        dotfiles: 'changed',
      });
      expect(visit.authorizedKeys).toBe(`command="echo hi" ${visit.keyLine}`);
    });
  });

  describe('keyboard-interactive alone', () => {
    const stage = useSshd({
      config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
    });

    test('takes a password given beforehand: a method that is not offered has not refused it', async () => {
      const run = await stage.visit().prep(QUICK, { password: true });
      expect(run.status, run.stderr).toBe(0);
    });

    test('takes a password typed once', async () => {
      const visit = stage.visit();
      const run = await visit.typing(QUICK, visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
    });
  });

  describe('new session keys every two seconds (RekeyLimit)', () => {
    const stage = useSshd({ config: ['RekeyLimit default 2s'] });

    test('leave no timer that breaks the connection or delays the end', async () => {
      const visit = stage.visit({ account: { files: { '.bashrc': 'sleep 4\n' } } });
      const run = await visit.prep([...QUICK, '--no-verify'], { password: true });
      expect(run.status, run.stderr).toBe(0);
    });
  });

  describe('one channel a connection (MaxSessions 1)', () => {
    const stage = useSshd({ config: ['MaxSessions 1'] });

    test('is enough for large and binary files', () => receivesAll(stage));
  });

  describe('two channels a connection (MaxSessions 2)', () => {
    const stage = useSshd({ config: ['MaxSessions 2'] });
    test('are enough for large and binary files', () => receivesAll(stage));
  });

  test('where what is replaced cannot be kept, one sentence says so and nothing is changed', async () => {
    const visit = inAnyShell.visit({ account: { files: { '.local/state/prep/': {} } } });
    chownSync(join(visit.account.home, '.local/state/prep'), 0, 0);
    const before = visit.account.tree();
    const run = await visit.prep(['--skip', 'login-shell'], { password: true });
    expect(run).toMatchObject({ status: 1 });
    expect(run.stderr).toMatch(/~\/\.local\/state\/prep may not be written \(.*not permitted/);
    expect(run.stdout + run.stderr).not.toMatch(/home directory/);
    expect(visit.account.tree()).toEqual(before);
  });

  test('an answer that chsh never read is not run as a command', async () => {
    const visit = inAnyShell.visit({
      account: {
        files: {
          '.bashrc': 'PATH=$HOME/bin:$PATH\n',
          'bin/chsh': { content: '#!/bin/sh\nprintf "Password: "; exit 1\n', mode: 0o755 },
        },
      },
    });
    const command = visit.account.password;
    visit.account.write(`bin/${command}`, { content: '#!/bin/sh\n: >~/ran\n', mode: 0o755 });
    const run = await visit.prep([], { password: true, accounts: [] });
    expect(run).toMatchObject({ status: 1 });
    expect(run.stderr).toMatch(/chsh did not accept the password/);
    expect(visit.account.tree()).not.toHaveProperty('ran');
  });

  test.each(['/bin/tcsh', '/bin/dash', '/usr/bin/fish', '/bin/rbash'])(
    'the trial login is understood by %s',
    async (shell) => {
      if (!existsSync(shell)) return;
      const visit = inAnyShell.visit({ account: { shell } });
      const run = await visit.prep([...QUICK, '--json'], { password: true });
      expect(run.events.at(-1)).toMatchObject({ accounts: [{ verified: true }] });
    },
  );

  describe('no patience with those who do not log in (LoginGraceTime 3)', () => {
    const stage = useSshd({ config: ['LoginGraceTime 3'] });

    test('whoever looks long at the host key is connected anew, and not asked twice', async () => {
      const visit = stage.visit({ laptop: { knownHosts: '' } });
      const run = await visit.typing(
        [...QUICK, '--no-verify'],
        { prompt: /Trust this host/, type: 'y\r', before: () => sleep(4000) },
        visit.typesPassword(),
      );
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(2);
    });

    test('whoever then declines it is told so', async () => {
      const visit = stage.visit({ laptop: { knownHosts: '' } });
      const declining = { prompt: /Trust this host/, type: 'n\r', before: () => sleep(4000) };
      const run = await visit.typing(QUICK, declining);
      expect(run).toMatchObject({ status: 1 });
      expect(run.screen).toMatch(/was not accepted/);
      expect(run.screen).not.toMatch(/^ +at /m);
    });

    test('the trial login is dialled anew where the changes took longer', async () => {
      const slow = 'case $- in *i*) sleep 5;; esac\n';
      const visit = stage.visit({ laptop: { files: { 'set/.zshrc': slow } } });
      const dotfiles = ['--dotfiles', visit.laptop.path('set')];
      const run = await visit.prep([...dotfiles, '--json'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(run.events.at(-1)).toMatchObject({ accounts: [{ verified: true }] });
    });
  });
});

async function receivesAll(stage: Stage): Promise<void> {
  const [large, binary] = [randomBytes((1 << 20) + 1), Uint8Array.of(0, 1, 2, 0)];
  const files = { 'set/.zshrc': ':\n', 'set/blob': binary, 'set/large': large };
  const visit = stage.visit({ laptop: { files } });
  const run = await visit.prep(['--dotfiles', visit.laptop.path('set')], { password: true });
  expect(run.status, run.stderr).toBe(0);
  expect(visit.account.read('large') === large.toString('latin1')).toBe(true);
  expect(visit.account.read('blob')).toBe('\0\x01\x02\0');
  expect(visit.account.read('.zshrc')).toBe(':\n');
  expect(visit.account.passwdShell()).toBe('/bin/zsh');
}
