import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { accountOf, useSshd, type Visit } from '../support/stage.ts';
import {
  makeToken,
  noSecurityKey,
  noToken,
  securityKeyProvider,
  type Token,
} from '../support/token.ts';
import type { Answer } from '../support/typist.ts';

const why = (missing: string | undefined): string =>
  missing === undefined ? '' : ` (skipped: ${missing})`;

describeSshd(`a key on a PKCS#11 token${why(noToken)}`, () => {
  const stage = useSshd();

  /** A user with a card, whose key is let in. */
  function visiting(): { visit: Visit; token: Token; pin: Answer } {
    const visit = stage.visit();
    const token = makeToken(visit.laptop);
    visit.authorize(`${token.publicKey} card\n`);
    const known = visit.laptop.path('.ssh/known_hosts');
    const lines = [`PKCS11Provider ${token.module}`, `UserKnownHostsFile ${known}`];
    const usual = `IdentityFile ${visit.laptop.path('.ssh/id_ed25519')}`;
    visit.laptop.write('.ssh/config', [...lines, usual].map((line) => `${line}\n`).join(''));
    return { visit, token, pin: { prompt: /Enter PIN for 'card': *$/, type: `${token.pin}\r` } };
  }

  test.skipIf(noToken !== undefined)(
    'is the way in, its PIN asked for once; the installed key is proven by itself',
    async () => {
      const { visit, token, pin } = visiting();
      const args = ['-v', '--skip', 'login-shell'];
      const run = await visit.prep(args, { env: token.env, pty: true, answers: [pin, pin] });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
      expect(run.screen).toContain('logging in through OpenSSH, for PKCS11Provider');
      expect(visit.authorizedKeys).toBe(`${token.publicKey} card\n${visit.keyLine}`);
      const log = stage.server.log();
      expect(log).toMatch(
        /Accepted publickey for .* ECDSA SHA256:[^]*Accepted publickey for .* ED25519 SHA256:/,
      );
    },
  );

  test.skipIf(noToken !== undefined)(
    'may be the one to install, and is proven when it lets the user in the next time',
    async () => {
      const { visit, token, pin } = visiting();
      visit.account.write('.ssh/authorized_keys', { content: '', mode: 0o600 });
      visit.laptop.write('card.pub', `${token.publicKey} card\n`);
      const args = ['-i', visit.laptop.path('card.pub'), '--skip', 'login-shell', '--json'];
      const first = await visit.prep(args, { env: token.env, password: true });
      expect(first.status, first.stderr).toBe(0);
      expect(accountOf(first)).toMatchObject({ status: 'changed', verified: false });
      expect(visit.authorizedKeys).toBe(`${token.publicKey} card\n`);
      const how = { env: token.env, pty: true, redirect: true, answers: [pin] };
      const again = await visit.prep(args, how);
      expect(again.status, again.screen).toBe(0);
      expect(again.typed).toHaveLength(1);
      expect(accountOf(again)).toMatchObject({ status: 'unchanged', verified: true });
      expect(stage.server.logins().map(({ method }) => method)).toEqual(['password', 'publickey']);
    },
  );

  test.skipIf(noToken !== undefined)(
    'without its PIN is passed over, for the password',
    async () => {
      const { visit, token } = visiting();
      const args = ['--skip', 'login-shell'];
      const run = await visit.prep(args, { env: token.env, password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(visit.authorizedKeys).toContain(visit.keyLine);
    },
  );
});

describeSshd(`a key on a security key${why(noSecurityKey)}`, () => {
  const stage = useSshd();

  function visiting(passphrase = ''): { visit: Visit; file: string } {
    const visit = stage.visit({ laptop: { keys: [] } });
    const file = visit.laptop.path('.ssh/id_ecdsa_sk');
    const provider = securityKeyProvider();
    const making = ['-q', '-t', 'ecdsa-sk', '-w', provider, '-N', passphrase, '-f', file];
    execFileSync('ssh-keygen', making, { stdio: 'pipe' });
    const known = visit.laptop.path('.ssh/known_hosts');
    const lines = [
      `SecurityKeyProvider ${provider}`,
      `UserKnownHostsFile ${known}`,
      `IdentityFile ${file}`,
    ];
    visit.laptop.write('.ssh/config', lines.map((line) => `${line}\n`).join(''));
    return { visit, file };
  }

  test.skipIf(noSecurityKey !== undefined)(
    'is installed by the password, and proven by a touch',
    async () => {
      const { visit, file } = visiting();
      const run = await visit.prep(['-v', '-i', file], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(run.stderr).toContain('through OpenSSH, for ');
      expect(visit.authorizedKeys).toBe(visit.laptop.read('.ssh/id_ecdsa_sk.pub'));
      expect(stage.server.logins().map(({ method }) => method)).toEqual(['password', 'publickey']);
    },
  );

  test.skipIf(noSecurityKey !== undefined)(
    'lets the user in the second time, and there is nothing to do',
    async () => {
      const { visit } = visiting();
      visit.authorize(visit.laptop.read('.ssh/id_ecdsa_sk.pub'));
      const run = await visit.prep(['--json', '--only', 'ssh-dir,authorized-keys']);
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'unchanged', verified: true });
      expect(stage.server.logins().map(({ method }) => method)).toEqual(['publickey']);
    },
  );

  test.skipIf(noSecurityKey !== undefined)(
    'has its passphrase asked for once, by its file name',
    async () => {
      const { visit, file } = visiting('open sesame');
      visit.authorize(visit.laptop.read('.ssh/id_ecdsa_sk.pub'));
      const passphrase = {
        prompt: new RegExp(`Enter passphrase for key '${file}': *$`),
        type: 'open sesame\r',
      };
      const args = ['-i', file, '--only', 'ssh-dir,authorized-keys,permissions,zlogin'];
      const run = await visit.prep(args, { pty: true, answers: [passphrase] });
      expect(run.status, run.screen).toBe(0);
      expect(run.typed).toHaveLength(1);
    },
  );

  test.skipIf(noSecurityKey !== undefined)('is named where ssh2 is insisted on', async () => {
    const { visit, file } = visiting();
    visit.authorize(visit.laptop.read('.ssh/id_ecdsa_sk.pub'));
    const args = ['-v', '--transport', 'ssh2', '-i', file, '--only', 'ssh-dir,authorized-keys'];
    const run = await visit.prep(args);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /IdentityFile \S+id_ecdsa_sk, SecurityKeyProvider are not used by ssh2/,
    );
  });
});
