import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import {
  ABSENT,
  contentOf,
  entryAt,
  same,
  type Entry,
  type Reading,
} from '../../src/core/facts.ts';
import { rehearse, type Change } from '../../src/core/plan.ts';
import { PrepError } from '../../src/core/problem.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import type { Account, Applied } from '../../src/remote/account.ts';
import { SftpAccount } from '../../src/remote/sftp-account.ts';
import type { Session } from '../../src/ssh/session.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import { directory, file, symlink } from '../support/facts.ts';
import { BorrowedHome } from '../support/borrowed-home.ts';
import { makeBusyboxRoot, noBusyboxRoot } from '../support/busybox-root.ts';
import { localSession } from '../support/local-session.ts';
import { MemoryAccount } from '../support/memory-account.ts';
import { SFTP_SERVER, sftpSession } from '../support/sftp-session.ts';
import { noSshd } from '../support/sshd.ts';

/** The shells that a server may have as its POSIX shell. */
const SHELLS = ['dash', 'bash', 'busybox', 'mksh', 'ksh93', 'zsh'].map((name) => `/bin/${name}`);

const installed = existsSync;

let home: string;
const at = (name: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(`${home}/`), Buffer.from(name)]);

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "prep 'home' $HOME-"));
  chmodSync(home, 0o755);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

interface Kind {
  readonly name: string;
  readonly missing: boolean;
  /** Whether names may be any bytes. */
  readonly anyName?: boolean;
  /** Where it is at home in one place only, and not in a folder of each test's own. */
  readonly server?: () => BorrowedHome;
  open(readings: readonly Reading[]): Promise<Account>;
}

const overShell = (shell: string): Kind => ({
  name: `a shell account over ${shell}`,
  missing: !installed(shell),
  open: async (readings) =>
    (await ShellAccount.open(localSession({ home, shell }), { readings, loginShell: 'zsh' }))
      .account,
});

const openSftp = async (readings: readonly Reading[], without: readonly string[] = []) => {
  const session = sftpSession({ home, without });
  const sftp = (await session.sftp())!;
  return SftpAccount.open(session, sftp, { readings, loginShell: 'zsh', user: 'alice' });
};

const overSftp: Kind = {
  name: 'an account over SFTP alone',
  missing: SFTP_SERVER === undefined,
  anyName: false,
  open: async (readings) => (await openSftp(readings)).account,
};

/** The same facts as a shell account would have, and from then on nothing but memory. */
const inMemory: Kind = {
  name: 'an account in memory',
  missing: false,
  open: async (readings) => {
    const account = await overShell('/bin/sh').open(readings);
    const facts = await account.probe(readings);
    account.close();
    return new MemoryAccount(facts);
  },
};

/** One server, and one connection of each kind, for all tests here. */
let server: BorrowedHome | undefined;
beforeAll(async () => {
  if (noSshd === undefined) server = await BorrowedHome.open();
});
afterAll(() => server?.close());

const overServer = (
  name: string,
  open: (readings: readonly Reading[], server: BorrowedHome) => Promise<Account>,
): Kind => ({
  name: noSshd === undefined ? name : `${name} (${noSshd})`,
  missing: noSshd !== undefined,
  server: () => server!,
  open: (readings) => open(readings, server!),
});

/** The accounts of a session that is not theirs to end. */
const borrowed = (session: Session, close = (): void => undefined): Session => ({
  label: session.label,
  login: session.login,
  exec: (command, pty) => session.exec(command, pty),
  sftp: () => session.sftp(),
  close,
});

const shellOver = async (session: Session, readings: readonly Reading[]): Promise<Account> =>
  (await ShellAccount.open(borrowed(session), { readings, loginShell: 'zsh' })).account;

const SERVERS = [
  overServer('a shell account over a control master', async (readings, at) =>
    shellOver(await at.overMaster(), readings),
  ),
  overServer('a shell account over ssh2', async (readings, at) =>
    shellOver(await at.overSsh2(), readings),
  ),
  {
    ...overServer('an account over SFTP alone over ssh2', async (readings, at) => {
      const session = await at.overSsh2();
      const sftp = (await session.sftp())!;
      const opened = await SftpAccount.open(
        borrowed(session, () => void sftp.end()),
        sftp,
        { readings, loginShell: 'zsh', user: 'root' },
      );
      return opened.account;
    }),
    anyName: false,
  },
];

