import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startAgent } from '../support/agent.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { freePort } from '../support/sshd.ts';
import { ran, useSshd, type Stage, type Visit } from '../support/stage.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys'];
const NO_PASSWORD = ['PasswordAuthentication no', 'KbdInteractiveAuthentication no'];

/** A user whose ssh_config has these lines for every host. */
function configured(stage: Stage, ...lines: readonly string[]): Visit {
  const visit = stage.visit();
  configure(visit, ...lines);
  return visit;
}

function configure({ laptop }: Visit, ...lines: readonly string[]): void {
  laptop.write('.ssh/config', ['Host *', ...lines].map((line) => `${line}\n`).join(''));
}

const named = (visit: Visit) => ({ method: 'publickey', user: visit.account.name });
const byPassword = (visit: Visit) => ({ method: 'password', user: visit.account.name });

describeSshd('IdentityFile', () => {
  const stage = useSshd({ config: NO_PASSWORD });
  const open = useSshd();

  /** An account that knows one key, which ssh_config names and which is not the one to install. */
  function known(place: Stage, passphrase = '', type: 'ed25519' | 'rsa' = 'ed25519'): Visit {
    const visit = configured(place, 'IdentityFile ~/keys/%n-work');
    visit.laptop.write('keys/note', '');
    visit.authorize(visit.laptop.makeKey('keys/127.0.0.1-work', type, passphrase));
    return visit;
  }
  const KEY = 'keys/127.0.0.1-work';
  const asksPassphrase = (type: string) => ({
    prompt: /Enter passphrase for key '[^']*keys\/127\.0\.0\.1-work': *$/,
    type: `${type}\r`,
  });

  test('is the way in where no password is', async () => {
    const visit = known(stage);
    const run = await visit.prep(['-v', ...QUICK]);
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toContain(visit.keyLine);
    // The second one proves the key that was installed, which the first did not.
    expect(stage.server.logins()).toEqual([named(visit), named(visit)]);
    expect(run.stdout + run.stderr).toContain('trial login: trying key');
  });

  test.each([
    ['of OpenSSH', (): undefined => undefined],
    ['in PEM', (visit: Visit) => toPem(visit.laptop.path(KEY))],
  ])('needs no .pub file beside it, %s', async (_format, change) => {
    const visit = known(stage, '', 'rsa');
    change(visit);
    rmSync(visit.laptop.path(`${KEY}.pub`));
    const run = await visit.prep(QUICK);
    expect(run.status, run.stderr).toBe(0);
    expect(stage.server.logins()[0]).toEqual(named(visit));
  });

  test.each(['with', 'without'])('encrypted asks by file name, %s .pub', async (half) => {
    const visit = known(stage, 'open sesame');
    if (half === 'without') rmSync(visit.laptop.path(`${KEY}.pub`));
    const run = await visit.typing([...QUICK, '--no-verify'], asksPassphrase('open sesame'));
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(1);
    expect(stage.server.logins()).toEqual([named(visit)]);
  });

  test('encrypted asks nothing where the server would not take it', async () => {
    const visit = known(open, 'open sesame');
    rmSync(join(visit.account.home, '.ssh'), { recursive: true });
    const run = await visit.typing([...QUICK, '--no-verify'], visit.typesPassword());
    expect(run.status, run.screen).toBe(0);
    expect(run.typed).toHaveLength(1);
    expect(open.server.logins()).toEqual([byPassword(visit)]);
  });

  test('that is not there is named under -v, and the password is next', async () => {
    const visit = configured(open, 'IdentityFile ~/none');
    const run = await visit.prep(['-v', ...QUICK], { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout + run.stderr).toMatch(/the key \S+\/none of ssh_config cannot be tried: /);
  });

  test('lets undo in', async () => {
    const visit = known(stage);
    expect(await visit.prep(QUICK)).toMatchObject({ status: 0 });
    const undone = await visit.prep(['undo', '-y']);
    expect(undone.status, undone.stderr).toBe(0);
    expect(visit.authorizedKeys).not.toContain(visit.keyLine);
  });
});

