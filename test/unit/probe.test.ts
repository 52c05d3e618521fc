import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { cksum } from '../../src/core/cksum.ts';
import { contentOf, entryAt, type Entry, type Facts, type Reading } from '../../src/core/facts.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { Conversation } from '../../src/remote/conversation.ts';
import { prepareOpening, type Opening } from '../../src/remote/opening.ts';
import { readFacts } from '../../src/remote/probe.ts';
import type { Exit, Session } from '../../src/ssh/session.ts';
import { problemIn } from '../support/problem-in.ts';

/** What every account says of itself. */
const ACCOUNT = [
  'user alice',
  'uid 1000',
  'home /home/alice',
  'cwd /home/alice',
  'shell getent /bin/bash',
  'os Linux',
  'listed x /bin/sh',
  'listed - /bin/zsh',
  'tools chsh getent',
  'found ',
];

const FILE = remotePath('f');

/** What a server sends: each saying after a line feed and the marker, as the script's `say` prints it. */
function framed({ marker }: Opening, sayings: readonly string[]): string {
  return [...sayings, 'end'].map((saying) => `\n${marker} ${saying}\n`).join('');
}

/** A session whose only command answers with these texts (latin1), each for itself. */
function answering(...texts: readonly string[]): Session {
  return {
    label: 'alice@web1',
    login: 'none',
    exec: () => {
      const stdout = new PassThrough();
      const [stdin, stderr] = [new PassThrough(), new PassThrough()];
      for (const text of texts) stdout.write(Buffer.from(text, 'latin1'));
      const exit = new Promise<Exit>(() => undefined);
      return Promise.resolve({ stdin, stdout, stderr, exit, close: () => stdout.destroy() });
    },
    sftp: () => Promise.resolve(undefined),
    close: () => undefined,
  };
}

interface Telling {
  readonly readings?: readonly Reading[];
  readonly before?: string;
  readonly after?: string;
  /** How many bytes arrive at a time; default all. */
  readonly pieces?: number;
}

async function facts(sayings: readonly string[], telling: Telling = {}): Promise<Facts> {
  const { readings = [], before = '', after = '', pieces = Infinity } = telling;
  const opening = prepareOpening('');
  const text = before + framed(opening, sayings) + after;
  const parts: string[] = [];
  for (let i = 0; i < text.length; i += pieces) parts.push(text.slice(i, i + pieces));
  const { conversation, answer } = await Conversation.open(answering(...parts), opening);
  conversation.close();
  return readFacts(answer, readings);
}

async function entryOf(...sayings: readonly string[]): Promise<Entry> {
  return entryAt(await facts([...ACCOUNT, ...sayings]), FILE);
}

describe('where keys are looked for (as ssh-copy-id knows the places)', () => {
  test.each<[string, readonly string[], string]>([
    ['anywhere', [], '.ssh/authorized_keys'],
    ['on Haiku', ['os Haiku'], 'config/settings/ssh/authorized_keys'],
    [
      'on OpenWrt, by root',
      ['keys-at /etc/dropbear/authorized_keys'],
      '/etc/dropbear/authorized_keys',
    ],
    [
      'on Haiku with a configuration that names another place',
      [
        'os Haiku',
        'sshd-config /etc/ssh/sshd_config\n/etc/ssh/sshd_config:AuthorizedKeysFile %h/keys',
      ],
      'keys',
    ],
  ])('%s', async (_, sayings, file) => {
    const others = ACCOUNT.filter((one) => one !== 'os Linux' || !sayings.includes('os Haiku'));
    expect((await facts([...others, ...sayings])).keysFile).toBe(file);
  });
});