const change = (path: string | Buffer, before: Entry, after: Entry): Change => ({
  what: 'entry',
  path: remotePath(path),
  before,
  after,
  reason: 'a test',
});
const readingsFor = (changes: readonly Change[]): Reading[] =>
  changes.flatMap((one) =>
    one.what === 'entry' ? [{ path: one.path, bytes: 'all' as const }] : [],
  );
const applying = (readings: readonly Reading[], run = '0001-test') => ({
  run,
  readings,
  stepOf: () => 'test',
});

/** Every byte a file can hold but NUL, with and without a final line feed. */
const ALL_BYTES = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1));

/** Zeros and all, and more than one packet, window or here-document takes. */
const LARGE = Buffer.from(Array.from({ length: 700_001 }, (_, i) => (i * 31) >> 3));

const NOT_UTF8 = 'writes a file whose name is not UTF-8';

const WRITES: readonly {
  readonly name: string;
  readonly changes: readonly Change[];
  before?(): void;
}[] = [
  { name: 'makes a directory', changes: [change('.ssh', ABSENT, directory(0o700))] },
  {
    name: 'makes a file in it',
    changes: [
      change('d', ABSENT, directory(0o755)),
      change('d/f', ABSENT, file(0o640, 'text\n', { mtime: 1_000_000_000 })),
    ],
  },
  { name: 'writes every byte', changes: [change('all', ABSENT, file(0o600, ALL_BYTES))] },
  {
    name: 'writes an empty file',
    changes: [change('empty', ABSENT, file(0o644, '', { mtime: 0 }))],
  },
  { name: 'writes no final line feed', changes: [change('f', ABSENT, file(0o644, 'x'))] },
  { name: 'writes only line feeds', changes: [change('f', ABSENT, file(0o644, '\n\n\n'))] },
  {
    name: 'writes a large text',
    changes: [change('f', ABSENT, file(0o644, "it's\\n %s\n".repeat(20_000)))],
  },
  {
    name: 'writes what fits into no script',
    changes: [change('f', ABSENT, file(0o644, LARGE)), change('g', ABSENT, file(0o600, 'g'))],
  },
  {
    name: 'replaces a file',
    before: () => write('f', 'old'),
    changes: [change('f', file(0o644, 'old'), file(0o600, 'new', { mtime: 5 }))],
  },
  {
    name: 'changes a mode alone',
    before: () => write('f', 'old'),
    changes: [change('f', file(0o644, 'old'), file(0o600, 'old'))],
  },
  {
    name: 'keeps the bits above the permissions',
    before: () => write('f', 'old', 0o4711),
    changes: [
      change('f', file(0o4711, 'old'), file(0o2755, 'new')),
      change('d', ABSENT, directory(0o1777)),
      change('d', directory(0o1777), directory(0o2044)),
    ],
  },
  {
    name: 'changes a time alone',
    before: () => write('f', 'old'),
    changes: [change('f', file(0o644, 'old'), file(0o644, 'old', { mtime: 86_400 }))],
  },
  { name: 'makes a link', changes: [change('l', ABSENT, symlink('.zshenv'))] },
  {
    name: 'makes a link with a strange target',
    changes: [change('l', ABSENT, symlink("-a 'b\n$(c)"))],
  },
  {
    name: 'replaces a file by a link',
    before: () => write('l', 'x'),
    changes: [change('l', file(0o644, 'x'), symlink('t'))],
  },
  {
    name: 'replaces a link to a directory',
    before: () => {
      mkdirSync(at('d'));
      symlinkSync('d', at('l'));
    },
    changes: [change('l', symlink('d'), symlink('e'))],
  },
  {
    name: 'replaces a link to a directory by a file',
    before: () => {
      mkdirSync(at('d'));
      symlinkSync('d', at('l'));
    },
    changes: [change('l', symlink('d'), file(0o644, 'x'))],
  },
  {
    name: 'removes a file',
    before: () => write('f', 'x'),
    changes: [change('f', file(0o644, 'x'), ABSENT)],
  },
  {
    name: 'removes a link',
    before: () => symlinkSync('x', at('f')),
    changes: [change('f', symlink('x'), ABSENT)],
  },
  {
    name: 'removes an empty directory',
    before: () => mkdirSync(at('d'), 0o755),
    changes: [change('d', directory(0o755), ABSENT)],
  },
  {
    name: 'changes one path twice',
    changes: [
      change('f', ABSENT, file(0o644, 'x')),
      change('f', file(0o644, 'x'), file(0o600, 'x')),
    ],
  },
  ...[
    'a b',
    "it's",
    '"q"',
    '-rf',
    '$(touch X)',
    '`touch X`',
    'a;touch X',
    '*',
    '~',
    'a\\nb',
    'line\nfeed',
    'end\n',
    'ünï',
    '#c',
    '!x',
    '{a,b}',
  ].map((name) => ({
    name: `writes a file called ${JSON.stringify(name)}`,
    changes: [change(name, ABSENT, file(0o644, 'x\n', { mtime: 77 }))],
  })),
  {
    name: NOT_UTF8,
    changes: [change(Buffer.from([0x66, 0xff, 0xfe]), ABSENT, file(0o644, 'x'))],
  },
];

