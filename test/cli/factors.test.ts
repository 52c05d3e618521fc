import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, useSshd, type Visit } from '../support/stage.ts';
import type { Answer } from '../support/typist.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys,dotfiles'];

function methods(visit: Visit): string[] {
  return visit.server.logins().map(({ method }) => method);
}

/** A person types a wrong password and then the right one. */
async function isAskedAgain(visit: Visit): Promise<void> {
  const run = await visit.typing(QUICK, visit.typesPassword('wrong'), visit.typesPassword());
  expect(run.status, run.screen).toBe(0);
  expect(run.typed).toHaveLength(2);
}

describeSshd('AuthenticationMethods', () => {
  describe('publickey,password', () => {
    const stage = useSshd({ config: ['AuthenticationMethods publickey,password'] });

    test('is gone through with one question, and the trial login too', async () => {
      const visit = stage.visit();
      visit.authorize();
      const run = await visit.typing(['-v'], visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
      expect(run.screen).toContain('logged in with the key and the password, into /bin/zsh');
      expect(run.screen.replace(/\s+/g, ' ')).toContain('logged in with key and password');
      expect(stage.server.refusals()).toBe(0);
    });

    test('finds nothing to do the second time, the key proven', async () => {
      const visit = stage.visit();
      visit.authorize();
      await visit.prep([], { password: true });
      const run = await visit.prep(['--json'], { password: true });
      expect(accountOf(run)).toMatchObject({ status: 'unchanged', verified: true });
    });

    test('whose key is not there yet: what is wanted, and who can help', async () => {
      const visit = stage.visit();
      const run = await visit.prep([], { password: true });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(
        /^prep: \S+: the server lets nobody in without a key, and does not know SHA256:\S+; ask its administrator to add your public key to the account, or name a key that it knows with -i\n$/,
      );
    });

    test('asks for the password again after a wrong one, with the key as it was', async () => {
      const visit = stage.visit();
      visit.authorize();
      await isAskedAgain(visit);
    });
  });

  describe('publickey,password with one try a connection', () => {
    const stage = useSshd({
      config: ['AuthenticationMethods publickey,password', 'MaxAuthTries 1'],
    });

    test('offers the accepted key again on the next connection', async () => {
      const visit = stage.visit();
      visit.authorize();
      await isAskedAgain(visit);
    });
  });

  describe('password,publickey', () => {
    const stage = useSshd({ config: ['AuthenticationMethods password,publickey'] });

    test('is gone through with one question', async () => {
      const visit = stage.visit();
      visit.authorize();
      const run = await visit.typing([], visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
    });

    test('whose key is not there yet: that the password was right is said', async () => {
      const visit = stage.visit();
      const run = await visit.prep([], { password: true });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(
        /: the server takes the password, and wants a key besides, and does not know SHA256:\S+; ask its administrator to add/,
      );
    });
  });

  describe('publickey,keyboard-interactive', () => {
    const stage = useSshd({
      config: [
        'AuthenticationMethods publickey,keyboard-interactive',
        'KbdInteractiveAuthentication yes',
      ],
    });

    test('asks for the password once, and proves the login with both', async () => {
      const visit = stage.visit();
      visit.authorize();
      const run = await visit.typing([], visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
      expect(run.screen).toContain('logged in with the key and the password');
    });
  });

  describe('password,keyboard-interactive', () => {
    const stage = useSshd({
      config: [
        'AuthenticationMethods password,keyboard-interactive',
        'KbdInteractiveAuthentication yes',
      ],
    });

    test('gets the one password for both, asked for once', async () => {
      const visit = stage.visit();
      const run = await visit.typing([...QUICK, '--no-verify'], visit.typesPassword());
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    });
  });

  describe('of which one way needs no key', () => {
    const stage = useSshd({
      config: [
        'AuthenticationMethods publickey,password keyboard-interactive',
        'KbdInteractiveAuthentication yes',
      ],
    });

    test('is prepared whole: the new key and the password prove it', async () => {
      const visit = stage.visit();
      const run = await visit.prep(['--json'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
      expect(methods(visit)[0]).toBe('keyboard-interactive/pam');
    });
  });

  describe('keyboard-interactive beside passwords', () => {
    const stage = useSshd({ config: ['KbdInteractiveAuthentication yes'] });

    test('a password given beforehand that is wrong is not tried for ever', async () => {
      const visit = stage.visit();
      const run = await visit.prep(QUICK, { env: { PREP_PASSWORD: 'wrong' } });
      expect(run).toMatchObject({ status: 1 });
      expect(run.stderr).toMatch(/the password was refused once; check/);
    });

    test('a wrong one is asked for again', async () => {
      await isAskedAgain(stage.visit());
    });
  });
});

describeSshd(`a one-time code besides${noCodes()}`, () => {
  const codes = join(tmpdir(), `prep-test-factors-${process.pid}`);
  const SEED = '3132333435363738393031323334353637383930';
  const pam = (...auth: readonly string[]): { pam?: readonly string[] } =>
    noCodes() === ''
      ? { pam: [...auth, '@include common-account', '@include common-session'] }
      : {};
  const oath = `auth required pam_oath.so usersfile=${codes} window=20 digits=6`;
  const code = (counter: number): string =>
    execFileSync('oathtool', ['-c', String(counter), SEED], { encoding: 'utf8' }).trim();
  const typesCode = (text: string): Answer => ({
    prompt: /One-time password.*: *$/,
    type: `${text}\r`,
  });

  function withoutPrivateHalf({ laptop }: Visit): string {
    rmSync(laptop.path('.ssh/id_ed25519'));
    return laptop.path('.ssh/id_ed25519.pub');
  }

  function enrolled(stage: ReturnType<typeof useSshd>): Visit {
    const visit = stage.visit();
    stage.later(() => rmSync(codes, { force: true }));
    writeFileSync(codes, `HOTP ${visit.account.name} - ${SEED}\n`, { mode: 0o600 });
    return visit;
  }

  describe.skipIf(noCodes() !== '')('the key (publickey,keyboard-interactive)', () => {
    const stage = useSshd({
      config: [
        'AuthenticationMethods publickey,keyboard-interactive',
        'KbdInteractiveAuthentication yes',
      ],
      ...pam(oath),
    });

    test('is asked for once; that the key is taken is proof enough, and is said', async () => {
      const visit = enrolled(stage);
      visit.authorize();
      const run = await visit.typing([], typesCode(code(0)), {
        prompt: /chsh on .* password: *$/,
        type: `${visit.account.password}\r`,
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(2);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
      expect(run.screen.replace(/\s+/g, ' ')).toMatch(
        /the server takes the key, and wants more besides \(One-time password [^)]*\)?/,
      );
    });

    test('is asked for again after a wrong one, three times in all', async () => {
      const visit = enrolled(stage);
      visit.authorize();
      const wrong = typesCode('000000');
      const run = await visit.typing(QUICK, wrong, wrong, wrong);
      expect(run).toMatchObject({ status: 1, typed: { length: 3 } });
      expect(run.screen.replace(/\s+/g, ' ')).toMatch(
        /answers to its questions were refused 3 times/,
      );
    });
  });

  describe.skipIf(noCodes() !== '')('nothing (keyboard-interactive)', () => {
    const stage = useSshd({
      config: ['AuthenticationMethods keyboard-interactive', 'KbdInteractiveAuthentication yes'],
      ...pam(oath),
    });

    test('is all that is asked for, where no key is at hand', async () => {
      const visit = enrolled(stage);
      const key = withoutPrivateHalf(visit);
      const run = await visit.typing(['-i', key, '--no-verify', ...QUICK], typesCode(code(0)));
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(stage.server.refusals()).toBe(0);
    });
  });

  describe.skipIf(noCodes() !== '')('the password, where the password alone is offered too', () => {
    const stage = useSshd({
      config: ['KbdInteractiveAuthentication yes'],
      ...pam('@include common-auth', oath),
    });

    test('is reached with one question each', async () => {
      const visit = enrolled(stage);
      const flags = [...QUICK, '--no-verify'];
      const run = await visit.typing(flags, visit.typesPassword(), typesCode(code(0)));
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(2);
    });

    test('a wrong code does not put the blame on a password from a file', async () => {
      const visit = enrolled(stage);
      const run = await visit.prep([...QUICK, '--no-verify'], {
        pty: true,
        password: true,
        timeout: 25_000,
        answers: [typesCode('000000'), typesCode(code(0))],
      });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(2);
    });
  });
});

/** Why no server here asks for one-time codes, for the title of what is skipped; empty where one can. */
function noCodes(): string {
  const script =
    'command -v oathtool && ls /lib/*/security/pam_oath.so && unshare --mount mount --bind /etc/pam.d/sshd /etc/pam.d/sshd';
  const { status } = spawnSync('sh', ['-c', script]);
  return status === 0 ? '' : ' (skipped: no pam_oath, or no mount namespaces)';
}
