import { chmodSync, lstatSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { Laptop, runPrep, type PrepOptions } from '../support/laptop.ts';
import { ran, useSshd } from '../support/stage.ts';

/** What ssh makes of the laptop's configuration for a host. */
async function settingsOf(laptop: Laptop, host: string): Promise<Record<string, string>> {
  const args = ['-G', '-F', laptop.path('.ssh/config'), host];
  const { stdout } = await ran('ssh', args, laptop.env());
  return Object.fromEntries(stdout.split('\n').map((line) => line.split(/ (.*)/, 2)));
}

const mode = (file: string): number => lstatSync(file).mode & 0o7777;

describe('prep mastering', () => {
  let laptop: Laptop;
  beforeEach(() => {
    laptop = new Laptop();
  });
  afterEach(() => laptop.remove());
  const mastering = (args: readonly string[], options: Partial<PrepOptions> = {}) =>
    runPrep(['mastering', ...args], { laptop, ...options });
  const control = () => laptop.path('.ssh/control');

  test('makes ~/.ssh/config, private, with a private directory for the sockets; --remove leaves no file', async () => {
    chmodSync(laptop.path('.ssh'), 0o755);
    const run = await mastering(['--yes']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('+  ControlMaster auto');
    expect([mode(laptop.path('.ssh/config')), mode(control())]).toEqual([0o600, 0o700]);
    expect(await settingsOf(laptop, 'web1')).toMatchObject({
      controlmaster: 'auto',
      controlpath: expect.stringMatching(new RegExp(`^${control()}/[0-9a-f]{40}$`)),
      controlpersist: '600',
    });
    expect(await mastering(['--remove', '--yes'])).toMatchObject({ status: 0, stderr: '' });
    expect(laptop.read('.ssh/config')).toBeUndefined();
  });

  test('a missing ~/.ssh is made private', async () => {
    await ran('rm', ['-r', laptop.path('.ssh')], laptop.env());
    expect(await mastering(['-y'])).toMatchObject({ status: 0 });
    expect(mode(laptop.path('.ssh'))).toBe(0o700);
  });

  test.each([
    ['a file without a final newline', 'Host web1\n  User me'],
    ['CRLF lines', 'Host web1\r\n  User me\r\n'],
    ['a last block that is Match', 'Host web1\n  User me\nMatch user root\n  Port 2222\n'],
    ['an empty file', ''],
    ['bytes that are no text', Buffer.from('# \xff\xfe\0\nHost web1\n  User me\n', 'latin1')],
  ])('%s: what holds goes on to hold, and --remove restores every byte', async (_, content) => {
    laptop.write('.ssh/config', content, 0o640);
    const [before, old] = [laptop.read('.ssh/config'), await settingsOf(laptop, 'web1')];
    expect(await mastering(['-y'])).toMatchObject({ status: 0, stderr: '' });
    const { controlmaster, controlpath, controlpersist, ...now } = await settingsOf(laptop, 'web1');
    expect([controlmaster, controlpersist]).toEqual(['auto', '600']);
    expect(controlpath).toContain(control());
    expect(old).toMatchObject(now);
    expect(laptop.read('.ssh/config')!.startsWith(before!)).toBe(true);
    expect(await settingsOf(laptop, 'other')).toMatchObject({ controlmaster: 'auto' });
    await mastering(['--remove', '-y']);
    expect(laptop.read('.ssh/config')).toBe(before);
    expect(mode(laptop.path('.ssh/config'))).toBe(0o640);
  });

  test('a second time there is nothing to do, but a directory that went missing comes back', async () => {
    await mastering(['-y']);
    const before = laptop.tree();
    const again = await mastering([]);
    expect(again).toMatchObject({ status: 0, stderr: '' });
    expect(again.stdout).toContain('shared already');
    expect(laptop.tree()).toEqual(before);
    await ran('rm', ['-r', control()], laptop.env());
    expect(await mastering([])).toMatchObject({ status: 0 });
    expect(mode(control())).toBe(0o700);
    await mastering(['--remove', '-y']);
    const nothing = await mastering(['--remove']);
    expect(nothing).toMatchObject({ status: 0, stderr: '' });
    expect(nothing.stdout).toContain('shares no connections');
  });

  test('-n shows the difference and touches nothing', async () => {
    laptop.write('.ssh/config', 'Host web1\n');
    const before = laptop.tree();
    const run = await mastering(['-n']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('+# prep mastering: begin');
    expect(run.stdout).toContain('none made');
    expect(laptop.tree()).toEqual(before);
  });

  test('asks, and a no leaves everything as it is', async () => {
    laptop.write('.ssh/config', 'Host web1\n');
    const before = laptop.tree();
    const question = /Write this to .*config\? \(Y\/n\) *$/;
    const no = await mastering([], { pty: true, answers: [{ prompt: question, type: 'n\r' }] });
    expect(no).toMatchObject({ status: 1, typed: { length: 1 } });
    expect(no.screen.replaceAll(/\s+/g, ' ')).toContain(
      'left as it is: you said no; run prep mastering again to be asked once more',
    );
    expect(laptop.tree()).toEqual(before);
    const yes = await mastering([], { pty: true, answers: [{ prompt: question, type: '\r' }] });
    expect(yes).toMatchObject({ status: 0, typed: { length: 1 } });
    expect(laptop.read('.ssh/config')).toContain('ControlPersist');
  });

  test('without a terminal and without --yes: says what it would need', async () => {
    const run = await mastering([]);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^prep: there is no terminal to ask: [^\n]+; run it with --yes\n$/);
    expect(laptop.read('.ssh/config')).toBeUndefined();
  });

  test('a file that is edited while the question stands is left alone', async () => {
    laptop.write('.ssh/config', 'Host web1\n');
    const run = await mastering([], {
      pty: true,
      answers: [
        {
          prompt: /Write this/,
          before: () => laptop.write('.ssh/config', 'Host web2\n'),
          type: '\r',
        },
      ],
    });
    expect(run.status).toBe(1);
    expect(run.screen.replaceAll('\n', '')).toContain('changed after it was shown');
    expect(laptop.read('.ssh/config')).toBe('Host web2\n');
    expect(Object.keys(laptop.tree()).filter((name) => /config/.test(name))).toHaveLength(1);
  });

  test('a symbolic link stays one; the file it points to is written', async () => {
    laptop.write('dotfiles/ssh_config', 'Host web1\n');
    symlinkSync('../dotfiles/ssh_config', laptop.path('.ssh/config'));
    expect(await mastering(['-y'])).toMatchObject({ status: 0 });
    expect(lstatSync(laptop.path('.ssh/config')).isSymbolicLink()).toBe(true);
    expect(laptop.read('dotfiles/ssh_config')).toContain('ControlMaster auto');
  });

  test('own settings keep winning, and are named', async () => {
    laptop.write('.ssh/config', 'Include extra\nHost web1\n  ControlPath none\n');
    laptop.write('.ssh/extra', 'Host web2\n  ControlMaster no\nHost *\n  ControlPersist 5\n');
    // Include is relative to the real home directory.
    laptop.write(
      '.ssh/config',
      laptop.read('.ssh/config')!.replace('extra', laptop.path('.ssh/extra')),
    );
    const run = await mastering(['-y']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('web1 keeps its own ControlPath none');
    expect(run.stdout).toContain('every host keeps your own ControlPersist 5');
    expect(await settingsOf(laptop, 'web1')).not.toHaveProperty('controlpath');
    expect(await settingsOf(laptop, 'web2')).toMatchObject({ controlmaster: 'false' });
  });

  test("the 2007 block, or another of one's own, is enough", async () => {
    const own = 'Host *\nControlMaster auto\nControlPath /tmp/%r@%h:%p.sock\n';
    laptop.write('.ssh/config', own);
    const run = await mastering(['-y']);
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain('your own ControlPath shares connections already');
    expect(laptop.read('.ssh/config')).toBe(own);
  });

  test('a directory that is not what it should be is not used', async () => {
    symlinkSync('/tmp', control());
    const run = await mastering(['-y']);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/control is not a directory of your own \(it is a symbolic link\)/);
    expect(laptop.read('.ssh/config')).toBeUndefined();
  });

  test('a directory that others may enter is closed to them', async () => {
    mkdirSync(control(), { mode: 0o755 });
    expect(await mastering(['-y'])).toMatchObject({ status: 0 });
    expect(mode(control())).toBe(0o700);
  });

  test('where the path is too long for a socket, another is taken and named, or none', async () => {
    const home = laptop.path('a-home-directory-with-a-name-that-is-rather-long');
    mkdirSync(home);
    const runtime = laptop.path('r');
    mkdirSync(runtime, { mode: 0o700 });
    const without = await mastering(['-y'], { env: { HOME: home } });
    expect(without.status).toBe(1);
    expect(without.stderr).toContain('short enough for a socket');
    const run = await mastering(['-y'], { env: { HOME: home, XDG_RUNTIME_DIR: runtime } });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toContain(`sockets go to ${runtime}`);
    expect(run.stdout).toContain(`ControlPath ${runtime}/ssh-%C`);
  });

  test('a configuration that ssh rejects is not added to', async () => {
    laptop.write('.ssh/config', 'Hots web1\n');
    const run = await mastering(['-y']);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/^prep: ssh rejects its configuration: [^\n]*\n$/);
    expect(laptop.read('.ssh/config')).toBe('Hots web1\n');
  });

  test('--json: what will be, what became of it, and the summary', async () => {
    const run = await mastering(['--json', '-y']);
    const file = laptop.path('.ssh/config');
    expect(run.events.map(({ type }) => type)).toEqual(['edit', 'edited', 'summary']);
    expect(run.events[0]).toMatchObject({ file, action: 'create', next: 'ask' });
    expect(run.events.at(-1)).toMatchObject({ accounts: [], edits: [{ file, status: 'changed' }] });
    const failed = await mastering(['--json', '-F', laptop.home]);
    expect(failed.status).toBe(1);
    expect(failed.events.map(({ type }) => type)).toEqual(['problem', 'summary']);
  });

  test.each([[['-F', 'none']], [['web1']]])('%j is a usage error', async (args) => {
    expect(await mastering(args)).toMatchObject({ status: 2, stdout: '' });
  });
});

describeSshd('shared connections', () => {
  const stage = useSshd();

  test('two ssh calls make one connection, through a private socket; --remove restores the file', async () => {
    const visit = stage.visit();
    visit.authorize();
    const { laptop, account, server } = visit;
    const own = [
      'Host box',
      `  HostName ${server.host}`,
      `  Port ${server.port}`,
      `  User ${account.name}`,
      `  IdentityFile ${laptop.path('.ssh/id_ed25519')}`,
      `  UserKnownHostsFile ${laptop.path('.ssh/known_hosts')}`,
    ].join('\n');
    writeFileSync(laptop.path('config'), own);
    const config = ['-F', laptop.path('config')];
    const options = { laptop, accounts: [account] };
    expect(await runPrep(['mastering', '--yes', ...config], options)).toMatchObject({ status: 0 });
    stage.later(() => void ran('ssh', [...config, '-O', 'exit', 'box'], laptop.env()));
    for (let call = 0; call < 2; call++) {
      const { status, stderr } = await ran('ssh', [...config, 'box', 'true'], laptop.env());
      expect(status, stderr).toBe(0);
    }
    expect(server.logins()).toHaveLength(1);
    const check = await ran('ssh', [...config, '-O', 'check', 'box'], laptop.env());
    expect(check).toMatchObject({ status: 0, stderr: expect.stringContaining('Master running') });
    expect(statSync(laptop.path('.ssh/control')).mode & 0o777).toBe(0o700);
    // prep itself goes over it, too.
    const prep = await runPrep(['-n', ...config, 'box'], options);
    expect(prep.status, prep.stderr).toBe(0);
    expect(server.logins()).toHaveLength(1);
    expect((await ran('ssh', [...config, '-O', 'exit', 'box'], laptop.env())).status).toBe(0);
    expect(await runPrep(['mastering', '--remove', '-y', ...config], options)).toMatchObject({
      status: 0,
    });
    expect(laptop.read('config')).toBe(own);
  });
});