function write(name: string, text: string | Uint8Array, mode = 0o644): void {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
}

function standing(name: string | Buffer): unknown {
  const path = at(name);
  if (!lstatExists(path)) return 'absent';
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return { link: readlinkSync(path, 'latin1') };
  const mode = stat.mode & 0o7777;
  return stat.isDirectory()
    ? { directory: mode }
    : {
        mode,
        bytes: readFileSync(path).toString('latin1'),
        mtime: Math.floor(stat.mtimeMs / 1000),
      };
}

function lstatExists(path: Buffer): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function wanted(entry: Entry): unknown {
  if (entry.kind === 'symlink') return { link: entry.target };
  if (entry.kind === 'directory') return { directory: entry.mode };
  if (entry.kind !== 'file') return 'absent';
  const mtime = entry.mtime ?? (expect.any(Number) as number);
  return { mode: entry.mode, bytes: Buffer.from(entry.content.bytes!).toString('latin1'), mtime };
}

/** stat(1) as BSD has it, on top of GNU's. */
const BSD_STAT = `#!/bin/sh
[ "$1" = -f ] || exit 1
f=$2; shift 2
for p; do m=$(/usr/bin/stat -c %f -- "$p" 2>/dev/null) || continue
case $f in %p) printf '%o\\n' $((0x$m));;
*) printf '%s%o ' "\${f%%[%]p*}" $((0x$m)); /usr/bin/stat -c '%Y %u %d:%i %s %n' -- "$p";; esac; done
`;

/** A userland with another stat(1), or none of use: modes then come from `ls -l`, and times are not known. */
const withStat = (name: string, script: string): Kind => ({
  name: `a shell account with ${name}`,
  missing: false,
  open: async (readings) => {
    const tools = mkdtempSync(join(tmpdir(), 'prep-tools-'));
    writeFileSync(join(tools, 'stat'), script, { mode: 0o755 });
    const session = localSession({ home, path: `${tools}:${process.env['PATH'] ?? ''}` });
    const opened = await ShellAccount.open(session, { readings, loginShell: 'zsh' });
    return opened.account;
  },
});

const STATS = [withStat("BSD's stat", BSD_STAT), withStat('no stat', '#!/bin/sh\nexit 1\n')];

/** A system of busybox alone; without some applets, as OpenWrt's is. */
const inBusybox = (without: readonly string[]): Kind => {
  const name = `a shell account on busybox alone${without.map((one) => `, without ${one}`).join('')}`;
  return {
    name: noBusyboxRoot === undefined ? name : `${name} (${noBusyboxRoot})`,
    missing: noBusyboxRoot !== undefined,
    open: async (readings) => {
      const root = roots.get(name) ?? makeBusyboxRoot(without);
      roots.set(name, root);
      const session = localSession({ home, root });
      return (await ShellAccount.open(session, { readings, loginShell: 'zsh' })).account;
    },
  };
};
const roots = new Map<string, string>();
afterAll(() => roots.forEach((root) => rmSync(root, { recursive: true })));
const BUSYBOXES = [inBusybox([]), inBusybox(['cksum', 'od', 'stat', 'getent', 'timeout'])];

const KINDS: readonly Kind[] = [
  inMemory,
  overSftp,
  ...SERVERS,
  ...BUSYBOXES,
  ...STATS,
  ...SHELLS.map(overShell),
];

