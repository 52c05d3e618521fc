import { afterAll, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { noRealm, Realm } from '../support/realm.ts';
import { noSshd } from '../support/sshd.ts';
import { useSshd, type Visit } from '../support/stage.ts';

const realm = noRealm === undefined && noSshd === undefined ? await Realm.start() : undefined;
afterAll(() => realm?.stop());

const title = `a Kerberos ticket${noRealm === undefined ? '' : ` (skipped: ${noRealm})`}`;

describeSshd(title, () => {
  const stage = useSshd({
    config: [
      'GSSAPIAuthentication yes',
      'GSSAPIStrictAcceptorCheck no',
      'PasswordAuthentication no',
    ],
    env: realm?.hostEnv ?? {},
  });

  /** A user whose ssh_config wants GSSAPI, with a known host. */
  function visiting(): Visit {
    const visit = stage.visit();
    const known = visit.laptop.path('.ssh/known_hosts');
    const key = visit.laptop.path('.ssh/id_ed25519');
    const lines = [
      'GSSAPIAuthentication yes',
      `UserKnownHostsFile ${known}`,
      `IdentityFile ${key}`,
    ];
    visit.laptop.write('.ssh/config', lines.map((line) => `${line}\n`).join(''));
    return visit;
  }

  test.skipIf(noRealm !== undefined)(
    'is all that the login takes, and the installed key is proven without it',
    async () => {
      const visit = visiting();
      const env = realm!.ticketFor(visit.account.name);
      const run = await visit.prep(['-v', '--skip', 'login-shell'], { env });
      expect(run.status, run.stderr).toBe(0);
      expect(run.stderr).toContain('logging in through OpenSSH, for GSSAPIAuthentication');
      expect(run.stderr).toContain('logged in with gssapi-with-mic through OpenSSH');
      expect(visit.authorizedKeys).toBe(visit.keyLine);
      const methods = stage.server.logins().map(({ method }) => method);
      expect(methods).toEqual(['gssapi-with-mic', 'publickey']);
    },
  );

  test.skipIf(noRealm !== undefined)(
    'leaves one question: that of chsh, and the account is prepared whole',
    async () => {
      const visit = visiting();
      const env = realm!.ticketFor(visit.account.name);
      const run = await visit.prep([], { env, pty: true, answers: [visit.typesPassword()] });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(visit.account.passwdShell()).toMatch(/zsh$/);
      expect(visit.authorizedKeys).toBe(visit.keyLine);
    },
  );

  test.skipIf(noRealm !== undefined)(
    'that nobody holds: ssh2 speaks, and one sentence says what the server takes',
    async () => {
      const visit = visiting();
      const run = await visit.prep(['-v'], { env: realm!.env, password: true });
      expect(run.status).toBe(1);
      expect(run.stderr).not.toContain('through OpenSSH');
      expect(run.stderr).toMatch(/^prep: \S+: [^\n]*gssapi-with-mic[^\n]*$/m);
    },
  );
});
