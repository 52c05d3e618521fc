import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { ACCOUNT_FILES, accountEntries, knownBy } from '../support/account-entries.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { noDirectoryService, startDirectoryService } from '../support/directory-service.ts';
import { logIn } from '../support/interactive.ts';
import { Laptop } from '../support/laptop.ts';
import { makeAccount, startSshd, type SshdOptions } from '../support/sshd.ts';
import { accountOf, statusesOf, Visit } from '../support/stage.ts';

const DOTFILES = { '.zshenv': '', '.zshrc': 'PS1="%~ %# "\n', '.screenrc': '' };
const EXTRAUSERS = '/usr/lib/libnss_extrausers.so.2';

describeSshd('chsh, and no chsh:', () => {
  const leaving: (() => void)[] = [];
  afterEach(() => leaving.splice(0).forEach((leave) => leave()));

  /** An account, then the server that has it: some of the server's files may be about the account. */
  async function visitTo(
    serverFor: (account: { readonly name: string }) => SshdOptions | Promise<SshdOptions>,
    options: Parameters<typeof makeAccount>[0] = {},
  ): Promise<Visit> {
    const account = makeAccount(options);
    leaving.push(() => account.remove());
    const server = await startSshd({ hostKeys: ['ed25519'], ...(await serverFor(account)) });
    leaving.push(() => server.stop());
    const laptop = new Laptop({ knownHosts: server.knownHosts(), files: DOTFILES });
    leaving.push(() => laptop.remove());
    return new Visit(server, account, laptop);
  }
  const withFiles = (files: NonNullable<SshdOptions['files']>) => () => ({ files });

  /** Without the flag the run says what is wrong and names it; with the flag zsh is started all the same. */
  async function needsFallback(visit: Visit, status: 'blocked' | 'failed', words: RegExp) {
    const run = await visit.prep(['--json'], { password: true });
    expect(run.status, run.stderr).toBe(1);
    expect(run.stderr).toMatch(words);
    expect(run.stderr.trim().split('\n')).toHaveLength(1);
    expect(statusesOf(run)).toMatchObject({ dotfiles: 'changed', 'login-shell': status });
    const again = await visit.prep(['--json', '--shell-fallback'], { password: true });
    expect(again.status, again.stderr).toBe(0);
    expect(accountOf(again)).toMatchObject({ status: 'changed' });
    expect(accountOf(again).steps.at(-1), JSON.stringify(again.events)).toMatchObject({
      status: 'changed',
      changes: [{ what: 'entry', path: '.profile', action: 'replace' }],
    });
    expect((await logIn(visit)).shell).toBe('zsh');
    const third = await visit.prep(['--json', '--shell-fallback'], { password: true });
    expect(accountOf(third), third.stderr).toMatchObject({ status: 'unchanged' });
    return again;
  }

  test.skipIf(!existsSync(EXTRAUSERS))(
    `an account of libnss-extrausers is not chsh's to change`,
    async () => {
      const visit = await visitTo(({ name }) => ({ files: inExtrausers(name) }));
      await needsFallback(visit, 'blocked', /entry is not in \/etc\/passwd/);
    },
  );

  test.skipIf(noDirectoryService !== undefined)(
    `an account of an LDAP directory is not chsh's to change`,
    async () => {
      const visit = await visitTo(async ({ name }) => {
        const directory = await startDirectoryService(name);
        leaving.push(() => directory.stop());
        return directory.options;
      });
      const said = await needsFallback(visit, 'blocked', /entry is not in \/etc\/passwd/);
      expect(accountOf(said).verified).toBe(true);
      // What chsh would have said, had it been asked.
      visit.account.write('typed', `${visit.account.password}\n`);
      const refusal = await visit.ssh('chsh -s /bin/zsh <typed');
      expect(refusal.stderr).toMatch(/does not exist in \/etc\/passwd/);
    },
  );

  test('no chsh at all', async () => {
    const visit = await visitTo(withFiles({ '/usr/bin/chsh': [] }));
    await needsFallback(
      visit,
      'blocked',
      /there is no chsh to change the login shell; .*--shell-fallback/,
    );
  });

  test('zsh that is not in /etc/shells', async () => {
    const visit = await visitTo(withFiles({ '/etc/shells': ['/bin/sh', '/bin/bash'] }));
    await needsFallback(visit, 'blocked', /zsh is not listed in \/etc\/shells; .*--shell-fallback/);
  });

  test('PAM that refuses without a question', async () => {
    const visit = await visitTo(withFiles({ '/etc/pam.d/chsh': ['auth requisite pam_deny.so'] }));
    const run = await needsFallback(
      visit,
      'failed',
      /chsh refused to change the login shell \(.*\); .*--shell-fallback/,
    );
    expect(run.stdout).toMatch(/chsh refused [^\n]* is started from \.profile instead/);
  });

  test('PAM that refuses after the password', async () => {
    const pam = ['auth required pam_unix.so', 'account required pam_deny.so'];
    const visit = await visitTo(withFiles({ '/etc/pam.d/chsh': pam }));
    await needsFallback(visit, 'failed', /chsh .*/);
  });

  test('a login shell that is in no list, which pam_shells does not let go', async () => {
    const shells = ['/bin/sh', '/bin/zsh'];
    const visit = await visitTo(withFiles({ '/etc/shells': shells }));
    await needsFallback(visit, 'failed', /chsh refused to change the login shell \(.*\)/);
  });

  test('another password than that of the login', async () => {
    const pam = [
      'auth [default=ignore] pam_exec.so expose_authtok quiet /bin/false',
      'auth required pam_deny.so',
      'account required pam_permit.so',
    ];
    const visit = await visitTo(withFiles({ '/etc/pam.d/chsh': pam }));
    await needsFallback(visit, 'failed', /chsh did not accept the password/);
  });

  test('no password where chsh wants one', async () => {
    const visit = await visitTo(() => ({}));
    visit.authorize();
    const run = await visit.prep(['--json', '--shell-fallback']);
    expect(run.status, run.stderr).toBe(0);
    expect(statusesOf(run)['login-shell']).toBe('changed');
    expect((await logIn(visit)).shell).toBe('zsh');
  });

  test('chsh that works is used, flag or not, and the preview says what else might be done', async () => {
    const visit = await visitTo(() => ({}));
    const shown = await visit.prep(['--dry-run', '--shell-fallback'], { password: true });
    expect(shown.stdout).toMatch(/~ login shell \/bin\/bash -> \/bin\/zsh by chsh/);
    expect(shown.stdout).toMatch(/should chsh refuse, \.profile[^]*\+# >>> prep/);
    const before = visit.account.read('.profile');
    const run = await visit.prep(['--shell-fallback'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(visit.account.read('.profile')).toBe(before);
  });

  describe('everything else of a run', () => {
    test('is undone in one go together with the block that came in the end', async () => {
      const visit = await visitTo(withFiles({ '/etc/pam.d/chsh': ['auth requisite pam_deny.so'] }));
      const before = visit.account.read('.profile');
      visit.account.write('.zshrc', 'old\n');
      const run = await visit.prep(['--yes', '--shell-fallback'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.read('.zshrc')).toBe(DOTFILES['.zshrc']);
      const undone = await visit.prep(['undo', '--yes'], { password: true });
      expect(undone.status, undone.stderr).toBe(0);
      expect(visit.account.read('.profile')).toBe(before);
      expect(visit.account.read('.zshrc')).toBe('old\n');
    });
  });

  test('zsh under another path, and under several, is taken as /etc/shells has it', async () => {
    const shells = ['/bin/bash', '/usr/local/bin/zsh', '/usr/bin/zsh', '/bin/zsh'];
    const visit = await visitTo(withFiles({ '/etc/shells': shells }));
    const run = await visit.prep([], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.account.passwdShell()).toBe('/usr/bin/zsh');
  });

  test("a zsh of the account's own, in ~/.local/bin, where there is no other", async () => {
    const visit = await visitTo(
      withFiles({ '/usr/bin/zsh': [], '/etc/shells': ['/bin/sh', '/bin/bash'] }),
      { home: `/home/prep $own zsh ${process.pid}` },
    );
    const zsh = `${visit.account.home}/.local/bin/zsh`;
    visit.account.write('.local/bin/zsh', { content: readFileSync('/usr/bin/zsh'), mode: 0o755 });
    const run = await visit.prep(['--shell-fallback'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(await logIn(visit)).toMatchObject({ shell: 'zsh', variable: zsh });
    expect(accountOf(await visit.prep(['--json']))).toMatchObject({ status: 'unchanged' });
  });
});

/** The account's lines out of the machine's own files, and in those of libnss-extrausers. */
function inExtrausers(name: string): Record<string, readonly string[]> {
  const entries = accountEntries(name);
  const own = ACCOUNT_FILES.map((file) => [`/var/lib/extrausers/${file}`, [entries[file].own]]);
  return {
    ...knownBy('extrausers', name),
    ...(Object.fromEntries(own) as Record<string, string[]>),
  };
}
