import { expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, useSshd, type Stage } from '../support/stage.ts';

/** The trial login fails: that is said, and no account is left with a login shell that it was not proven with. */
async function putsBack(stage: Stage, words: RegExp): Promise<void> {
  const visit = stage.visit();
  const run = await visit.prep(['--json'], { password: true });
  expect(run.status).toBe(1);
  expect(run.stderr).toMatch(words);
  expect(run.stderr).not.toMatch(/^ +at /m);
  expect(accountOf(run)).toMatchObject({ status: 'failed', verified: false });
  expect(accountOf(run).steps.find(({ name }) => name === 'login-shell')).toMatchObject({
    status: 'failed',
    reason: 'put back to /bin/bash: the trial login failed',
  });
  expect(JSON.stringify(run.events)).toContain('the login shell was put back to /bin/bash');
  expect(visit.account.passwdShell()).toBe('/bin/bash');
  expect(visit.authorizedKeys).toBe(visit.keyLine);
}

describeSshd('a server with PubkeyAuthentication no', () => {
  const stage = useSshd({ config: ['PubkeyAuthentication no'] });

  test('is told so, and the login shell is put back', async () => {
    await putsBack(stage, /the server does not accept the key; .*PubkeyAuthentication/);
  });

  test('is not tried with --no-verify', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--no-verify', '--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: false });
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(stage.server.connections()).toBe(1);
  });

  test('takes the run back whole with undo', async () => {
    const visit = stage.visit();
    const names = Object.keys(visit.account.tree());
    await visit.prep([], { password: true });
    const run = await visit.prep(['undo', '--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    const left = Object.keys(visit.account.tree()).filter((name) => !name.startsWith('.local'));
    expect(left).toEqual(names);
    expect(visit.account.passwdShell()).toBe('/bin/bash');
  });
});

describeSshd('a server with AuthorizedKeysFile elsewhere', () => {
  const stage = useSshd({ config: ['AuthorizedKeysFile /etc/ssh/keys/%u'] });

  test('is told so, and the login shell is put back', async () => {
    await putsBack(
      stage,
      /the server does not accept the key; \S+sshd_config may not be read, and may have it look for keys elsewhere/,
    );
  });
});

describeSshd('a key that is in its place already and does not let in', () => {
  const stage = useSshd();

  test.each([
    ['from="192.0.2.1"', 'ssh2'],
    ['expiry-time="20200101"', 'ssh2'],
    ['from="192.0.2.1"', 'openssh'],
  ])(
    'because of %s is said so by way of %s, though there is nothing to change',
    async (option, way) => {
      const visit = stage.visit();
      const only = ['--only', 'ssh-dir,authorized-keys,permissions'];
      const flags = [...only, '--json', '--transport', way];
      visit.authorize(`${option} ${visit.keyLine}`);
      const before = visit.account.tree();
      const shown = await visit.prep([...flags, '--dry-run'], { password: true });
      expect(accountOf(shown), shown.stderr).toMatchObject({ status: 'unchanged' });
      stage.server.forget();
      const run = await visit.prep(flags, { password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(
        /^prep: \S+: the server does not accept the key; its line in authorized_keys has (from|expiry-time)="[^"]+"; [^\n]+\n$/,
      );
      expect(accountOf(run)).toMatchObject({ status: 'failed', verified: false });
      expect(stage.server.connections()).toBe(2);
      expect(visit.account.tree()).toEqual(before);
      const unwilling = await visit.prep([...flags, '--no-verify'], { password: true });
      expect(accountOf(unwilling), unwilling.stderr).toMatchObject({ status: 'unchanged' });
    },
  );

  test('is no matter of a run that leaves keys alone', async () => {
    const visit = stage.visit();
    visit.authorize(`from="192.0.2.1" ${visit.keyLine}`);
    const run = await visit.prep(['--only', 'permissions', '--json'], { password: true });
    expect(accountOf(run), run.stderr).toMatchObject({ status: 'unchanged' });
    expect(stage.server.connections()).toBe(1);
  });
});
