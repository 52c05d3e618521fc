import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { runPrep } from '../support/laptop.ts';
import { freePort } from '../support/sshd.ts';
import { accountOf, ran, useSshd, type Stage } from '../support/stage.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys'];

describeSshd('a server with old algorithms only', () => {
  const old = [
    ['KexAlgorithms', 'diffie-hellman-group1-sha1'],
    ['Ciphers', '3des-cbc'],
    ['MACs', 'hmac-md5'],
  ] as const;

  describe.each(old)('%s %s', (keyword, algorithm) => {
    // A cipher that authenticates by itself needs no MAC.
    const config = [
      `${keyword} ${algorithm}`,
      ...(keyword === 'MACs' ? ['Ciphers aes128-ctr'] : []),
    ];
    const stage = useSshd({ config });

    test('is named, with the line that would allow it', async () => {
      const run = await stage.visit().prep(QUICK, { password: true });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
      expect(run.stderr).toContain(`(it offers only ${algorithm}`);
      expect(run.stderr).toContain(`~/.ssh/config (${keyword} +${algorithm})`);
    });
  });

  describe('HostKeyAlgorithms ssh-rsa', () => {
    const stage = useSshd({ config: ['HostKeyAlgorithms ssh-rsa'], hostKeys: ['rsa'] });

    test('is named, with the line that would allow it', async () => {
      const run = await stage.visit().prep(QUICK, { password: true });
      expect(run).toMatchObject({ status: 1, stdout: '' });
      expect(run.stderr).toContain('~/.ssh/config (HostKeyAlgorithms +ssh-rsa)');
    });
  });
});

