import { execFileSync } from 'node:child_process';
import { beforeEach, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { ran, useSshd, type Visit } from '../support/stage.ts';

const QUICK = ['--only', 'ssh-dir,authorized-keys'];
const ANOTHER = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';

describeSshd('the host key', () => {
  const stage = useSshd();
  let visit: Visit;
  let place: string;
  beforeEach(() => {
    visit = stage.visit({ laptop: { knownHosts: '' } });
    place = `[127.0.0.1]:${stage.server.port}`;
  });
  const config = (text: string): string[] => {
    visit.laptop.write('config', text);
    return ['-F', visit.laptop.path('config')];
  };
  const known = (text: string) => visit.laptop.write('.ssh/known_hosts', text);
  const prep = (...flags: string[]) => visit.prep([...QUICK, ...flags], { password: true });

  test('that is unknown is shown as ssh-keygen -l does; refused, nothing is sent or remembered', async () => {
    const before = visit.laptop.tree();
    const run = await visit.typing(QUICK, { prompt: /Trust this host/, type: '\r' });
    expect(run).toMatchObject({ status: 1, typed: { length: 1 } });
    const [, fingerprint] = execFileSync('ssh-keygen', [
      '-lf',
      `${stage.server.folder}/ed25519.pub`,
    ])
      .toString()
      .split(' ');
    expect(run.screen).toContain(`${place} is not known here`);
    expect(run.screen).toContain(`ED25519 ${fingerprint}`);
    expect(run.screen).toMatch(/was not accepted; ask/);
    expect(visit.laptop.tree()).toEqual(before);
    expect(stage.server.logins()).toEqual([]);
  });

  test('that is unknown is not trusted where nobody can be asked, nor under --yes', async () => {
    for (const flags of [[], ['--yes']]) {
      const run = await prep(...flags);
      expect(run.status).toBe(1);
      expect(run.stderr).toMatch(/^prep: [^\n]+ host key [^\n]+--host-key accept-new\n$/);
    }
    expect(visit.laptop.read('.ssh/known_hosts')).toBe('');
    expect(visit.account.tree()['.ssh']).toBeUndefined();
  });

  test('that is unknown is remembered under --host-key accept-new, as ssh finds it', async () => {
    known('other.example ssh-ed25519 AAAA');
    const file = visit.laptop.path('.ssh/known_hosts');
    const plain = config(`HashKnownHosts no\nUserKnownHostsFile ${file}\n`);
    const run = await prep('--host-key', 'accept-new', ...plain);
    expect(run.status, run.stderr).toBe(0);
    expect(visit.laptop.read('.ssh/known_hosts')).toBe(
      `other.example ssh-ed25519 AAAA\n${place} ${stage.server.hostKey('ed25519')}\n`,
    );
    const found = await ran('ssh-keygen', ['-F', place, '-f', file], visit.laptop.env());
    expect(found.stdout).toContain(stage.server.hostKey('ed25519'));
    expect(await prep('--host-key', 'strict')).toMatchObject({ status: 0 });
  });

  test('that is unknown is refused under --host-key strict', async () => {
    const run = await prep('--host-key', 'strict');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(
      /^prep: [^\n]+: its host key is not known \(ED25519 SHA256:\S+\); [^\n]+known_hosts\n$/,
    );
    expect(stage.server.logins()).toEqual([]);
  });

  test.each([['ask'], ['accept-new'], ['strict']])(
    'that has changed is refused under %s, naming the line and the command that clears it',
    async (policy) => {
      known(`# comment\nother.example ${ANOTHER}\n${place} ${ANOTHER}\n`);
      const before = visit.laptop.tree();
      const run = await prep('--host-key', policy, '--yes');
      const file = visit.laptop.path('.ssh/known_hosts');
      expect(run.status).toBe(1);
      expect(run.stderr).toContain('THE HOST KEY HAS CHANGED');
      expect(run.stderr).toContain(`${file} line 3`);
      expect(stage.server.logins()).toEqual([]);
      expect(visit.laptop.tree()).toEqual(before);
      const command = /clear the old key with: (ssh-keygen .*)\n/.exec(run.stderr)![1]!;
      expect(command).toContain(`-R '${place}'`);
      await ran('sh', ['-c', command], visit.laptop.env());
      expect(await prep('--host-key', 'accept-new')).toMatchObject({ status: 0 });
    },
  );

  test('that has changed is refused at a terminal without a question', async () => {
    known(`${place} ${ANOTHER}\n`);
    const run = await visit.typing(QUICK, visit.typesPassword());
    expect(run).toMatchObject({ status: 1 });
    expect(run.screen).toContain('THE HOST KEY HAS CHANGED');
    expect(run.screen).not.toContain('Trust');
    expect(stage.server.logins()).toEqual([]);
  });

  test('that is revoked is refused', async () => {
    known(`@revoked * ${stage.server.hostKey('ed25519')}\n`);
    const run = await prep('--host-key', 'accept-new');
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/is revoked by \S+ line 1;/);
  });

  test('is looked up and remembered in the file of --known-hosts', async () => {
    const file = visit.laptop.path('hosts file');
    const plain = config('HashKnownHosts no\n');
    const first = await prep('--known-hosts', file, '--host-key', 'accept-new', ...plain);
    expect(first.status, first.stderr).toBe(0);
    expect(visit.laptop.read('hosts file')).toBe(`${place} ${stage.server.hostKey('ed25519')}\n`);
    expect(visit.laptop.read('.ssh/known_hosts')).toBe('');
    expect(await prep('--known-hosts', file)).toMatchObject({ status: 0 });
  });

  test('is found in a hashed entry, and one that has changed there too', async () => {
    known(stage.server.knownHosts());
    execFileSync('ssh-keygen', ['-H', '-f', visit.laptop.path('.ssh/known_hosts')], {
      stdio: 'ignore',
    });
    expect(visit.laptop.read('.ssh/known_hosts')).toMatch(/^\|1\|/);
    expect(await prep('--host-key', 'strict')).toMatchObject({ status: 0 });
    known(visit.laptop.read('.ssh/known_hosts')!.replace(/ssh-ed25519 .*/, ANOTHER));
    const changed = await prep();
    expect(changed.status).toBe(1);
    expect(changed.stderr).toContain('known_hosts line 1');
  });

  test('is written hashed where ssh_config has HashKnownHosts', async () => {
    const flags = [...config('HashKnownHosts yes\n'), '--known-hosts', visit.laptop.path('hosts')];
    expect(await prep(...flags, '--host-key', 'accept-new')).toMatchObject({ status: 0 });
    expect(visit.laptop.read('hosts')).toMatch(/^\|1\|/);
    expect(await prep(...flags, '--host-key', 'strict')).toMatchObject({ status: 0 });
  });

  test('of the bare host name does not count for another port', async () => {
    known(`127.0.0.1 ${stage.server.hostKey('ed25519')}\n`);
    expect(await prep('--host-key', 'strict')).toMatchObject({ status: 1 });
    known(`[127.0.0.*]:${stage.server.port} ${stage.server.hostKey('ed25519')}\n`);
    expect(await prep('--host-key', 'strict')).toMatchObject({ status: 0 });
  });
});