for (const kind of KINDS) {
  describe.skipIf(kind.missing)(
    `${kind.name}${kind.missing ? ' (not installed here)' : ''}`,
    () => {
      if (kind.server !== undefined) {
        const { server: at } = kind;
        beforeEach(() => {
          rmSync(home, { recursive: true });
          home = at().home;
          at().clear();
        });
      }

      async function applied(changes: readonly Change[]): Promise<Applied> {
        const readings = readingsFor(changes);
        const account = await kind.open(readings);
        const before = await account.probe(readings);
        const result = await account.apply(changes, applying(readings));
        account.close();
        const predicted = rehearse(before, ...changes);
        for (const { path } of readings) {
          expect(same(entryAt(result.facts!, path), entryAt(predicted, path)), path).toBe(true);
        }
        return result;
      }

      it.each(WRITES.filter(({ name }) => kind.anyName !== false || name !== NOT_UTF8))(
        '$name',
        async ({ changes, before }) => {
          before?.();
          const { outcomes } = await applied(changes);
          expect(outcomes.map(({ result }) => result)).toEqual(changes.map(() => 'done'));
          if (kind === inMemory) return;
          const last = new Map(
            changes.flatMap((one) =>
              one.what === 'entry' ? [[one.path, one.after] as const] : [],
            ),
          );
          for (const [path, after] of last)
            expect(standing(Buffer.from(path, 'latin1'))).toEqual(wanted(after));
          expect(
            readdirSync(home).filter((name) => name.startsWith('.prep-') || name === 'X'),
          ).toEqual([]);
        },
      );

      it('refuses what changed since it was read, and makes the other changes', async () => {
        write('f', 'edited');
        const changes = [
          change('f', file(0o644, 'old'), file(0o644, 'new')),
          change('g', ABSENT, file(0o644, 'g')),
        ];
        const account = await kind.open(readingsFor(changes));
        const { outcomes } = await account.apply(changes, applying(readingsFor(changes)));
        account.close();
        expect(outcomes.map(({ result }) => result)).toEqual(['stale', 'done']);
        expect(readFileSync(at('f'), 'utf8')).toBe('edited');
      });

      it.each(['mode', 'kind', 'link target'])('takes another %s for a change', async (what) => {
        if (what === 'mode') write('f', 'old', 0o666);
        if (what === 'kind') mkdirSync(at('f'));
        if (what === 'link target') symlinkSync('elsewhere', at('f'));
        const before = what === 'link target' ? symlink('here') : file(0o644, 'old');
        const changes = [change('f', before, file(0o644, 'new'))];
        const account = await kind.open(readingsFor(changes));
        const { outcomes } = await account.apply(changes, applying([]));
        account.close();
        expect(outcomes[0]?.result).toBe('stale');
      });
    },
  );
}