describe('an answer', () => {
  const wanted = {
    account: {
      user: 'alice',
      uid: 1000,
      home: '/home/alice',
      loginShell: '/bin/bash',
      passwd: 'getent',
      ownGroup: false,
    },
    system: {
      os: 'Linux',
      shells: [
        { path: '/bin/sh', executable: true },
        { path: '/bin/zsh', executable: false },
      ],
      found: '',
      tools: new Set(['chsh', 'getent']),
      sudo: false,
    },
  };

  test.each<[string, Telling]>([
    ['alone', {}],
    ['after noise of start-up files', { before: 'Welcome!\nuser mallory\nuid 0\nend\n' }],
    ['after noise without a line end', { before: 'last login: today' }],
    ['after noise of any bytes', { before: '\0\u00ff\u001b[2J\r\n' }],
    ['before noise', { after: '\nuser mallory\nbye\n' }],
    ['that comes byte by byte', { pieces: 1, before: 'motd\n' }],
    ['that comes in pieces of 7 bytes', { pieces: 7 }],
  ])('%s is read to the letter', async (_, telling) => {
    expect(await facts(ACCOUNT, telling)).toMatchObject(wanted);
  });

  test('with the marker of somebody else is noise', async () => {
    const foreign = framed(prepareOpening(''), ['user mallory']);
    expect((await facts(ACCOUNT, { before: foreign })).account.user).toBe('alice');
  });

  test('says more where there is more', async () => {
    const more = [
      'own-group',
      'sudo',
      'run 0002-b',
      'run 0001-a',
      'key ./.ssh/id_rsa',
      'closed .',
      'found /opt/zsh',
    ];
    expect(await facts([...ACCOUNT, ...more])).toMatchObject({
      account: { ownGroup: true },
      system: { sudo: true, found: '/opt/zsh' },
      runs: ['0001-a', '0002-b'],
      privateKeys: ['.ssh/id_rsa'],
      unwritable: new Set(['.']),
    });
  });

  test.each([
    [
      'the home directory cannot be entered',
      [...ACCOUNT, 'home-missing'],
      { code: 'home-missing', home: '/home/alice' },
    ],
    ['it says nothing of the home directory', ['user alice', 'uid 1000'], { code: 'home-missing' }],
    [
      'it does not know who it is',
      ACCOUNT.filter((line) => !line.startsWith('uid')),
      { code: 'unexpected' },
    ],
  ])('is no answer where %s', async (_, sayings, problem) => {
    expect(await problemIn(facts(sayings))).toMatchObject(problem);
  });
});

describe('modes', () => {
  test.each([
    ['-rw-r--r--', 0o644],
    ['-rwxr-xr-x', 0o755],
    ['----------', 0o000],
    ['-rwxrwxrwx', 0o777],
    ['-rwsr-xr-x', 0o4755],
    ['-rwSr--r--', 0o4644],
    ['-rwxr-sr-x', 0o2755],
    ['-rw-r-Sr--', 0o2644],
    ['-rwxrwxrwt', 0o1777],
    ['-rwxrwx--T', 0o1770],
    ['-rwsrwsrwt', 0o7777],
    ['-rw-------+', 0o600],
    ['-rw-------.', 0o600],
  ])('%s, as ls -l prints it, is %o', async (text, mode) => {
    const entry = await entryOf(`s text ${text} - 1000 0:12 3 ./f`);
    expect(entry).toEqual({ kind: 'unreadable', mode, owner: 1000 });
  });

  test.each<[string, string, Partial<Entry>]>([
    [
      'a directory by ls',
      's text drwx------ - 1000 0:12 4096 ./f',
      { kind: 'directory', mode: 0o700 },
    ],
    [
      'a directory by GNU stat',
      's hex 41ed 5 1000 8:12 4096 ./f',
      { kind: 'directory', mode: 0o755 },
    ],
    [
      'a directory by BSD stat',
      's octal 40755 5 1000 8:12 4096 ./f',
      { kind: 'directory', mode: 0o755 },
    ],
    ['a file by GNU stat', 's hex 89a4 5 1000 8:12 3 ./f', { kind: 'unreadable', mode: 0o4644 }],
    [
      'a file by BSD stat',
      's octal 100600 5 0 8:12 3 ./f',
      { kind: 'unreadable', mode: 0o600, owner: 0 },
    ],
    ['a link', 's hex a1ff 5 1000 8:12 3 ./f', { kind: 'symlink' }],
    ['a pipe by ls', 's text prw-r--r-- - 1000 0:12 0 ./f', { kind: 'special' }],
    ['a socket by ls', 's text srwxr-xr-x - 1000 0:12 0 ./f', { kind: 'special' }],
    ['a device by stat', 's hex 2180 5 0 8:12 0 ./f', { kind: 'special' }],
  ])('%s', async (_, saying, entry) => {
    expect(await entryOf(saying)).toMatchObject(entry);
  });
});