describeSshd('the agent', () => {
  const stage = useSshd({ config: ['MaxAuthTries 2'] });
  const many = Array.from({ length: 10 }, (_, number) => `agent-${number}`);

  /** A laptop with keys that an agent has taken in. */
  async function withAgent(visit: Visit, names: readonly string[]): Promise<string> {
    for (const name of names) visit.laptop.makeKey(name);
    const socket = await startAgent(stage, visit.laptop, names);
    for (const name of names) rmSync(visit.laptop.path(name));
    return socket;
  }

  test('of ten keys is asked for the one named only, with IdentitiesOnly and two tries', async () => {
    const visit = configured(stage, 'IdentityFile ~/agent-7.pub', 'IdentitiesOnly yes');
    const socket = await withAgent(visit, many);
    visit.authorize(visit.laptop.read('agent-7.pub'));
    const run = await visit.prep([...QUICK, '--no-verify'], { env: { SSH_AUTH_SOCK: socket } });
    expect(run.status, run.stderr).toBe(0);
    expect(stage.server.logins()).toEqual([named(visit)]);
    expect(stage.server.refusals('publickey')).toBe(0);
    expect(stage.server.connections()).toBe(1);
    expect(visit.authorizedKeys).toContain(visit.keyLine);
  });

  test('without IdentitiesOnly offers the key to install first', async () => {
    const visit = configured(stage, 'IdentityFile ~/agent-7.pub');
    const socket = await withAgent(visit, many);
    visit.authorize(visit.laptop.read('agent-7.pub'));
    const run = await visit.prep([...QUICK, '--no-verify'], { env: { SSH_AUTH_SOCK: socket } });
    expect(run.status, run.stderr).toBe(0);
    expect(stage.server.logins()).toEqual([named(visit)]);
    expect(stage.server.refusals('publickey')).toBe(1);
  });

  test('that IdentityAgent names is the one that counts', async () => {
    const visit = stage.visit();
    const socket = await withAgent(visit, ['held']);
    configure(visit, `IdentityAgent ${socket}`, 'IdentityFile ~/held.pub');
    visit.authorize(visit.laptop.read('held.pub'));
    const run = await visit.prep(QUICK, { env: { SSH_AUTH_SOCK: '/nowhere' } });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toContain(visit.keyLine);
  });

  test('that IdentityAgent names holds the key to install and proves it', async () => {
    const visit = stage.visit({ laptop: { keys: [], knownHosts: stage.server.knownHosts() } });
    const socket = await withAgent(visit, ['held']);
    configure(visit, 'IdentityAgent $MY_AGENT');
    const run = await visit.prep(QUICK, { password: true, env: { MY_AGENT: socket } });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toBe(visit.laptop.read('held.pub'));
    expect(stage.server.logins()).toEqual([byPassword(visit), named(visit)]);
  });

  test('is left alone with IdentityAgent none', async () => {
    const visit = stage.visit({ laptop: { keys: [], knownHosts: stage.server.knownHosts() } });
    const socket = await withAgent(visit, ['held']);
    configure(visit, 'IdentityAgent none');
    const run = await visit.prep(QUICK, { password: true, env: { SSH_AUTH_SOCK: socket } });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toContain('there is no SSH key on this machine to install');
  });
});

