import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { startAgent } from '../support/agent.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { statusesOf, useSshd, type Visit } from '../support/stage.ts';

const STEPS = ['ssh-dir', 'authorized-keys', 'permissions', 'dotfiles', 'zlogin', 'login-shell'];

/** Prepares the account, then finds nothing to do. */
async function prepares(visit: Visit): Promise<void> {
  const run = await visit.prep([], { password: true });
  expect(run.status, run.stderr).toBe(0);
  expect(visit.authorizedKeys).toBe(visit.keyLine);
  expect((await visit.ssh('echo $ZSH_VERSION')).stdout).toMatch(/\d\n$/);
  const before = visit.account.tree();
  const again = await visit.prep(['--json']);
  expect(again.status, again.stderr).toBe(0);
  expect(statusesOf(again)).toEqual(Object.fromEntries(STEPS.map((name) => [name, 'unchanged'])));
  expect(visit.account.tree()).toEqual(before);
}

describeSshd('an account whose login shell is', () => {
  const stage = useSshd();

  for (const shell of ['/bin/sh', '/bin/dash', '/bin/tcsh', '/usr/bin/fish', '/bin/mksh']) {
    test.skipIf(!existsSync(shell))(`${shell} is prepared as any other`, async () => {
      await prepares(stage.visit({ account: { shell } }));
    });
  }
});

describeSshd('an account whose start-up files talk', () => {
  const stage = useSshd();
  const talk = 'echo; echo "Welcome! password: "; echo oops >&2\n';

  test.each([
    ['/bin/bash', '.bashrc'],
    ['/bin/zsh', '.zprofile'],
    ['/bin/tcsh', '.cshrc'],
    ['/usr/bin/fish', '.config/fish/config.fish'],
  ])('%s with %s is prepared as any other', async (shell, file) => {
    if (!existsSync(shell)) return;
    const text = file === '.cshrc' ? 'echo "Welcome! password: "\n' : talk;
    const visit = stage.visit({ account: { shell, files: { [file]: text } } });
    const run = await visit.prep(['--yes'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout + run.stderr).not.toContain('Welcome');
    expect(visit.account.passwdShell()).toMatch(/zsh$/);
    expect(await visit.ssh('true')).toMatchObject({ status: 0 });
  });
});

/** Uploads a large file and a binary one, which arrive byte for byte. */
async function receives(visit: Visit, large: Buffer, binary: Buffer): Promise<void> {
  visit.laptop.write('set/large', large);
  visit.laptop.write('set/binary', binary);
  const flags = ['--dotfiles', visit.laptop.path('set'), '--only', 'dotfiles'];
  const run = await visit.prep(flags, { password: true });
  expect(run.status, run.stderr).toBe(0);
  expect(visit.account.read('large')).toBe(large.toString('latin1'));
  expect(visit.account.read('binary')).toBe(binary.toString('latin1'));
}

describeSshd('an account whose start-up files lead elsewhere', () => {
  const stage = useSshd();
  const without = useSshd({ sftp: 'none' });

  test.each([
    ['/bin/bash', '.bashrc', () => stage],
    ['/bin/bash', '.bashrc', () => without],
    ['/bin/zsh', '.zshenv', () => stage],
    ['/bin/tcsh', '.cshrc', () => without],
    ['/usr/bin/fish', '.config/fish/config.fish', () => without],
  ] as const)('%s with %s receives large and binary files at home', async (shell, file, place) => {
    if (!existsSync(shell)) return;
    const visit = place().visit({ account: { shell, files: { [file]: 'cd /\n' } } });
    await receives(visit, randomBytes(400_000), Buffer.from([0, 1, 2, 0]));
  });
});

for (const kex of ['ecdh-sha2-nistp256', 'diffie-hellman-group-exchange-sha256']) {
  describeSshd(`a server whose only key exchange is ${kex}`, () => {
    const stage = useSshd({ config: [`KexAlgorithms ${kex}`] });

    test('is prepared as any other', async () => {
      await prepares(stage.visit());
    });
  });
}

describeSshd('a user with an RSA key', () => {
  const stage = useSshd();

  test('logs in with it', async () => {
    const visit = stage.visit({ laptop: { keys: ['rsa'] } });
    const first = await visit.prep([], { password: true });
    expect(first.status, first.stderr).toBe(0);
    const again = await visit.prep(['-v']);
    expect(again.status, again.stderr).toBe(0);
    expect(again.stdout + again.stderr).not.toContain('publickey: refused');
  });
});

describeSshd('a server with keyboard-interactive alone', () => {
  const stage = useSshd({
    config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
  });

  test('takes the password as the answer to its prompt', async () => {
    const visit = stage.visit();
    await prepares(visit);
    expect(stage.server.logins()[0]?.method).toBe('keyboard-interactive/pam');
  });

  test('has its password typed once, at a terminal', async () => {
    const visit = stage.visit();
    const run = await visit.typing([], visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(1);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
  });

  test('asks again after a wrong one', async () => {
    const visit = stage.visit();
    const run = await visit.typing(
      ['--only', 'ssh-dir'],
      visit.typesPassword('wrong'),
      visit.typesPassword(),
    );
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
  });
});

describeSshd('a server with', () => {
  describe('MaxSessions 1', () => {
    const stage = useSshd({ config: ['MaxSessions 1'] });
    test('is prepared as any other', () => prepares(stage.visit()));
  });

  describe('no sftp subsystem', () => {
    const stage = useSshd({ sftp: 'none' });
    test('is prepared as any other', () => prepares(stage.visit()));

    test('receives large and binary files all the same', async () => {
      await receives(stage.visit(), randomBytes(3 << 20), Buffer.from([0, 1, 2, 0]));
    });
  });

  describe('MaxAuthTries 1', () => {
    const stage = useSshd({ config: ['MaxAuthTries 1'] });
    test('is prepared as any other', () => prepares(stage.visit()));
  });

  describe('a banner', () => {
    const stage = useSshd({ config: ['Banner /etc/shells'] });
    test('has it shown, on standard error', async () => {
      const run = await stage.visit().prep(['-n'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(run.stderr).toContain('/bin/sh\n');
      expect(run.stdout).not.toContain('/bin/sh\n');
    });
  });
});

describeSshd('an account whose home directory has an odd name', () => {
  const stage = useSshd();

  test('is prepared as any other', async () => {
    const home = `/home/prep it's "$(touch X)" ${randomBytes(4).toString('hex')}`;
    await prepares(stage.visit({ account: { home } }));
  });
});

describeSshd('a laptop whose agent holds seven keys', () => {
  const stage = useSshd();

  test('offers the server none of them, only the one to be installed', async () => {
    const visit = stage.visit();
    const names = Array.from({ length: 7 }, (_, number) => `agent-${number}`);
    names.forEach((name) => visit.laptop.makeKey(name));
    const socket = await startAgent(stage, visit.laptop, names);
    const run = await visit.prep([], { password: true, env: { SSH_AUTH_SOCK: socket } });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(stage.server.refusals('publickey')).toBeLessThan(2);
  });
});
