import { symlinkSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { PrepError } from '../../src/core/problem.ts';
import { describeSshd } from '../support/describe-sshd.ts';
import { runPrep } from '../support/laptop.ts';
import { ran, useSshd, type Visit } from '../support/stage.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys', '--save-as', 'web1'];

describeSshd('--save-as', () => {
  const stage = useSshd();
  let visit: Visit;
  beforeEach(() => {
    visit = stage.visit();
  });
  const config = (text: string) => visit.laptop.write('.ssh/config', text, 0o600);
  const saved = () => visit.laptop.read('.ssh/config');
  const known = () => `UserKnownHostsFile ${visit.laptop.path('.ssh/known_hosts')}`;
  const prep = (args: readonly string[] = [], password = true) =>
    visit.prep([...QUICK, ...args], { password });
  /** Plain ssh with nothing but the file. */
  const ssh = (name = 'web1', file = '.ssh/config') =>
    ran(
      'ssh',
      ['-F', visit.laptop.path(file), '-o', 'BatchMode=yes', name, 'id -un'],
      visit.laptop.env(),
    );

  test('after a fresh run `ssh web1` works with the key; everything else stays as it was', async () => {
    const own = `# mine\nSendEnv LANG\n\n# all of them\nHost *\n  User nobody\n  Port 1\n  ${known()}\n`;
    config(own);
    const run = await prep();
    expect(run, run.stderr).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('+Host web1');
    expect(run.stdout).toContain('log in with: ssh web1');
    const { server, account, laptop } = visit;
    const block = [
      'Host web1',
      `  HostName ${server.host}`,
      `  User ${account.name}`,
      `  Port ${server.port}`,
      `  IdentityFile ${laptop.path('.ssh/id_ed25519')}`,
    ];
    expect(saved()).toBe(own.replace('# all', `${block.join('\n')}\n\n# all`));
    expect(await ssh()).toMatchObject({ status: 0, stdout: `${account.name}\n`, stderr: '' });
  });

  test('a second time there is nothing to do', async () => {
    expect(await prep()).toMatchObject({ status: 0 });
    const before = saved();
    const run = await prep();
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('ssh web1 goes there already');
    expect(saved()).toBe(before);
  });

  test('a name with another meaning is refused before anything is done, here or there', async () => {
    config('Host db web1\n  User me\n');
    const before = visit.account.tree();
    const run = await prep();
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^prep: \S+: "web1" means something else already in \S+config line 1, [^\n]+\n$/,
    );
    expect(saved()).toBe('Host db web1\n  User me\n');
    expect(visit.account.tree()).toEqual(before);
    expect(stage.server.connections()).toBe(0);
  });

  test('a name that an included file gives counts as well', async () => {
    visit.laptop.write('.ssh/conf.d/10-work', 'Host web1\n  User me\n');
    config(`Include ${visit.laptop.path('.ssh/conf.d')}/*\n`);
    const run = await prep();
    expect(run.status).toBe(1);
    expect(run.stderr).toContain('conf.d/10-work line 1');
  });

  test('-n shows the block and writes nothing', async () => {
    const run = await prep(['-n']);
    expect(run).toMatchObject({ status: 0 });
    expect(run.stdout).toContain('+Host web1');
    expect(saved()).toBeUndefined();
  });

  test('a run that fails remembers nothing', async () => {
    const run = await visit.prep(QUICK, { env: { PREP_PASSWORD: 'wrong' } });
    expect(run.status).toBe(1);
    expect(saved()).toBeUndefined();
  });

  test('a login shell that cannot be changed is no reason not to remember the account', async () => {
    visit.authorize();
    config(`Host *\n  ${known()}\n`);
    const steps = ['--only', 'authorized-keys,login-shell'];
    const run = await visit.prep([...steps, '--save-as', 'web1']);
    expect(run).toMatchObject({ status: 1 });
    expect(run.stderr).toContain('login-shell is blocked');
    expect(saved()).toContain('Host web1');
    expect(await ssh()).toMatchObject({ status: 0, stderr: '' });
  });

  test('--known-hosts, and an alias that the host key has, go with it', async () => {
    const { server, account, laptop } = visit;
    laptop.write('known hosts', `nickname ${server.hostKey('ed25519')}\n`);
    const keys = laptop.path('known hosts');
    const place = `HostName ${server.host}\n  Port ${server.port}\n  HostKeyAlias nickname`;
    config(`Host elsewhere\n  ${place}\n`);
    const run = await runPrep([...QUICK, '--known-hosts', keys, `${account.name}@elsewhere`], {
      laptop,
      accounts: [account],
      env: { PREP_PASSWORD: account.password },
    });
    expect(run.status, run.stderr).toBe(0);
    expect(saved()).toContain(
      `  HostKeyAlias nickname\n  UserKnownHostsFile "${keys}"\n\nHost else`,
    );
    expect(await ssh()).toMatchObject({ status: 0, stderr: '' });
  });

  test('-J becomes ProxyJump', async () => {
    const gate = stage.visit();
    gate.authorize(visit.laptop.read('.ssh/id_ed25519.pub'));
    config(`Host *\n  ${known()}\n  IdentityFile ${visit.laptop.path('.ssh/id_ed25519')}\n`);
    const run = await prep(['-J', gate.destination]);
    expect(run.status, run.stderr).toBe(0);
    expect(saved()).toContain(`  ProxyJump ${gate.destination}\n`);
    expect(await ssh()).toMatchObject({ status: 0, stdout: `${visit.account.name}\n` });
  });

  test('what would win over the block is overruled where that is possible, and named where not', async () => {
    config('User somebody\nHost web*\n  ProxyJump gate\n  Port 1\n');
    const run = await prep();
    expect(run.status, run.stderr).toBe(0);
    expect(run.stdout).toContain('line 1 (User somebody) holds for every host and wins');
    expect(saved()).toContain('  ProxyJump none\n');
    expect(saved()).toMatch(/^User somebody\n\nHost web1\n/);
  });

  test('together with prep mastering, and --remove leaves the host there', async () => {
    const mastering = (...args: string[]) =>
      runPrep(['mastering', '-y', ...args], { laptop: visit.laptop });
    await mastering();
    expect(await prep()).toMatchObject({ status: 0 });
    expect(saved()).toMatch(/^Host web1\n[^]*\n\n# prep mastering: begin/);
    await mastering('--remove');
    expect(saved()).toMatch(/^Host web1\n( {2}.*\n)+$/);
  });

  test('--json tells of the edit under its account', async () => {
    const run = await prep(['--json']);
    const about = { destination: visit.destination, file: visit.laptop.path('.ssh/config') };
    expect(run.events).toContainEqual(
      expect.objectContaining({ type: 'edit', ...about, action: 'create', next: 'apply' }),
    );
    expect(run.events).toContainEqual(
      expect.objectContaining({ type: 'edited', ...about, status: 'changed' }),
    );
    expect(run.events.at(-1)).toMatchObject({ type: 'summary', accounts: [{ status: 'changed' }] });
  });

  test('a file that cannot be written is said, and the account is ready nevertheless', async () => {
    const { server, laptop } = visit;
    // By the time the account is prepared, the link leads nowhere. The command ends with its connection.
    const script = `require('fs').rmSync(${JSON.stringify(laptop.path('dots'))}, { recursive: true, force: true });
      const socket = require('net').connect(${server.port}, '${server.host}');
      process.stdin.pipe(socket).pipe(process.stdout);
      process.stdout.on('error', () => process.exit());
      socket.on('close', () => process.exit());`;
    laptop.write('through.cjs', script);
    const command = `${process.execPath} ${laptop.path('through.cjs')}`;
    laptop.write('dots/config', `Host ${server.host}\n  ProxyCommand ${command}\n`);
    symlinkSync('../dots/config', laptop.path('.ssh/config'));
    const run = await prep();
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^prep: \S+: cannot write the ssh_config file \S+ \(no such file[^\n]+\n$/,
    );
    expect(visit.authorizedKeys).toBe(visit.keyLine);
  });
});

describe('--save-as on the command line', () => {
  const refused = (...argv: string[]): string => {
    try {
      parseArguments(argv, []);
    } catch (error) {
      const { problem } = error as PrepError;
      return problem.code === 'usage' ? problem.text : problem.code;
    }
    return '';
  };

  test.each([
    'a b',
    '*',
    'web?',
    '!web1',
    '#1',
    'a,b',
    'a@b',
    "it's",
    'a/b',
    '[::1]',
    'a\nb',
    '.x',
  ])('the name %j is refused', (name) => {
    expect(refused('--save-as', name, 'web1')).toContain('plain name');
    expect(refused(`--save-as=-${name}`, 'web1')).toContain('plain name');
  });

  test('one name is for one destination, which is to be prepared', () => {
    expect(refused('--save-as', 'web1', 'a', 'b')).toContain('one destination');
    expect(refused('--save-as', 'web1', 'a', '--hosts', 'file')).toContain('one destination');
    expect(refused('undo', '--save-as', 'web1', 'a')).toContain('preparing');
    expect(refused('--save-as', 'web_1.büro', 'a')).toBe('');
  });
});
