import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { authorizedKeyLine, parseAuthorizedKey } from '../../src/core/authorized-key.ts';
import { contentOf, type Entry, type Facts } from '../../src/core/facts.ts';
import type { Desired, LocalFile, Step } from '../../src/core/plan.ts';
import { explain, PrepError, type Problem } from '../../src/core/problem.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { noRecords } from '../../src/core/records.ts';
import { refusal } from '../../src/run/refusal.ts';
import { undoPlan } from '../../src/run/undo-plan.ts';
import { LoginKey } from '../../src/ssh/login-key.ts';
import { authorizedKeys } from '../../steps/authorized-keys.ts';
import { dotfiles } from '../../steps/dotfiles.ts';
import { loginShell } from '../../steps/login-shell.ts';
import { permissions } from '../../steps/permissions.ts';
import { sshDir } from '../../steps/ssh-dir.ts';
import { zlogin } from '../../steps/zlogin.ts';
import { directory, factsOf, file, type FactsOf } from '../support/facts.ts';

const place = { host: 'web1', port: 22 };
const fingerprint = 'SHA256:pl9o4/0aXQNtrmdLkHLusc3bQwcdiZ7zI7eE+AkguBo';
const hostKey = {
  host: 'web1',
  keyType: 'ED25519',
  fingerprint,
  file: '/home/you/.ssh/known_hosts',
  line: 14,
};
const MINE = parseAuthorizedKey(
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIf9NLLuUwOGdigW5IGEk5vU//1uFIG6jHFWYbrj/szO you@laptop',
)!;
const quote: Problem = {
  code: 'bad-hosts-line',
  cause: 'a quote or a backslash is left open',
  action: 'close it',
};