describe.each(SHELLS.map((shell) => ({ shell })))('what $shell reads', ({ shell }) => {
  const skip = !installed(shell);
  const read = async (readings: readonly Reading[]) => {
    const { account, facts } = await ShellAccount.open(localSession({ home, shell }), {
      readings,
      loginShell: 'zsh',
    });
    account.close();
    return facts;
  };

  it.skipIf(skip)('kinds, modes, times and bytes', async () => {
    write('f', ALL_BYTES, 0o640);
    utimesSync(at('f'), 1, 1_234_567_890);
    mkdirSync(at('d'), 0o750);
    symlinkSync('nowhere', at('l'));
    execFileSync('mkfifo', [at('p').toString()]);
    linkSync(at('f'), at('h'));
    const paths = ['f', 'd', 'l', 'p', 'h', 'none'].map((name) => remotePath(name));
    const facts = await read(paths.map((path) => ({ path, bytes: 'some' })));
    const entry = (name: string): Entry => entryAt(facts, remotePath(name));
    expect(entry('f')).toMatchObject({
      kind: 'file',
      mode: 0o640,
      mtime: 1_234_567_890,
      content: { size: 255 },
    });
    expect(Buffer.from((entry('f') as { content: { bytes: Uint8Array } }).content.bytes)).toEqual(
      ALL_BYTES,
    );
    expect(entry('d')).toMatchObject({ kind: 'directory', mode: 0o750 });
    expect(entry('l')).toEqual(symlink('nowhere'));
    expect(entry('p')).toEqual({ kind: 'special' });
    expect((entry('h') as { inode: string }).inode).toBe((entry('f') as { inode: string }).inode);
    expect(entry('none')).toEqual(ABSENT);
    expect(facts.account).toMatchObject({
      home: Buffer.from(home).toString('latin1'),
      uid: process.getuid!(),
    });
  });

  it.skipIf(skip)('no bytes that are known already, and none that are too many', async () => {
    write('same', 'same\n');
    write('other', 'other\n');
    write('big', 'x'.repeat(300_000));
    const unless = contentOf(Buffer.from('same\n'));
    const names = ['same', 'other', 'big'].map((name) => remotePath(name));
    const facts = await read(names.map((path) => ({ path, bytes: 'some', unless })));
    const bytes = names.map(
      (path) => (entryAt(facts, path) as { content: { bytes?: Uint8Array } }).content.bytes?.length,
    );
    expect(bytes).toEqual([undefined, 6, undefined]);
  });

  it.skipIf(skip)('what a followed link leads to', async () => {
    mkdirSync(at('real'));
    write('real/ak', 'keys\n');
    symlinkSync('real/ak', at('ak'));
    symlinkSync('real/none', at('dangling'));
    const facts = await read([
      { path: remotePath('ak'), follow: true, bytes: 'all' },
      { path: remotePath('dangling'), follow: true },
    ]);
    expect(facts.real.get(remotePath('ak'))).toBe('real/ak');
    expect(entryAt(facts, remotePath('real/ak'))).toMatchObject({
      kind: 'file',
      content: { bytes: Buffer.from('keys\n') },
    });
    expect(facts.real.get(remotePath('dangling'))).toBe('real/none');
    expect(entryAt(facts, remotePath('real/none'))).toEqual(ABSENT);
  });

  it.skipIf(skip)('private keys by their modes alone', async () => {
    mkdirSync(at('.ssh'));
    write('.ssh/id_x', '-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n', 0o644);
    write('.ssh/id_x.pub', 'ssh-ed25519 AAAA\n');
    const facts = await read([]);
    expect(facts.privateKeys).toEqual(['.ssh/id_x']);
    expect(entryAt(facts, remotePath('.ssh/id_x'))).toMatchObject({ kind: 'file', mode: 0o644 });
    expect(JSON.stringify([...facts.entries])).not.toContain('secret');
  });

  it.skipIf(skip)('hundreds of paths', async () => {
    const names = Array.from({ length: 450 }, (_, i) => `file ${i}`);
    for (const name of names) write(name, name);
    const facts = await read(names.map((name) => ({ path: remotePath(name), bytes: 'some' })));
    for (const name of names)
      expect(entryAt(facts, remotePath(name))).toMatchObject({ content: { size: name.length } });
  });
});

it.skipIf(noBusyboxRoot !== undefined)(
  'refuses a system on which no checksum can be computed (as root, with busybox)',
  async () => {
    const bare = inBusybox(['cksum', 'od', 'hexdump']);
    await expect(bare.open([])).rejects.toMatchObject({ problem: { code: 'no-checksums' } });
  },
);

it('keeps what it replaces, and writes down what it does', async () => {
  write('f', 'precious\n', 0o640);
  utimesSync(at('f'), 1, 1_111_111_111);
  const changes = [change('f', file(0o640, 'precious\n'), file(0o644, 'new\n'))];
  const account = await overShell('/bin/sh').open([]);
  await account.apply(changes, applying([]));
  account.close();
  const run = '.local/state/prep/0001-test';
  expect(standing(`${run}/1`)).toEqual({ mode: 0o640, bytes: 'precious\n', mtime: 1_111_111_111 });
  expect(standing(run)).toEqual({ directory: 0o700 });
  expect(JSON.parse(readFileSync(at(`${run}/journal`), 'utf8'))).toMatchObject({
    number: 1,
    step: 'test',
    change: { path: 'f' },
  });
});

it('leaves nothing of a run in which nothing came about', async () => {
  const changes: Change[] = [change('f', file(0o640, 'x'), file(0o644, 'new\n'))];
  const account = await overShell('/bin/sh').open([]);
  await account.apply(changes, applying([]));
  account.close();
  expect(existsSync(at('.local/state/prep/0001-test'))).toBe(false);
});

it('sends binary contents through a channel of their own where there is no SFTP', async () => {
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 256));
  const account = await overShell('/bin/sh').open([]);
  const readings: Reading[] = [{ path: remotePath('bin') }];
  const { outcomes, facts } = await account.apply(
    [change('bin', ABSENT, file(0o755, bytes, { mtime: 9 }))],
    applying(readings),
  );
  account.close();
  expect(outcomes[0]?.result).toBe('done');
  expect(facts && entryAt(facts, remotePath('bin'))).toMatchObject({
    mode: 0o755,
    mtime: 9,
    content: { size: 100_000 },
  });
  expect(readFileSync(at('bin')).equals(bytes)).toBe(true);
});

