import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
        text: expect.stringMatching(/^ssh rejects its configuration: .*nosuchoption/i) as string,
      },
    });
  });

  test('says that ssh comes to no end with it', { timeout: 20_000 }, async () => {
    await expect(resolved('web1', ['Match exec "sleep 30"', 'Port 1'])).rejects.toMatchObject({
      problem: {
        code: 'usage',
        text: 'ssh came to no end with its configuration within 10 s (a Match exec may be waiting)',
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

/** What comes of lines that say how to log in and how to get there. */
const MEANINGS: readonly (readonly [
  lines: string,
  settings: { readonly [name in keyof Settings]?: Settings[name] | undefined },
])[] = [
  ['', { identityFiles: [], methods: ['publickey', 'password', 'keyboard-interactive'] }],
  ['IdentityFile ~/.ssh/%h-%r', { identityFiles: [join(home, '.ssh', 'web1-alice')] }],
  ['IdentityFile "/with blank/key"', { identityFiles: ['/with blank/key'] }],
  ['IdentityFile %d/a%%b', { identityFiles: [join(home, 'a%b')] }],
  ['IdentityFile ${PREP_TEST_KEYS}/key', { identityFiles: ['/keys/key'] }],
  ['IdentityFile ~/.ssh/id_rsa', { identityFiles: [join(home, '.ssh', 'id_rsa')] }],
  ['IdentityFile none', { identityFiles: [] }],
  ['IdentityFile /a\nIdentitiesOnly yes', { identityFiles: ['/a'], onlyIdentities: ['/a'] }],
  ['IdentitiesOnly no', { onlyIdentities: undefined }],
  ['IdentityAgent "~/agent %h"', { agent: `${join(home, 'agent')} web1` }],
  ['IdentityAgent none', { agent: undefined }],
  ['IdentityAgent SSH_AUTH_SOCK', { agent: '/agent' }],
  ['IdentityAgent $PREP_TEST_AGENT', { agent: '/other' }],
  ['', { agent: '/agent' }],
  ['PasswordAuthentication no', { methods: ['publickey', 'keyboard-interactive'] }],
  ['KbdInteractiveAuthentication no', { methods: ['publickey', 'password'] }],
  ['PubkeyAuthentication no', { methods: ['password', 'keyboard-interactive'] }],
  [
    'PreferredAuthentications hostbased,keyboard-interactive,password',
    { methods: ['keyboard-interactive', 'password'] },
  ],
  ['NumberOfPasswordPrompts 1', { passwordPrompts: 1 }],
  ['PubkeyAcceptedAlgorithms ssh-ed25519', { keyAlgorithms: ['ssh-ed25519'] }],
  ['RevokedHostKeys ~/%n', { revokedHostKeys: join(home, 'web1') }],
  ['AddressFamily inet', { addressFamily: 4 }],
  ['AddressFamily inet6', { addressFamily: 6 }],
  ['AddressFamily any', { addressFamily: undefined }],
  ['BindAddress 127.0.0.2\nBindInterface lo', { bindAddress: '127.0.0.2', bindInterface: 'lo' }],
  ['', { keepAlive: { interval: 15_000, count: 3 }, connectionAttempts: 1 }],
  [
    'ServerAliveInterval 1m\nServerAliveCountMax 5\nConnectionAttempts 3\nConnectTimeout 2m',
    {
      keepAlive: { interval: 60_000, count: 5 },
      connectionAttempts: 3,
      connectTimeout: 120_000,
    },
  ],
  ['', { algorithms: {} }],
  [
    'UserKnownHostsFile "/a b/c" /d "/e"',
    { knownHosts: ['/a b/c', '/d', '/e', '/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'] },
  ],
];

describe.skipIf(noSsh)('of ssh_config', () => {
  test.each(MEANINGS)('"%s"', async (lines, settings) => {
    vi.stubEnv('SSH_AUTH_SOCK', '/agent');
    vi.stubEnv('PREP_TEST_AGENT', '/other');
    vi.stubEnv('PREP_TEST_KEYS', '/keys');
    const found = await resolved('alice@web1', lines.split('\n'));
    const asked = Object.keys(settings).map((name) => [name, found[name as keyof Settings]]);
    expect(Object.fromEntries(asked)).toEqual(settings);
  });

  test.each<[lines: string, opensshOnly: readonly string[], unused: readonly string[]]>([
    ['', [], []],
    ['CertificateFile /a-cert.pub', ['CertificateFile'], []],
    ['PKCS11Provider /x.so', ['PKCS11Provider'], []],
    ['GSSAPIAuthentication yes', ['GSSAPIAuthentication'], []],
    ['GSSAPIAuthentication no', [], []],
    ['HostbasedAuthentication yes', ['HostbasedAuthentication'], []],
    ['KnownHostsCommand /bin/true', ['KnownHostsCommand'], []],
    ['ProxyUseFdpass yes', ['ProxyUseFdpass'], []],
    [
      'PreferredAuthentications gssapi-with-mic,publickey',
      ['PreferredAuthentications gssapi-with-mic'],
      [],
    ],
    ['KexAlgorithms sntrup761x25519-sha512@openssh.com', ['KexAlgorithms'], []],
    ['KexAlgorithms ^curve25519-sha256', [], []],
    ['MACs umac-64@openssh.com', ['MACs'], []],
    ['CheckHostIP yes\nVerifyHostKeyDNS ask', [], ['CheckHostIP', 'VerifyHostKeyDNS']],
    ['Host other\nCheckHostIP yes', [], []],
    ['AddKeysToAgent yes\nBatchMode yes', [], ['AddKeysToAgent', 'BatchMode']],
    ['ForwardAgent yes\nLocalForward 8080 localhost:80\nSendEnv X\nRemoteCommand x', [], []],
  ])('"%s" names what ssh2 or prep does not do', async (lines, opensshOnly, unused) => {
    expect(await resolved('web1', lines.split('\n'))).toMatchObject({ opensshOnly, unused });
  });

  test('a key on a security token is for OpenSSH alone', async () => {
    const file = join(folder, 'token');
    writeFileSync(`${file}.pub`, 'sk-ssh-ed25519@openssh.com AAAA me\n');
    expect(await resolved('web1', [`IdentityFile ${file}`])).toMatchObject({
      identityFiles: [file],
      opensshOnly: [`IdentityFile ${file}`],
    });
  });

  test('a certificate that lies beside a named key is for OpenSSH alone', async () => {
    const file = join(folder, 'certified');
    writeFileSync(`${file}-cert.pub`, '');
    expect(await resolved('web1', [`IdentityFile ${file}.pub`])).toMatchObject({
      opensshOnly: [`CertificateFile ${file}-cert.pub`],
    });
  });

  test("what an included file says is the user's own word too", async () => {
    writeFileSync(join(folder, 'part-1.conf'), 'CheckHostIP=yes\nGSSAPIAuthentication "yes"\n');
    const included = await resolved('web1', [`Include ${folder}/part-*.conf # all of them`]);
    expect(included).toMatchObject({
      opensshOnly: ['GSSAPIAuthentication'],
      unused: ['CheckHostIP'],
    });
  });

  test('algorithms are completed by ssh', async () => {
    const { algorithms } = await resolved('web1', [
      'HostKeyAlgorithms +ssh-rsa',
      'Ciphers aes128-ctr',
    ]);
    expect(algorithms.ciphers).toEqual(['aes128-ctr']);
    expect(algorithms.hostKeyAlgorithms).toEqual(
      expect.arrayContaining(['ssh-ed25519', 'ssh-rsa']),
    );
    expect(algorithms.kexAlgorithms).toBeUndefined();
  });
});

describe('without OpenSSH', () => {
  const alone = (destination: string, ...lines: string[]): Promise<Settings> => {
    vi.stubEnv('PATH', '/nonexistent');
    return resolved(destination, lines);
  };

  test('Host, Match and tokens are understood, and the first value counts', async () => {
    const settings = await alone(
      'web',
      'Match user alice host other',
      '  Port 1',
      'Host web !web2',
      '  HostName %h.example.org',
      '  user alice',
      '  IdentityFile "~/.ssh/a key"',
      '  IdentityFile ~/.ssh/%h-%r',
      '  UserKnownHostsFile ~/known_%n',
      '  ProxyJump bob@gate:2222',
      'Host *',
      '  HostName no',
      '  Port=2022',
      '  HashKnownHosts yes',
      '  StrictHostKeyChecking yes',
      '  ConnectTimeout 1m',
      '  IdentitiesOnly yes',
    );
    const keys = ['a key', 'web.example.org-alice'].map((name) => join(home, '.ssh', name));
    expect(settings).toMatchObject({
      address: 'web.example.org',
      user: 'alice',
      port: 2022,
      identityFiles: keys,
      onlyIdentities: keys,
      knownHosts: [join(home, 'known_web')],
      jump: [{ user: 'bob', host: 'gate', port: 2222 }],
      hashKnownHosts: true,
      hostKeyPolicy: 'strict',
      connectTimeout: 60_000,
    });
    expect(settings.ignored).toBeUndefined();
  });

  test('what is passed over is named, and runs nothing', async () => {
    const trace = join(folder, 'trace');
    const settings = await alone(
      'web',
      'Include other',
      `Match exec "touch ${trace}"`,
      '  Port 1',
      'Host web',
      '  CanonicalizeHostname yes',
      '  Ciphers aes128-ctr',
    );
    expect(settings.port).toBe(22);
    expect(settings.ignored?.what).toEqual([
      'Include',
      'Match exec',
      'CanonicalizeHostname',
      'Ciphers',
    ]);
    expect(existsSync(trace)).toBe(false);
  });

  test('a file that was named must be there', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    const flags = { hostKey: 'ask', sshConfig: join(folder, 'none') } as const;
    await expect(resolveSettings({ host: 'web' }, flags, home)).rejects.toMatchObject({
      problem: { code: 'cannot-read' },
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