/** One of each, as a person may meet it; the compiler counts. */
const SAMPLES: Record<Problem['code'], Problem> & {
  readonly [Code in Problem['code']]: { readonly code: Code };
} = {
  usage: { code: 'usage', text: 'no destination was given' },
  'bad-destination': { code: 'bad-destination', text: 'alice@' },
  'bad-port': { code: 'bad-port', text: '70000' },
  'bad-config': {
    code: 'bad-config',
    file: 'prep.config.ts',
    where: 'hosts["web*"].shell',
    cause: 'must be the name of a shell or an absolute path, not 42',
  },
  'config-exists': { code: 'config-exists', file: '/home/you/.config/prep/prep.config.ts' },
  'command-failed': {
    code: 'command-failed',
    command: 'sudo apt-get install -q -y screen',
    status: 100,
    said: 'E: Unable to locate package screen',
  },
  'bad-hosts-line': quote,
  'in-hosts-file': { code: 'in-hosts-file', file: 'hosts.txt', where: 'line 3', problem: quote },
  'cannot-read': {
    code: 'cannot-read',
    file: '/home/you/.secret',
    what: 'password file',
    cause: 'permission denied',
  },
  'cannot-write': {
    code: 'cannot-write',
    file: '/home/you/.ssh/known_hosts',
    what: 'known_hosts file',
    cause: 'read-only file system',
  },
  'not-a-public-key': {
    code: 'not-a-public-key',
    file: '/home/you/mykey',
    found: 'a private key (and there is no mykey.pub beside it; ssh-keygen -y makes it)',
  },
  'no-key': { code: 'no-key' },
  'key-exists': { code: 'key-exists', file: '/home/you/.ssh/id_ed25519' },
  'cannot-make-key': { code: 'cannot-make-key', cause: 'every key made was defective' },
  'not-private': {
    code: 'not-private',
    folder: '/home/you/.ssh/control',
    found: 'a symbolic link',
  },
  'no-socket-folder': {
    code: 'no-socket-folder',
    folder: '/net/homes/department-of-physics/students/you/.ssh/control',
  },
  'name-taken': { code: 'name-taken', name: 'web1', file: '/home/you/.ssh/config', line: 12 },
  'needs-an-answer': {
    code: 'needs-an-answer',
    question: "alice@web1's password",
    flag: 'give it with --password-file or PREP_PASSWORD',
  },
  'no-answer-given': { code: 'no-answer-given', question: "alice@web1's password" },
  interrupted: { code: 'interrupted' },
  'cannot-resolve': { code: 'cannot-resolve', host: 'web1' },
  'cannot-connect': { code: 'cannot-connect', ...place, cause: 'connection refused' },
  'no-answer': { code: 'no-answer', ...place, seconds: 10 },
  'not-ssh': { code: 'not-ssh', host: 'web1', port: 80, said: 'HTTP/1.1 400 Bad Request' },
  'no-common-algorithm': {
    code: 'no-common-algorithm',
    what: 'key exchange',
    offers: ['diffie-hellman-group1-sha1'],
    setting: 'KexAlgorithms',
    limits: false,
  },
  'algorithms-unsupported': {
    code: 'algorithms-unsupported',
    setting: 'HostKeyAlgorithms',
    known: [
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ecdsa-sha2-nistp521',
      'rsa-sha2-512',
      'rsa-sha2-256',
      'ssh-rsa',
    ],
  },
  'host-key-unknown': { code: 'host-key-unknown', ...hostKey },
  'host-key-declined': { code: 'host-key-declined', host: 'web1' },
  'host-key-changed': { code: 'host-key-changed', ...hostKey },
  'host-key-revoked': { code: 'host-key-revoked', ...hostKey },
  'master-dead': {
    code: 'master-dead',
    socket: '/tmp/web1',
    said: 'Control socket connect(/tmp/web1): No such file or directory',
  },
  'nothing-open': { code: 'nothing-open' },
  'jump-host': {
    code: 'jump-host',
    hop: 'alice@gate',
    problem: { code: 'cannot-connect', host: 'gate', port: 22, cause: 'no route to host' },
  },
  'wrong-password': { code: 'wrong-password', tries: 3 },
  'password-not-offered': {
    code: 'password-not-offered',
    offers: ['publickey'],
    accepted: [],
    keys: [fingerprint],
  },
  'answers-refused': { code: 'answers-refused', tries: 3 },
  'login-cut-off': { code: 'login-cut-off', said: 'Your account has expired' },
  'login-ruled-out': { code: 'login-ruled-out', methods: ['password'], keyTried: true },
  'password-expired': { code: 'password-expired' },
  'new-password-refused': {
    code: 'new-password-refused',
    said: 'BAD PASSWORD: The password is shorter than 8 characters',
  },
  'hung-up': { code: 'hung-up', during: 'the greeting', said: '' },
  'no-openssh': { code: 'no-openssh', wanted: 'this way in' },
  'openssh-failed': {
    code: 'openssh-failed',
    said: 'proxy dialer did not pass back a connection',
  },
  'no-shell': { code: 'no-shell', said: 'This account is currently not available.' },
  'home-missing': { code: 'home-missing', home: '/home/alice' },
  'no-checksums': { code: 'no-checksums' },
  busy: { code: 'busy', since: '2026-01-02 03:04:05 UTC', process: '4711', host: 'web1' },
  'no-answer-from-shell': { code: 'no-answer-from-shell', seconds: 60 },
  'connection-lost': { code: 'connection-lost', certain: 3, uncertain: 2 },
  stale: { code: 'stale', path: '.zshrc', found: '' },
  'disk-full': {
    code: 'disk-full',
    path: '.zshrc',
    said: 'cp: error writing: No space left on device',
  },
  'not-writable': { code: 'not-writable', path: '.zshrc', said: 'mv: Operation not permitted' },
  'write-failed': { code: 'write-failed', path: '.zshrc', said: 'mv: Input/output error' },
  'shell-does-not-start': {
    code: 'shell-does-not-start',
    shell: '/usr/bin/zsh',
    said: '/home/alice/.zshrc:12: bad pattern: [',
  },
  'chsh-refused': {
    code: 'chsh-refused',
    tool: 'chsh',
    said: "You may not change the shell for 'alice'.",
  },
  'chsh-wrong-password': { code: 'chsh-wrong-password', tool: 'chsh' },
  'not-tried': { code: 'not-tried', because: 'SFTP alone cannot change a login shell' },
  'not-as-predicted': { code: 'not-as-predicted', paths: ['.zshrc'] },
  'key-refused': keyRefused({ PubkeyAuthentication: 'no' }),
  'key-not-enough': { code: 'key-not-enough', wants: 'keyboard-interactive' },
  unexpected: { code: 'unexpected', cause: 'the account did not tell its user number' },
};