describe('a file', () => {
  const STAT = 's hex 81a4 1234567890 1000 8:12 4 ./f';
  const bytes = '\n\0\u00ff\n';
  const sum = cksum(Buffer.from(bytes, 'latin1'));

  test('has its bytes, whatever they are', async () => {
    // The final line feed is the one that ends each saying here.
    expect(await entryOf(STAT, `c ${sum} 4 ./f`, `b ./f\n${bytes}`.slice(0, -1))).toEqual({
      kind: 'file',
      mode: 0o644,
      mtime: 1_234_567_890,
      owner: 1000,
      inode: '8:12',
      content: contentOf(Buffer.from(bytes, 'latin1')),
    });
  });

  test('is known by size and checksum where its bytes were not sent', async () => {
    expect(await entryOf(STAT, `c ${sum} 4 ./f`)).toMatchObject({
      content: { size: 4, checksum: sum },
    });
  });

  test('has no time where the server cannot tell it', async () => {
    const entry = await entryOf('s text -rw-r--r-- - 1000 0:12 4 ./f', `c ${sum} 4 ./f`);
    expect(entry).not.toHaveProperty('mtime');
  });

  test('that changed while it was read is not believed', async () => {
    const sayings = [...ACCOUNT, STAT, `c ${sum} 4 ./f`, 'b ./f\nother'];
    expect(await problemIn(facts(sayings))).toMatchObject({ code: 'stale' });
  });

  test('that was asked for and not spoken of is absent', async () => {
    const { entries } = await facts(ACCOUNT, { readings: [{ path: FILE }] });
    expect(entries.get(FILE)).toEqual({ kind: 'absent' });
  });
});

test.each([
  ['in the home directory', './f', 'f'],
  ['in a folder', './a/b', 'a/b'],
  ['of the home directory itself', '.', '.'],
  ['where a link leads, inside', '/home/alice/real', 'real'],
  ['where a link leads, outside', '/srv/real', '/srv/real'],
  ['beside the home directory', '/home/alice2/x', '/home/alice2/x'],
  ['with spaces', './a b', 'a b'],
  ['with a line feed', './a\nb', 'a\nb'],
  ['that is no UTF-8', './\u00ff', '\u00ff'],
])('a path %s', async (_, said, path) => {
  const { entries } = await facts([...ACCOUNT, `s hex 41ed 5 1000 8:12 4096 ${said}`]);
  expect([...entries.keys()]).toEqual([path]);
});

test('a followed link leads where it was said to', async () => {
  const { real, entries } = await facts([
    ...ACCOUNT,
    's hex a1ff 5 1000 8:12 3 ./f',
    'l ./f\nreal/f',
    'r ./f\n/home/alice/real/f',
  ]);
  expect(entries.get(FILE)).toEqual({ kind: 'symlink', target: 'real/f' });
  expect(real.get(FILE)).toBe('real/f');
});

test.each([
  ['file .local', { path: '.local', because: 'is not a directory' }],
  ['closed .', { path: '.', because: 'may not be written' }],
])('what keeps prep from keeping records: %s', async (said, barred) => {
  expect(await facts([...ACCOUNT, `barred ${said}`])).toMatchObject({ barred });
});
