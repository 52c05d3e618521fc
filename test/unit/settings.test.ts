import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { parseDestination } from '../../src/core/destination.ts';
import { resolveSettings, type Settings, type SettingsFlags } from '../../src/ssh/settings.ts';

const noSsh = spawnSync('ssh', ['-V']).error !== undefined;
const folder = mkdtempSync(join(tmpdir(), 'prep-settings-'));
const home = join(folder, 'home');

afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

let files = 0;

/** What becomes of `destination`, where ssh_config has these lines. */
function resolved(
  destination: string,
  lines: readonly string[],
  flags: Partial<SettingsFlags> = {},
): Promise<Settings> {
  const sshConfig = join(folder, `config-${++files}`);
  writeFileSync(sshConfig, lines.map((line) => `${line}\n`).join(''));
  return resolveSettings(
    parseDestination(destination),
    { hostKey: 'ask', sshConfig, ...flags },
    home,
  );
}

interface Row {
  readonly name: string;
  readonly typed: string;
  readonly lines?: readonly string[];
  readonly flags?: Partial<SettingsFlags>;
  readonly settings: Partial<Settings>;
}

const known = `${userInfo().homedir}/.ssh/known_hosts`;

const ROWS: readonly Row[] = [
  {
    name: 'a plain host',
    typed: 'web1',
    settings: {
      user: userInfo().username,
      label: `${userInfo().username}@web1`,
      address: 'web1',
      port: 22,
      hostKeyPolicy: 'ask',
      hashKnownHosts: false,
      connectTimeout: 10_000,
    },
  },
  {
    name: 'what was typed',
    typed: 'alice@web1:2222',
    settings: { user: 'alice', label: 'alice@web1', address: 'web1', port: 2222 },
  },
  {
    name: 'an alias, which keeps its name in what is said',
    typed: 'web',
    lines: ['Host web', 'HostName 192.0.2.7', 'User alice', 'Port 2222'],
    settings: { user: 'alice', label: 'alice@web', address: '192.0.2.7', port: 2222 },
  },
  {
    name: 'what was typed beats the alias',
    typed: 'bob@web:22',
    lines: ['Host web', 'User alice', 'Port 2222'],
    settings: { user: 'bob', port: 22 },
  },
  {
    name: '-p beats what was typed',
    typed: 'web1:22',
    flags: { port: 2022 },
    settings: { port: 2022 },
  },
  {
    name: 'a pattern and a token',
    typed: 'web7',
    lines: ['Host web*', 'HostName %h.example.org'],
    settings: { address: 'web7.example.org' },
  },
  {
    name: 'a Match for the user that was typed',
    typed: 'alice@web1',
    lines: ['Match user alice', 'Port 2200'],
    settings: { port: 2200 },
  },
  {
    name: 'the name under which known_hosts has it',
    typed: 'web1',
    lines: ['HostKeyAlias pool', 'HashKnownHosts yes', 'ConnectTimeout 3'],
    settings: { hostKeyAlias: 'pool', hashKnownHosts: true, connectTimeout: 3000 },
  },
  {
    name: 'known_hosts files, the first of which is written',
    typed: 'web1',
    lines: ['UserKnownHostsFile /a /b', 'GlobalKnownHostsFile none'],
    settings: { knownHosts: ['/a', '/b'] },
  },
  {
    name: '~ is the home directory that HOME names',
    typed: 'web1',
    lines: [`UserKnownHostsFile ${known}`, 'GlobalKnownHostsFile none'],
    settings: { knownHosts: [join(home, '.ssh', 'known_hosts')] },
  },
  {
    name: '--known-hosts beats all files',
    typed: 'web1',
    lines: ['UserKnownHostsFile /a'],
    flags: { knownHosts: '/mine' },
    settings: { knownHosts: ['/mine'] },
  },
  {
    name: 'a jump host',
    typed: 'web1',
    lines: ['ProxyJump alice@gate:2222,inner'],
    settings: { jump: [{ user: 'alice', host: 'gate', port: 2222 }, { host: 'inner' }] },
  },
  {
    name: '-J beats it',
    typed: 'web1',
    lines: ['ProxyJump gate'],
    flags: { jump: [{ host: 'other' }] },
    settings: { jump: [{ host: 'other' }] },
  },
  ...(
    [
      ['yes', 'ask', 'strict'],
      ['ask', 'ask', 'ask'],
      ['accept-new', 'ask', 'accept-new'],
      ['no', 'ask', 'accept-new'],
      ['no', 'strict', 'strict'],
      ['yes', 'accept-new', 'accept-new'],
    ] as const
  ).map(([configured, hostKey, hostKeyPolicy]) => ({
    name: `StrictHostKeyChecking ${configured} with --host-key ${hostKey} is ${hostKeyPolicy}`,
    typed: 'web1',
    lines: [`StrictHostKeyChecking ${configured}`],
    flags: { hostKey },
    settings: { hostKeyPolicy },
  })),
];

describe.skipIf(noSsh)('a destination, by ssh_config', () => {
  test.each(ROWS)('$name', async ({ typed, lines = [], flags = {}, settings }) => {
    expect(await resolved(typed, lines, flags)).toMatchObject(settings);
  });

  test('says what ssh says of a configuration that it rejects', async () => {
    await expect(resolved('web1', ['NoSuchOption yes'])).rejects.toMatchObject({
      problem: {
        code: 'usage',
        text: expect.stringContaining('ssh rejects its configuration') as string,
      },
    });
  });

  test('reads no other configuration than the one named', async () => {
    expect(
      await resolveSettings({ host: 'web1' }, { hostKey: 'ask', sshConfig: 'none' }, home),
    ).toMatchObject({
      address: 'web1',
      port: 22,
    });
  });
});

test('without OpenSSH there are plain defaults', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  expect(
    await resolveSettings({ user: 'alice', host: 'web1' }, { hostKey: 'ask' }, home),
  ).toMatchObject({
    user: 'alice',
    address: 'web1',
    port: 22,
    hostKeyPolicy: 'ask',
    knownHosts: [join(home, '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'],
    connectTimeout: 10_000,
  });
});