/** Where a problem has more than one sentence. */
const OTHER_SENTENCES: readonly Problem[] = [
  { code: 'busy', since: '2026-01-02 03:04:05 UTC', process: '', host: '' },
  { code: 'cannot-resolve', host: 'web1', family: 6 },
  {
    code: 'needs-an-answer',
    question: `trust the ED25519 host key ${fingerprint} of web1`,
    flag: 'compare the fingerprint and run it with --host-key accept-new',
  },
  { code: 'needs-an-answer', question: 'Which key shall be installed', flag: 'run it with --yes' },
  { code: 'password-not-offered', offers: ['publickey'], accepted: ['password'], keys: [] },
  {
    code: 'password-not-offered',
    offers: ['keyboard-interactive'],
    accepted: ['publickey'],
    keys: [],
  },
  { code: 'password-not-offered', offers: ['gssapi-with-mic'], accepted: [], keys: [] },
  { code: 'connection-lost', certain: 0, uncertain: 0 },
  keyRefused({ AuthorizedKeysFile: 'none' }),
  keyRefused({ AuthorizedKeysFile: '/etc/ssh/keys/%u' }),
  keyRefused({}, { context: 'unconfined_u:object_r:user_home_t:s0' }),
  keyRefused({}, { facts: { entries: { '.': directory(0o777, { owner: 1000 }) } } }),
  keyRefused({}, { facts: { entries: { '.ssh': directory(0o700, { owner: 1001 }) } } }),
  keyRefused({}, { facts: { entries: { '.ssh/authorized_keys': restricted() } } }),
  keyRefused({}, { facts: { access: 'sftp' } }),
  keyRefused({}, { unread: '/etc/ssh/sshd_config' }),
  keyRefused({}),
];

function restricted(): Entry {
  return file(0o600, `from="10.0.0.0/8" ${authorizedKeyLine(MINE)}\n`, { owner: 1000 });
}

interface Seen {
  readonly facts?: FactsOf;
  readonly context?: string;
  readonly unread?: string;
}

function keyRefused(
  settings: Readonly<Record<string, string>>,
  { facts = {}, context = '', unread = '' }: Seen = {},
): Problem & { code: 'key-refused' } {
  const error = new PrepError({
    code: 'password-not-offered',
    offers: ['publickey', 'password'],
    accepted: [],
    keys: [fingerprint],
  });
  const lowered = Object.entries(settings).map(
    ([keyword, value]) => [keyword.toLowerCase(), value] as const,
  );
  const evidence = { settings: new Map(lowered), unread, context };
  const problem = refusal(error, factsOf(facts), evidence, new LoginKey(MINE, {}));
  if (problem.code !== 'key-refused') throw error;
  return problem;
}

/** What keeps prep from keeping what it replaces, for any step. */
const BARRED = [
  { path: remotePath('.local'), because: 'is not a directory' },
  { path: remotePath('.local'), because: 'may not be written' },
  { path: remotePath('.'), because: 'may not be written' },
] as const;

type Blocked = readonly [Step, FactsOf, Partial<Desired>?];

const unreadable: Entry = { kind: 'unreadable', mode: 0o600, owner: 0 };
const special = { kind: 'special' } as const;
const ZSHRC = dotfile('.zshrc', file(0o644, 'bindkey -e\n'));
const withFallback = { shellFallback: true };

/** What stands in the way of a step. */
const BLOCKED: readonly Blocked[] = [
  [sshDir, { unwritable: ['.'] }],
  [sshDir, { entries: { '.ssh': file(0o644, '') } }],
  [sshDir, { entries: { '.ssh': directory(0o755, { owner: 0 }) } }],
  [permissions, { entries: { '.ssh': directory(0o755, { owner: 1001 }) } }],
  [authorizedKeys, { entries: { '.ssh/authorized_keys': unreadable } }],
  [authorizedKeys, { entries: { '.ssh/authorized_keys': directory(0o755) } }],
  [
    authorizedKeys,
    {
      keysFile: '/etc/ssh/keys/alice',
      entries: {
        '/etc/ssh/keys': directory(0o755),
        '/etc/ssh': directory(0o755),
        '/etc': directory(0o755),
      },
      unwritable: ['/etc/ssh/keys'],
    },
  ],
  [dotfiles, { entries: { '.zshrc': directory(0o755) } }, { dotfiles: [ZSHRC] }],
  [dotfiles, { entries: { '.zshrc': special } }, { dotfiles: [ZSHRC] }],
  [dotfiles, { entries: { '.zshrc': { ...special, link: true } } }, { dotfiles: [ZSHRC] }],
  [dotfiles, { entries: { '.zshrc': unreadable } }, { dotfiles: [ZSHRC] }],
  [
    dotfiles,
    { entries: { '.config': file(0o644, '') } },
    { dotfiles: [dotfile('.config', directory(0o755))] },
  ],
  [zlogin, { entries: { '.zlogin': directory(0o755) } }],
  [zlogin, { entries: { '.zlogin': unreadable } }],
  [loginShell, { shells: ['/bin/sh'], found: '' }],
  [loginShell, { shells: ['/usr/bin/zsh'], notInstalled: ['/usr/bin/zsh'] }],
  [loginShell, { shells: ['/bin/sh'], found: '/home/alice/.local/bin/zsh' }],
  [loginShell, { passwd: 'elsewhere' }],
  [loginShell, { passwd: 'environment' }],
  [loginShell, { tools: [] }],
  [loginShell, { access: 'sftp' }],
  [loginShell, { tools: [], loginShell: '/usr/bin/xonsh' }, withFallback],
  [loginShell, { tools: [], entries: { '.profile': unreadable } }, withFallback],
];