describeSshd('an account that may not be used', () => {
  const stage = useSshd();
  const keyboard = useSshd({
    config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
  });

  test.each([
    ['by its password', false],
    ['by its key', true],
  ])('because it has expired, %s: the server says so, and so does prep', async (_how, key) => {
    const visit = stage.visit();
    if (key) visit.authorize();
    visit.account.administer('usermod', '-e', '2020-01-01');
    const run = await visit.prep(QUICK, { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]*account has expired[^\n]*; [^\n]+\n$/m);
    expect(run.stderr).not.toMatch(/^ +at /m);
  });

  test('because it has expired, by keyboard-interactive: sshd calls that a refusal', async () => {
    const visit = keyboard.visit();
    visit.account.administer('usermod', '-e', '2020-01-01');
    const run = await visit.prep(QUICK, { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/: the password was refused once; check [^\n]+ expired [^\n]+\n$/);
  });

  test('because its shell is nologin: what it says is passed on', async () => {
    const visit = stage.visit({ account: { shell: '/usr/sbin/nologin' } });
    const run = await visit.prep(QUICK, { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /: logged in, but the account runs no commands \(it said "This account is currently not available\."\); ask its administrator/,
    );
  });

  const closed = useSshd({
    pam: ['@include common-auth', 'account required pam_deny.so', '@include common-session'],
  });

  test('from here: what the server leaves unsaid is guessed', async () => {
    const run = await closed.visit().prep(QUICK, { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /: the server hung up instead of answering the login; ask its administrator whether the account is expired or locked or may not log in from here\n$/,
    );
  });
});

describeSshd('ForceCommand', () => {
  const stage = useSshd({ config: ['ForceCommand echo no commands here'] });
  const through = useSshd({ config: ['ForceCommand sh -c "$SSH_ORIGINAL_COMMAND"'] });

  test('instead of every command: what it says is passed on', async () => {
    const run = await stage.visit().prep(QUICK, { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/the account runs no commands \(it said "no commands here"\); /);
  });

  test('around every command is no hindrance', async () => {
    const run = await through.visit().prep(['--json'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
  });
});

describeSshd('an IPv6 address with a port', () => {
  const stage = useSshd({ config: ['ListenAddress ::1'] });

  test('is reached, its host key asked for and remembered under that name', async () => {
    const visit = stage.visit({ laptop: { knownHosts: '' } });
    const { name, password } = visit.account;
    const run = await runPrep(
      ['--host-key', 'accept-new', '--json', `${name}@[::1]:${stage.server.port}`],
      { laptop: visit.laptop, accounts: [visit.account], env: { PREP_PASSWORD: password } },
    );
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
    const known = ['-F', `[::1]:${stage.server.port}`, '-f', visit.laptop.path('.ssh/known_hosts')];
    expect(await ran('ssh-keygen', known, visit.laptop.env())).toMatchObject({ status: 0 });
  });
});

/** A chsh that asks nobody but a terminal, as some systems have it, before the real one in PATH. */
const AT_A_TERMINAL = {
  content:
    '#!/bin/sh\n[ -t 0 ] || { echo "chsh: no terminal" >&2; exit 1; }\nexec /usr/bin/chsh "$@"\n',
  mode: 0o755,
};

function withPickyChsh(stage: Stage): ReturnType<Stage['visit']> {
  return stage.visit({
    account: { files: { '.bashrc': 'PATH=$HOME/bin:$PATH\n', 'bin/chsh': AT_A_TERMINAL } },
  });
}

describeSshd('a chsh that wants a terminal', () => {
  describe('and gets one', () => {
    const stage = useSshd();

    test('changes the login shell', async () => {
      const run = await withPickyChsh(stage).prep(['--json'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
    });

    test('and a wrong password, is not asked again', async () => {
      const visit = withPickyChsh(stage);
      visit.authorize();
      const run = await visit.prep(['--json'], { env: { PREP_PASSWORD: 'wrong' } });
      expect(run).toMatchObject({ status: 1 });
      expect(run.stderr).toMatch(/chsh did not accept the password/);
      expect(visit.account.passwdShell()).toBe('/bin/bash');
    });
  });

  describe.each([['PermitTTY no'], ['MaxSessions 1']])('and gets none (%s)', (line) => {
    const stage = useSshd({ config: [line] });

    test('is named as the reason; everything else is done', async () => {
      const visit = withPickyChsh(stage);
      const run = await visit.prep(['--json'], { password: true });
      expect(run).toMatchObject({ status: 1 });
      expect(run.stderr).toMatch(
        /: chsh refused to change the login shell \(it wants a terminal, which the server does not give: [^\n]+\); ask the administrator to change it, or run prep again with --shell-fallback\n$/,
      );
      expect(visit.authorizedKeys).toBe(visit.keyLine);
      expect(accountOf(run).steps.at(-1)).toMatchObject({ status: 'failed' });
    });
  });

  describe('where PAM asks on standard input, PermitTTY no', () => {
    const stage = useSshd({ config: ['PermitTTY no'] });

    test('keeps nothing from being done', async () => {
      const visit = stage.visit();
      const run = await visit.prep([], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(visit.account.passwdShell()).toBe('/bin/zsh');
    });
  });
});

describeSshd('LoginGraceTime 3', () => {
  const stage = useSshd({ config: ['LoginGraceTime 3'] });

  test('leaves all the time one likes for the password', async () => {
    const visit = stage.visit();
    const run = await visit.typing([...QUICK, '--no-verify'], {
      ...visit.typesPassword(),
      before: () => sleep(8000),
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(1);
    expect(stage.server.connections()).toBe(2);
  });
});

describeSshd('MaxAuthTries 2', () => {
  const stage = useSshd({ config: ['MaxAuthTries 2'] });

  test('lets a password be asked for three times all the same', async () => {
    const visit = stage.visit();
    const wrong = visit.typesPassword('wrong');
    const run = await visit.typing(QUICK, wrong, wrong, visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(3);
    expect(stage.server.refusals()).toBe(2);
  });
});

describeSshd(`dropbear${noDropbear()}`, () => {
  const stage = useSshd();

  async function prepares(sftp: boolean, forSshd?: string): Promise<void> {
    const visit = stage.visit();
    const port = await dropbear(stage, sftp, forSshd);
    const destination = `${visit.account.name}@127.0.0.1:${port}`;
    const binary = randomBytes(300_000);
    visit.laptop.write('set/.zshrc', ':\n');
    visit.laptop.write('set/blob', binary);
    const flags = ['--json', '--host-key', 'accept-new', '--dotfiles', visit.laptop.path('set')];
    const options = {
      laptop: visit.laptop,
      accounts: [visit.account],
      env: { PREP_PASSWORD: visit.account.password },
    };
    const run = await runPrep([...flags, destination], options);
    expect(run.status, run.stderr).toBe(0);
    expect(accountOf(run)).toMatchObject({ status: 'changed', verified: true });
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(visit.account.read('blob') === binary.toString('latin1')).toBe(true);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    const again = await runPrep([...flags, destination], { laptop: visit.laptop });
    expect(again.status, again.stderr).toBe(0);
    expect(accountOf(again)).toMatchObject({ status: 'unchanged', verified: true });
  }

  test.skipIf(noDropbear() !== '')('is prepared as any other', () => prepares(true));

  test.skipIf(noDropbear() !== '')('is prepared without its sftp-server, too', () =>
    prepares(false),
  );

  test.skipIf(noDropbear() !== '')('does not read what is there for sshd', () =>
    prepares(true, 'AuthorizedKeysFile .ssh/other\n'),
  );
});

function noDropbear(): string {
  return existsSync('/usr/sbin/dropbear') ? '' : ' (skipped: dropbear is not installed)';
}

/** Starts dropbear, gone when the test of `stage` is over, and gives its port. */
async function dropbear(stage: Stage, sftp: boolean, forSshd?: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'prep-dropbear-'));
  chmodSync(folder, 0o755);
  stage.later(() => rmSync(folder, { recursive: true }));
  const port = await freePort();
  const command = ['dropbear', '-F', '-E', '-R', '-p', `127.0.0.1:${port}`, '-P', `${folder}/pid`];
  // -R makes host keys where they are missing, in /etc/dropbear; nobody else shall see them.
  writeFileSync(join(folder, 'nothing'), '');
  writeFileSync(join(folder, 'sshd_config'), forSshd ?? '');
  const script = `mkdir -p /etc/dropbear ${folder}/keys && mount --bind ${folder}/keys /etc/dropbear${
    sftp ? '' : ` && mount --bind ${folder}/nothing /usr/lib/openssh/sftp-server`
  }${forSshd === undefined ? '' : ` && mount --bind ${folder}/sshd_config /etc/ssh/sshd_config`} && exec "$@"`;
  const tied = ['--pdeathsig', 'KILL', 'unshare', '--mount', 'sh', '-c', script, 'sh', ...command];
  const child = spawn('setpriv', tied, { stdio: ['ignore', 'ignore', 'pipe'] });
  stage.later(() => child.kill('SIGKILL'));
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString('utf8')));
  for (let waited = 0; !/Not backgrounding/.test(said); waited += 20) {
    if (waited > 10_000) throw new Error(`dropbear did not start: ${said}`);
    await sleep(20);
  }
  return port;
}
