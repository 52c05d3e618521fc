import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { randomPassword } from '../support/account.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { makeAccount, type TestAccount } from '../support/sshd.ts';
import { ran, useSshd, type Stage, type Visit } from '../support/stage.ts';
import type { Answer } from '../support/typist.ts';

const THROUGH = ['--transport', 'openssh'];
const QUICK = [...THROUGH, '--only', 'ssh-dir,authorized-keys'];

describeSshd('--transport openssh', () => {
  const stage = useSshd();

  test('prepares a fresh account by the given password, and proves it by the key alone', async () => {
    const visit = stage.visit();
    const run = await visit.prep(THROUGH, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(stage.server.logins().map(({ method }) => method)).toEqual(['password', 'publickey']);
    expect(stage.server.connections()).toBe(2);
    await nothingLeft(visit);
  });

  test('asks for the password once, as ever, and no child has it in its environment', async () => {
    const visit = stage.visit();
    const environments = watchEnvironments(visit.account.password);
    const run = await visit.typing(THROUGH, visit.typesPassword());
    expect(environments()).toBe(0);
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toEqual([`${visit.account.name}@127.0.0.1's password:`]);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(run.terminal).toEqual({ echo: true, lines: true, cursor: true });
    await nothingLeft(visit);
  });

  test('is let in by the key the second time, over one connection', async () => {
    const visit = stage.visit();
    visit.authorize();
    const run = await visit.prep(QUICK);
    expect(run.status, run.stderr).toBe(0);
    expect(stage.server.logins()).toEqual([{ method: 'publickey', user: visit.account.name }]);
    expect(stage.server.connections()).toBe(1);
  });

  test('asks again after a wrong password', async () => {
    const visit = stage.visit();
    const wrong = visit.typesPassword('wrong');
    const run = await visit.typing(QUICK, wrong, visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
    expect(stage.server.refusals()).toBe(1);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });

  test('gives up after three wrong ones', async () => {
    const visit = stage.visit();
    const wrong = visit.typesPassword('wrong');
    const run = await visit.typing(QUICK, wrong, wrong, wrong);
    expect(run.status).toBe(1);
    expect(run.screen.replace(/\s+/g, ' ')).toMatch(
      /prep: \S+: the password was refused 3 times; check the user name/,
    );
    expect(stage.server.refusals()).toBe(3);
    await nothingLeft(visit);
  });

  test('tries a given password once', async () => {
    const visit = stage.visit();
    const run = await visit.prep(QUICK, { env: { PREP_PASSWORD: 'wrong' } });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: \S+: the password was refused once; [^\n]+\n$/);
    expect(stage.server.refusals()).toBe(1);
  });

  test('says what is missing where nobody can be asked', async () => {
    const visit = stage.visit();
    const run = await visit.prep(QUICK);
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /^prep: \S+: there is no terminal to ask: \S+'s password; give it with --password-file or PREP_PASSWORD\n$/,
    );
    await nothingLeft(visit);
  });

  test('shows an unknown host key and remembers it, in a real run only', async () => {
    const visit = stage.visit({ laptop: { knownHosts: '' } });
    const yes: Answer = { prompt: /Trust this host and remember its key\?.*$/, type: 'y\r' };
    const dry = await visit.typing(['-n', ...QUICK], yes, visit.typesPassword());
    expect(dry.status, dry.screen).toBe(0);
    expect(dry.screen).toContain(`[127.0.0.1]:${stage.server.port}`);
    expect(dry.screen).toMatch(/ED25519 SHA256:\S{43}\s/);
    expect(visit.laptop.read('.ssh/known_hosts')).toBe('');
    const run = await visit.typing(QUICK, yes, visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(await isKnown(visit)).toBe(true);
  });

  test('goes no further where the host key is declined', async () => {
    const visit = stage.visit({ laptop: { knownHosts: '' } });
    const no: Answer = { prompt: /Trust this host and remember its key\?.*$/, type: 'n\r' };
    const run = await visit.typing(QUICK, no);
    expect(run.status).toBe(1);
    expect(run.screen.replace(/\s+/g, ' ')).toContain('was not accepted; ask its administrator');
    expect(visit.laptop.read('.ssh/known_hosts')).toBe('');
    await nothingLeft(visit);
  });

  test.each([
    [
      'unknown under --host-key strict',
      ['--host-key', 'strict'],
      '',
      /its host key is not known \(ED25519 SHA256:\S{43}\)/,
    ],
    [
      'changed, whatever the policy',
      ['--host-key', 'accept-new'],
      'other',
      /THE HOST KEY HAS CHANGED to ED25519 SHA256:\S{43}, against \S+known_hosts line 1:/,
    ],
  ])('refuses a host key that is %s', async (_what, args, known, sentence) => {
    const visit = stage.visit({ laptop: { knownHosts: '' } });
    if (known !== '') {
      const [type, blob] = visit.laptop.makeKey('other').split(' ');
      visit.laptop.write('.ssh/known_hosts', `[127.0.0.1]:${stage.server.port} ${type} ${blob}\n`);
    }
    const run = await visit.prep([...args, ...QUICK], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(sentence);
    expect(run.stderr).toMatch(/^[^\n]+\n$/);
    expect(stage.server.logins()).toEqual([]);
  });

  test('takes a new host key without a word under accept-new', async () => {
    const visit = stage.visit({ laptop: { knownHosts: '' } });
    const run = await visit.prep(['--host-key', 'accept-new', ...QUICK], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(await isKnown(visit)).toBe(true);
  });

  test('changes nothing in a dry run', async () => {
    const visit = stage.visit();
    const before = [visit.account.tree(), visit.laptop.tree()];
    const run = await visit.prep(['-n', ...THROUGH], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect([visit.account.tree(), visit.laptop.tree()]).toEqual(before);
  });

  test('asks for the passphrase of a key by its file name, once for login and trial', async () => {
    const visit = stage.visit();
    visit.laptop.makeKey('.ssh/locked', 'ed25519', 'open sesame');
    visit.authorize(visit.laptop.read('.ssh/locked.pub'));
    const file = visit.laptop.path('.ssh/locked');
    const passphrase: Answer = {
      prompt: new RegExp(`Enter passphrase for key '${file}': *$`),
      type: 'open sesame\r',
    };
    const args = ['-i', file, ...THROUGH, '--only', 'login-shell'];
    const run = await visit.typing(args, passphrase, visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(stage.server.logins().map(({ method }) => method)).toEqual(['publickey', 'publickey']);
  });

  test('carries large files, and an undo', async () => {
    const visit = stage.visit();
    visit.authorize();
    const bytes = Buffer.alloc(700_000, 0).map((_, index) => (index * 31) >> 3);
    visit.laptop.write('dots/.big', bytes);
    const dotfiles = ['--only', 'dotfiles', '--dotfiles', visit.laptop.path('dots')];
    const key = ['-i', visit.laptop.path('.ssh/id_ed25519')];
    const run = await visit.prep([...key, ...THROUGH, ...dotfiles]);
    expect(run.status, run.stderr).toBe(0);
    expect(Buffer.from(visit.account.read('.big'), 'latin1').equals(bytes)).toBe(true);
    const undone = await visit.prep(['undo', '-y', ...key, ...THROUGH]);
    expect(undone.status, undone.stderr).toBe(0);
    expect(visit.account.tree()).not.toHaveProperty('.big');
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)(
    'leaves neither process nor socket behind after %s',
    async (signal) => {
      const visit = stage.visit({ account: { files: { '.bashrc': 'sleep 30\n' } } });
      const run = visit.prep(['-v', ...THROUGH], {
        password: true,
        signal: { when: /through OpenSSH/, send: signal },
      });
      await run.catch(() => undefined);
      await nothingLeft(visit);
    },
  );

  test('without OpenSSH on this machine says so', async () => {
    const visit = stage.visit();
    const run = await visit.prep(QUICK, { password: true, env: { PATH: '/nowhere' } });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/OpenSSH's ssh, which [^\n]+ is not installed/);
  });

  test('passes on what keeps ssh from connecting', async () => {
    const visit = stage.visit();
    const args = [...QUICK, '-p', '1'];
    const run = await visit.prep(args, { password: true });
    expect(run.stderr).toMatch(
      /^prep: \S+: cannot connect to 127.0.0.1 port 1 \(connection refused\); [^\n]+\n$/,
    );
  });
});

describeSshd('--transport openssh over jump hosts', () => {
  const stage = useSshd();
  const first = useSshd();
  const second = useSshd();
  const closed = useSshd({ config: ['AllowTcpForwarding no'] });

  function journey(...hops: Stage[]): { visit: Visit; accounts: TestAccount[]; jump: string } {
    const knownHosts = [stage, ...hops].map(({ server }) => server.knownHosts()).join('');
    const visit = stage.visit({ laptop: { knownHosts } });
    const accounts = hops.map(({ server }) => {
      const account = makeAccount();
      stage.later(() => account.remove());
      server.forget();
      return account;
    });
    const names = accounts.map(({ name }, i) => `${name}@127.0.0.1:${hops[i]!.server.port}`);
    return { visit, accounts, jump: names.join(',') };
  }

  const typesAs = ({ name, password }: TestAccount, text = password): Answer => ({
    prompt: new RegExp(`${name}@127\\.0\\.0\\.1's password: *$`),
    type: `${text}\r`,
  });

  test('asks each for its own password, under its own name, once', async () => {
    const { visit, accounts, jump } = journey(first, second);
    const run = await visit.prep(['-J', jump, ...QUICK], {
      pty: true,
      timeout: 40_000,
      accounts: [visit.account, ...accounts],
      answers: [typesAs(accounts[0]!), typesAs(accounts[1]!), typesAs(visit.account)],
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(3);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    for (const { server } of [first, second]) {
      expect(server.refusals()).toBe(0);
      expect(server.connections()).toBe(1);
    }
    await nothingLeft(visit);
  });

  test('never tries the given password on the way', async () => {
    const { visit, accounts, jump } = journey(first);
    const run = await visit.prep(['-J', jump, ...QUICK], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toContain(`${accounts[0]!.name}@127.0.0.1's password`);
    expect(first.server.refusals()).toBe(0);
    expect(stage.server.connections()).toBe(0);
  });

  test('names the host on the way that is in the way', async () => {
    const { visit, accounts, jump } = journey(first);
    const wrong = typesAs(accounts[0]!, 'wrong');
    const run = await visit.typing(['-J', jump, ...QUICK], wrong, wrong, wrong);
    expect(run.status).toBe(1);
    expect(run.screen.replace(/\s+/g, ' ')).toContain(
      `at the jump host ${accounts[0]!.name}@127.0.0.1: the password was refused 3 times`,
    );
  });

  test('says that one of them forwards nothing', async () => {
    const { visit, accounts, jump } = journey(closed);
    const run = await visit.typing(['-J', jump, ...QUICK], typesAs(accounts[0]!));
    expect(run.status).toBe(1);
    expect(run.screen.replace(/\s+/g, ' ')).toContain(
      `cannot connect to 127.0.0.1 port ${stage.server.port} (from ${accounts[0]!.name}@127.0.0.1: `,
    );
    await nothingLeft(visit);
  });

  test('gives the password to nobody else who asks through a ProxyCommand', async () => {
    const { visit, accounts } = journey(first);
    const known = visit.laptop.path('.ssh/known_hosts');
    const bastion = `ssh -F none -o UserKnownHostsFile=${known} -p ${first.server.port} -W %h:%p ${accounts[0]!.name}@127.0.0.1`;
    const text = `Host *\n  UserKnownHostsFile ${known}\n  ProxyCommand ${bastion}\n`;
    visit.laptop.write('.ssh/config', text);
    const run = await visit.prep(QUICK, {
      pty: true,
      password: true,
      answers: [typesAs(accounts[0]!)],
    });
    expect(run.status, run.screen).toBe(0);
    expect(first.server.refusals()).toBe(0);
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });
});

describeSshd('--transport openssh and an expired password', () => {
  const stage = useSshd();
  const keyboard = useSshd({
    config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes'],
  });

  test.each([
    ['in the session', () => stage],
    ['within the login', () => keyboard],
  ] as const)('changes it %s, to what is typed twice', async (_where, place) => {
    const visit = place().visit();
    visit.account.administer('chage', '-d', '0');
    const fresh = randomPassword();
    const run = await visit.prep(THROUGH, {
      pty: true,
      timeout: 40_000,
      accounts: [visit.account, { password: fresh, home: visit.account.home }],
      answers: [
        visit.typesPassword(),
        { prompt: /New password for [^,]*: *$/, type: `${fresh}\r` },
        { prompt: /New password for .*, once more: *$/, type: `${fresh}\r` },
      ],
    });
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(3);
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    expect(visit.authorizedKeys).toBe(visit.keyLine);
    await nothingLeft(visit);
  });

  test('leaves it alone in a dry run', async () => {
    const visit = keyboard.visit();
    visit.account.administer('chage', '-d', '0');
    const run = await visit.prep(['-n', ...THROUGH], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(
      /its password must be changed before anything else, which a dry run/,
    );
  });
});

describeSshd('a server that hangs up after one refusal', () => {
  const stage = useSshd({ config: ['MaxAuthTries 1'] });

  test('is dialled again through OpenSSH too', async () => {
    const visit = stage.visit({ laptop: { keys: [] } });
    visit.laptop.makeKey('elsewhere');
    const args = ['-i', visit.laptop.path('elsewhere.pub'), '--no-verify', ...QUICK];
    const run = await visit.typing(args, visit.typesPassword('wrong'), visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(2);
  });
});

describeSshd('a server with a key exchange that ssh2 does not know', () => {
  const stage = useSshd({ config: ['KexAlgorithms sntrup761x25519-sha512@openssh.com'] });

  test('is reached through OpenSSH by itself, and prep -v says so', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['-v'], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(
      /ssh2 and the server have no key exchange in common; trying OpenSSH/,
    );
    expect(visit.account.passwdShell()).toBe('/bin/zsh');
    await nothingLeft(visit);
  });

  test('is named where ssh2 is insisted on', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['--transport', 'ssh2'], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: \S+: the server and prep have no key exchange in common/);
  });
});

describeSshd('a server that trusts certificates', () => {
  const stage = useSshd();
  const trusting = useSshd({ config: ['TrustedUserCAKeys /etc/ssh/prep-test-ca.pub'] });

  test('lets in by one that ssh_config names, and the plain key is proven all the same', async () => {
    expect(stage.server.running).toBe(true);
    const visit = trusting.visit();
    const { laptop, account } = visit;
    laptop.makeKey('ca');
    trusting.later(() => execFileSync('rm', ['-f', '/etc/ssh/prep-test-ca.pub']));
    execFileSync('cp', [laptop.path('ca.pub'), '/etc/ssh/prep-test-ca.pub']);
    const key = laptop.path('.ssh/id_ed25519.pub');
    const signing = ['-q', '-s', laptop.path('ca'), '-I', 'test', '-n', account.name, key];
    execFileSync('ssh-keygen', signing);
    const run = await visit.prep(THROUGH, {
      pty: true,
      answers: [visit.typesPassword()],
    });
    expect(run.status, run.screen).toBe(0);
    // Only chsh asked.
    expect(run.typed).toHaveLength(1);
    expect(trusting.server.logins().map(({ method }) => method)).toEqual([
      'publickey',
      'publickey',
    ]);
    expect(trusting.server.log()).toMatch(
      /Accepted publickey .*-CERT .*[^]*Accepted publickey for \S+ .* ED25519 SHA256:\S+\s*$/m,
    );
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });
});

describeSshd('what ssh_config asks for that only OpenSSH can do', () => {
  const stage = useSshd();

  test('leads there by itself, and is named where ssh2 is insisted on', async () => {
    const visit = stage.visit();
    visit.authorize();
    const { laptop, account } = visit;
    laptop.makeKey('ca');
    const signing = ['-q', '-s', laptop.path('ca'), '-I', 'test', '-n', account.name];
    execFileSync('ssh-keygen', [...signing, laptop.path('.ssh/id_ed25519.pub')]);
    const certificate = laptop.path('.ssh/id_ed25519-cert.pub');
    const known = laptop.path('.ssh/known_hosts');
    const config = `Host *\n  CertificateFile ${certificate}\n  UserKnownHostsFile ${known}\n`;
    laptop.write('.ssh/config', config);
    const args = ['-v', '-n', '--only', 'ssh-dir,authorized-keys'];
    const run = await visit.prep(args);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toContain('logging in through OpenSSH, for CertificateFile');
    expect(run.stderr).toContain('logged in with publickey through OpenSSH');
    const forced = await visit.prep(['--transport', 'ssh2', ...args]);
    expect(forced.status, forced.stderr).toBe(0);
    expect(forced.stderr).toMatch(/CertificateFile is not used by ssh2/);
    expect(forced.stderr).not.toContain('through OpenSSH');
  });
});

/** Whether known_hosts has the server, hashed or not. */
async function isKnown({ laptop, server }: Visit): Promise<boolean> {
  const name = ['-F', `[127.0.0.1]:${server.port}`, '-f', laptop.path('.ssh/known_hosts')];
  const { stdout } = await ran('ssh-keygen', name, laptop.env());
  return stdout.includes(server.hostKey('ed25519'));
}

/** How many processes started from now on have a secret in their environment; the count ends the watch. */
function watchEnvironments(secret: string): () => number {
  let found = 0;
  const timer = setInterval(() => {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        if (readFileSync(`/proc/${pid}/environ`).includes(secret)) found++;
      } catch {
        continue;
      }
    }
  }, 20);
  return () => {
    clearInterval(timer);
    return found;
  };
}

/** Checks that no ssh of this laptop is alive and no folder of prep's is left, once the watch has seen to it. */
async function nothingLeft({ laptop }: Visit): Promise<void> {
  const temporary = laptop.env()['TMPDIR']!;
  const left = (): string[] => [
    ...readdirSync(temporary).filter((name) => name.startsWith('prep-')),
    ...commandLines().filter((line) => line.includes(join(temporary, 'prep-'))),
  ];
  for (let waited = 0; left().length > 0 && waited < 3000; waited += 50) await sleep(50);
  expect(left()).toEqual([]);
}

function commandLines(): string[] {
  return execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n');
}