/** What the person's own answers do, by the file that says it. */
const BY_ANSWER: readonly (readonly [source: string, because: string])[] = [
  ['run/carry-out.ts', 'you said no; run prep again to be asked once more'],
  [
    'run/carry-out.ts',
    'you said no; put it back by hand later, from what is kept in ~/.local/state/prep',
  ],
  [
    'run/carry-out.ts',
    'chsh asks for the password of the account; give it with --password-file or PREP_PASSWORD',
  ],
  [
    'run/undo-plan.ts',
    'SFTP can neither tell nor change the login shell; undo it where there is a shell',
  ],
];

/** What keeps undo from putting a file back. */
function lostCopy(): string {
  const keptAt = remotePath('.local/state/prep/0001-20260101T000000Z/3');
  const change = {
    what: 'entry',
    path: remotePath('.zshrc'),
    before: { kind: 'file', mode: 0o644, content: { ...contentOf(Buffer.from('old')), keptAt } },
    after: file(0o644, 'new'),
    reason: '',
  } as const;
  const facts = factsOf({ entries: { '.zshrc': change.after } });
  const [undone] = undoPlan({ host: 'web1' }, facts, [
    { number: 3, step: 'dotfiles', change },
  ]).steps;
  return undone?.verdict.kind === 'blocked' ? undone.verdict.because : 'undo is not blocked';
}

function dotfile(name: string, entry: LocalFile['entry']): LocalFile {
  return { path: remotePath(name), entry };
}

function reasonOf([step, row, desired]: Blocked): string {
  const facts: Facts = factsOf(row);
  const wish = { keys: [MINE], dotfiles: [], loginShell: 'zsh', ...desired };
  const verdict = step.plan(facts, wish);
  return verdict.kind === 'blocked' ? verdict.because : `${step.name} is not blocked`;
}

const page = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8');
const problems = [...Object.values(SAMPLES), ...OTHER_SENTENCES];
const sentences = problems.map((problem) => explain(problem).sentence);
const reasons = [
  ...BLOCKED.map(reasonOf),
  ...BARRED.map((barred) => noRecords(factsOf({ barred }))!),
  ...BY_ANSWER.map(([, because]) => because),
  lostCopy(),
];

/** What the page gives as printed: a line that is nothing but code. */
const printed = [...page.matchAll(/^`([^`]+)`$/gm)].map(([, text]) => text!);

describe('docs/troubleshooting.md', () => {
  test.each(problems.map((problem) => [problem.code, problem] as const))(
    'has the sentence of %s, as printed, and words below it',
    (_code, problem) => {
      const { sentence } = explain(problem);
      expect(printed).toContain(sentence);
      const [, below = ''] = page.split(`\n\`${sentence}\`\n`);
      expect(below.trimStart()).toMatch(/^\S.{30}/);
    },
  );

  test.each(reasons)('says why a step is blocked: %s', (because) => {
    expect(printed).toContain(because);
  });

  test.each(BY_ANSWER)('%s has that reason', (source, because) => {
    const text = readFileSync(new URL(`../../src/${source}`, import.meta.url), 'utf8');
    expect(text).toContain(`'${because}'`);
  });

  test('has a heading for each code, and for no other', () => {
    const headings = [...page.matchAll(/^### (.*)$/gm)].map(([, text]) => text!);
    expect([...headings].sort()).toEqual(Object.keys(SAMPLES).sort());
  });

  test('gives nothing as printed that prep does not print, and nothing twice', () => {
    expect([...printed].sort()).toEqual([...new Set([...sentences, ...reasons])].sort());
  });
});