describe.skipIf(noBusyboxRoot !== undefined)(
  `a system that reads keys from a place of its own${noBusyboxRoot === undefined ? '' : ` (${noBusyboxRoot})`}`,
  () => {
    test.each([
      ['OpenWrt', 'etc/openwrt_release', '', '/etc/dropbear/authorized_keys'],
      ['Haiku', 'bin/uname', '#!/bin/sh\necho Haiku\n', 'config/settings/ssh/authorized_keys'],
      ['Linux', 'etc/other', '', '.ssh/authorized_keys'],
    ])('%s', async (_name, mark, text, keysFile) => {
      const root = makeBusyboxRoot(['uname']);
      try {
        writeFileSync(join(root, mark), text, { mode: 0o755 });
        mkdirSync(join(root, 'etc/dropbear'), { mode: 0o700 });
        const session = localSession({ home, root });
        const readings: Reading[] = [{ path: remotePath('.ssh/authorized_keys'), bytes: 'all' }];
        const { account, facts } = await ShellAccount.open(session, {
          readings,
          loginShell: 'zsh',
        });
        expect(facts.keysFile).toBe(keysFile);
        const changes = [change(keysFile, ABSENT, file(0o600, 'keys\n'))];
        if (keysFile.startsWith('config'))
          execFileSync('mkdir', ['-p', join(home, 'config/settings/ssh')]);
        if (keysFile.startsWith('.ssh')) mkdirSync(at('.ssh'));
        const applied = await account.apply(changes, applying(readings));
        account.close();
        expect(applied.outcomes.map(({ result }) => result)).toEqual(['done']);
        expect(entryAt(applied.facts!, remotePath(keysFile))).toMatchObject({
          mode: 0o600,
          content: { bytes: Buffer.from('keys\n') },
        });
      } finally {
        rmSync(root, { recursive: true });
      }
    });
  },
);
describe.each(SHELLS.map((shell) => ({ shell })))(
  'where the server allows no further channel, $shell',
  ({ shell }) => {
    const skip = !installed(shell);

    async function receives(bytes: Buffer): Promise<number> {
      const session = localSession({ home, shell });
      let channels = 0;
      const exec: Session['exec'] = (command) => {
        if (++channels === 1) return session.exec(command);
        const said = '(SSH) Channel open failure: open failed';
        return Promise.reject(new PrepError({ code: 'no-shell', said }));
      };
      const { account } = await ShellAccount.open(
        { ...session, exec },
        { readings: [], loginShell: 'zsh' },
      );
      const progress: number[] = [];
      const { outcomes } = await account.apply([change('bin', ABSENT, file(0o755, bytes))], {
        ...applying([]),
        onProgress: (_path, sent) => progress.push(sent),
      });
      account.close();
      expect(outcomes).toMatchObject([{ result: 'done' }]);
      expect(readFileSync(at('bin')).equals(bytes)).toBe(true);
      return progress.at(-1)!;
    }

    it.skipIf(skip)('receives every byte through the conversation', async () => {
      const bytes = Buffer.from(Array.from({ length: 700_001 }, (_, i) => (i * 31) >> 3));
      expect(await receives(bytes)).toBe(700_001);
    });

    it.skipIf(skip)('receives zeros, digits and the signs of printf', async () => {
      await receives(Buffer.from(`-n\0\x007\0${'\0'.repeat(40_000)}%s%%\\n\\0'"\n\r\n`, 'latin1'));
    });
  },
);

it('says of a disk what it says itself, where contents go through the conversation', async () => {
  const session = localSession({ home });
  const first = session.exec.bind(session);
  let channels = 0;
  const exec: Session['exec'] = (command) => {
    if (++channels === 1) return first(command);
    const { checksum } = contentOf(Buffer.from([0]));
    mkdirSync(at(`.local/state/prep/0001-test/sent-1-${checksum}-1`));
    const said = '(SSH) Channel open failure: open failed';
    return Promise.reject(new PrepError({ code: 'no-shell', said }));
  };
  const { account } = await ShellAccount.open(
    { ...session, exec },
    { readings: [], loginShell: 'zsh' },
  );
  const { outcomes } = await account.apply(
    [change('bin', ABSENT, file(0o755, Buffer.from([0])))],
    applying([]),
  );
  account.close();
  expect(outcomes).toMatchObject([
    {
      result: 'failed',
      problem: { code: 'write-failed', said: expect.stringMatching(/is a directory/i) },
    },
  ]);
});