describeSshd('where and how to dial', () => {
  const stage = useSshd({ config: ['ListenAddress ::1'] });

  test.each([
    ['BindAddress 127.0.0.2', '127.0.0.2'],
    ['BindInterface lo', '127.0.0.1'],
  ])('%s', async (line, from) => {
    const visit = configured(stage, line);
    const run = await visit.prep(QUICK, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(clients(stage, visit)).toEqual([from, from]);
  });

  test.each([
    ['BindAddress 192.0.2.1', /cannot connect to 127\.0\.0\.1 .*BindAddress/],
    ['BindAddress ::1', /cannot connect to 127\.0\.0\.1 .*IPv4 address for BindAddress ::1/],
    ['BindInterface none9', /cannot connect to 127\.0\.0\.1 .*BindInterface none9/],
    ['AddressFamily inet6', /there is no IPv6 address of 127\.0\.0\.1.*AddressFamily/],
    ['KexAlgorithms sntrup761x25519-sha512@openssh.com', /ssh_config's KexAlgorithms leaves/],
  ])('%s, which ssh2 cannot do: one sentence', async (line, words) => {
    const visit = configured(stage, line);
    const run = await visit.prep(['--transport', 'ssh2', ...QUICK], { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/^prep: [^\n]+\n$/);
    expect(run.stderr).toMatch(words);
    expect(stage.server.connections()).toBe(0);
  });

  test('AddressFamily inet6 reaches ::1', async () => {
    const visit = configured(stage, 'HostName ::1', 'AddressFamily inet6');
    visit.laptop.write(
      '.ssh/known_hosts',
      stage.server.knownHosts().replaceAll('127.0.0.1', '::1'),
    );
    const run = await visit.prep(QUICK, { password: true });
    expect(run.status, run.stderr).toBe(0);
    expect(clients(stage, visit)).toEqual(['::1', '::1']);
  });

  test('algorithms that leave something in common are used', async () => {
    const visit = configured(
      stage,
      'Ciphers chacha20-poly1305@openssh.com,aes256-ctr',
      'MACs umac-64@openssh.com,hmac-sha2-512',
      'KexAlgorithms ecdh-sha2-nistp384',
    );
    const run = await visit.prep(QUICK, { password: true });
    expect(run.status, run.stderr).toBe(0);
  });

  test('ConnectionAttempts 2 tries again, once', async () => {
    const visit = configured(stage, 'ConnectionAttempts 2', `Port ${await freePort()}`);
    const place = `${visit.account.name}@127.0.0.1`;
    const run = await ranPrep(visit, ['-v', place], { PREP_PASSWORD: 'x' });
    expect(run.status).toBe(1);
    expect((run.stdout + run.stderr).match(/trying again/g)).toHaveLength(1);
    expect(run.stderr).toMatch(/connection refused/);
  });

  test('RevokedHostKeys keeps out', async () => {
    const visit = configured(stage, 'RevokedHostKeys ~/revoked');
    visit.laptop.write('revoked', `# gone\n${stage.server.hostKey('ed25519')}\n`);
    const run = await visit.prep(QUICK, { password: true });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: \S+: its host key ED25519 \S+ is revoked by \S+ line 2;/);
    expect(stage.server.logins()).toEqual([]);
  });
});

describeSshd('what ssh_config says of passwords', () => {
  const stage = useSshd();

  test('PasswordAuthentication no: none is sent', async () => {
    const visit = configured(stage, 'PasswordAuthentication no');
    const run = await visit.prep(QUICK, { password: true });
    expect(run).toMatchObject({ status: 1, stdout: '' });
    expect(run.stderr).toMatch(/ssh_config rules out logging in there by password, and the server/);
    expect(stage.server.refusals() + stage.server.logins().length).toBe(0);
  });

  test('PasswordAuthentication no: none is asked for', async () => {
    const visit = configured(stage, ...NO_PASSWORD);
    rmSync(visit.laptop.path('.ssh/id_ed25519'));
    const run = await visit.typing(QUICK);
    expect(run.status).toBe(1);
    expect(run.typed).toEqual([]);
    expect(run.screen.replace(/\s+/g, ' ')).toMatch(
      /ssh_config rules out logging in there by pass/,
    );
  });

  test('NumberOfPasswordPrompts 1', async () => {
    const visit = configured(stage, 'NumberOfPasswordPrompts 1');
    const run = await visit.typing(QUICK, visit.typesPassword('wrong'));
    expect(run.status).toBe(1);
    expect(run.typed).toHaveLength(1);
    expect(stage.server.refusals()).toBe(1);
  });

  test.each(['PreferredAuthentications password', 'PubkeyAuthentication no'])(
    '%s: no key is tried to get in',
    async (line) => {
      const visit = configured(stage, line);
      visit.authorize();
      const run = await visit.prep([...QUICK, '--no-verify'], { password: true });
      expect(run.status, run.stderr).toBe(0);
      expect(stage.server.logins()).toEqual([byPassword(visit)]);
    },
  );
});

describeSshd('what prep does not use', () => {
  const stage = useSshd();

  test('is named under -v, once', async () => {
    const visit = configured(stage, 'CheckHostIP yes', 'HostbasedAuthentication yes', 'SendEnv X');
    const run = await visit.prep(['-v', ...QUICK], { password: true });
    expect(run.status, run.stderr).toBe(0);
    const notes = (run.stdout + run.stderr).match(/ssh_config's .*/g);
    expect(notes).toEqual([
      "ssh_config's HostbasedAuthentication, CheckHostIP are not used by ssh2 (--transport openssh uses them)",
    ]);
  });

  test('is not mentioned where nobody asked for it', async () => {
    const visit = stage.visit();
    const run = await visit.prep(['-v', ...QUICK], { password: true });
    expect(run.stdout + run.stderr).not.toContain("ssh_config's");
  });
});

describeSshd('what a usual run spawns', () => {
  const stage = useSshd();

  test('is one ssh, which only prints its configuration', async () => {
    const visit = configured(stage, 'ServerAliveInterval 5', 'Ciphers aes128-ctr', 'Include more');
    const { PATH } = visit.laptop.env() as { PATH: string };
    visit.laptop.write('bin/ssh', SPY, 0o755);
    const env = { PATH: `${visit.laptop.path('bin')}:${PATH}`, REST: PATH };
    const run = await visit.prep(QUICK, { password: true, env });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.laptop.read('calls')).toMatch(/^-G [^\n]*\n$/);
  });

  test('is one ssh about the host on the way to several, whatever each of them is called', async () => {
    const visit = stage.visit();
    const { PATH } = visit.laptop.env() as { PATH: string };
    visit.laptop.write('.ssh/config', 'Host hop\n  HostName 127.0.0.1\n  Port 1\n');
    visit.laptop.write('bin/ssh', SPY, 0o755);
    const env = { PATH: `${visit.laptop.path('bin')}:${PATH}`, REST: PATH };
    const run = await visit.prep(['-J', 'hop', '-n', 'a@web1', 'b@web2'], { password: true, env });
    expect(run.status).toBe(1);
    const calls = visit.laptop.read('calls')!.trim().split('\n');
    expect(calls.filter((call) => call.endsWith(' hop'))).toHaveLength(1);
    expect(calls).toHaveLength(4);
  });
});

describeSshd('without OpenSSH on the laptop', () => {
  const stage = useSshd({ config: NO_PASSWORD });

  test('ssh_config is understood as far as it goes, and what is ignored is said once', async () => {
    const visit = stage.visit();
    visit.laptop.makeKey('key of box');
    visit.authorize(visit.laptop.read('key of box.pub'));
    const config = [
      'Include more',
      'Host box b?x',
      `  HostName ${stage.server.host}`,
      `  Port ${stage.server.port}`,
      `  User ${visit.account.name}`,
      '  IdentityFile "~/key of box"',
      `Match exec "touch ${visit.laptop.path('trace')}"`,
      '  Port 1',
    ];
    visit.laptop.write('.ssh/config', config.map((line) => `${line}\n`).join(''));
    const run = await ranPrep(visit, ['box', 'bax', ...QUICK], { PATH: '/nonexistent' });
    expect(run.status, run.stderr).toBe(0);
    expect(visit.authorizedKeys).toContain(visit.keyLine);
    expect(run.stdout + run.stderr).toMatch(/ignores in \S+config: Include, Match exec\n/);
    expect((run.stdout + run.stderr).match(/there is no ssh on this machine/g)).toHaveLength(1);
    expect(visit.laptop.read('trace')).toBeUndefined();
  });
});

/** Writes down how it was called, then is the next ssh in PATH. */
const SPY = `#!/bin/sh
echo "$*" >>"$HOME/calls"
PATH=$REST exec ssh "$@"
`;

/** The addresses that the server was reached from. */
function clients({ server }: Stage, { account }: Visit): string[] {
  const accepted = server.log().matchAll(/^Accepted \S+ for (\S+) from (\S+) port/gm);
  return [...accepted].filter(([, user]) => user === account.name).map(([, , from]) => from!);
}

function toPem(file: string): void {
  execFileSync('ssh-keygen', ['-q', '-p', '-m', 'PEM', '-P', '', '-N', '', '-f', file]);
}

/** Runs prep for a destination that is named otherwise than the visit's own. */
function ranPrep(
  { laptop }: Visit,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): ReturnType<typeof ran> {
  const command = [join(process.cwd(), 'dist/main.cjs'), ...args];
  return ran(process.execPath, command, laptop.env(env));
}
