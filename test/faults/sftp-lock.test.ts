import { execFileSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ABSENT, type Content } from '../../src/core/facts.ts';
import type { Change } from '../../src/core/plan.ts';
import { explain, type PrepError } from '../../src/core/problem.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { cksum } from '../../src/core/cksum.ts';
import type { Account } from '../../src/remote/account.ts';
import { LOCK, type Holder } from '../../src/remote/lock.ts';
import { SftpAccount, type Waiting } from '../../src/remote/sftp-account.ts';
import { SftpLock } from '../../src/remote/sftp-lock.ts';
import { SftpRequests } from '../../src/remote/sftp-requests.ts';
import { SftpRun } from '../../src/remote/sftp-run.ts';
import { ShellAccount } from '../../src/remote/shell-account.ts';
import type { Session } from '../../src/ssh/session.ts';
import { file } from '../support/facts.ts';
import { localSession } from '../support/local-session.ts';
import { alive, dead, endAll, identity, zombie } from '../support/lock-holders.ts';
import { SFTP_SERVER, sftpSession } from '../support/sftp-session.ts';

let home: string;
const sessions: Session[] = [];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prep-sftp-lock-'));
});
afterEach(() => {
  endAll();
  sessions.splice(0).forEach((session) => session.close());
  rmSync(home, { recursive: true, force: true });
});

const RUNS = dirname(LOCK);
const at = (name: string): string => join(home, name);
const change: Change = {
  what: 'entry',
  path: remotePath('f'),
  before: ABSENT,
  after: file(0o644, 'new\n'),
  reason: 'a test',
};
const applying = (run = '0001-test') => ({ run, readings: [], stepOf: () => 'test' });

/** What would be a second is short here. */
const brief = (): Promise<unknown> => sleep(2);

/** A session that lets in SFTP alone, of a server that may not know all requests. */
function session(without: readonly string[] = []): Session {
  const made = sftpSession({ home, without });
  sessions.push(made);
  return made;
}

async function open(waiting: Waiting = {}, without: readonly string[] = []): Promise<Account> {
  const made = session(without);
  const probe = { readings: [{ path: remotePath('f') }], loginShell: 'zsh' };
  const sftp = (await made.sftp())!;
  return (await SftpAccount.open(made, sftp, probe, { pause: brief, ...waiting })).account;
}

async function openShell(): Promise<Account> {
  const probe = { readings: [], loginShell: 'zsh' };
  return (await ShellAccount.open(localSession({ home }), probe)).account;
}

/** A run that has begun, over a server process of its own. */
async function begin(name: string, pause: () => Promise<unknown> = brief): Promise<SftpRun> {
  return beginOver(session(), name, pause);
}

async function beginOver(
  over: Session,
  name: string,
  pause: () => Promise<unknown> = brief,
): Promise<SftpRun> {
  const sftp = new SftpRequests((await over.sftp())!);
  return SftpRun.begin(sftp, new SftpLock(sftp, pause), name, [change]);
}

/** A run over SFTP of which nothing can be seen but its journal, as in a chroot. */
const UNSEEN = '- - - - - 20260102T030405Z 0007-unseen';

function lock(holder: string, name: string = LOCK): void {
  mkdirSync(at(dirname(name)), { recursive: true });
  symlinkSync(holder, at(name));
}

const locked = (): boolean => lstatSync(at(LOCK), { throwIfNoEntry: false }) !== undefined;

async function applies(account: Promise<Account> = open()): Promise<void> {
  const { outcomes } = await (await account).apply([change], applying());
  (await account).close();
  expect(outcomes).toMatchObject([{ result: 'done' }]);
  expect(readFileSync(at('f'), 'utf8')).toBe('new\n');
  expect(readdirSync(at(RUNS))).toEqual(['0001-test']);
  expect(readdirSync(at(`${RUNS}/0001-test`))).toEqual(['journal']);
}

const sentenceOf = (error: unknown): string => explain((error as PrepError).problem).sentence;

describe.skipIf(SFTP_SERVER === undefined)('the lock of a run over SFTP', () => {
  test('is gone after a run, whether or not it came to anything', async () => {
    await applies();
    writeFileSync(at('f'), 'edited');
    const account = await open();
    const { outcomes } = await account.apply([change], applying('0002-test'));
    account.close();
    expect(outcomes[0]?.result).toBe('stale');
    expect(readdirSync(at(RUNS))).toEqual(['0001-test']);
  });

  test('is not taken by a run that only reads', async () => {
    (await open()).close();
    expect(readdirSync(home)).toEqual([]);
  });

  test('names the process of the server as a shell would', async () => {
    const run = await begin('0001-test');
    const held = readlinkSync(at(LOCK));
    const [process = '', ...words] = held.split(' ');
    const [, ...others] = identity(Number(process)).split(' ');
    expect(readFileSync(`/proc/${process}/comm`, 'utf8')).toBe('sftp-server\n');
    expect(words.slice(0, 4)).toEqual(others.slice(0, 4));
    expect(words.slice(4)).toEqual([expect.stringMatching(/^\d{8}T\d{6}Z$/), '0001-test']);
    await run.leave();
    expect(readdirSync(at(RUNS))).toEqual([]);
  });

  test('makes the next run wait, read again and go on', async () => {
    const run = await begin('0001-other');
    const heard: Holder[] = [];
    const account = await open({
      onWaiting: (holder) => {
        heard.push(holder);
        writeFileSync(at('f'), 'theirs');
        void run.leave();
      },
    });
    account.close();
    expect(heard).toEqual([
      {
        process: expect.stringMatching(/^\d+$/),
        host: expect.any(String),
        since: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/),
      },
    ]);
  });

  test('that stays makes the next run say so, and change nothing', async () => {
    lock(identity(alive()));
    const error: unknown = await open().catch((error: unknown) => error);
    expect(sentenceOf(error)).toMatch(
      /^another run of prep has been at work there since 2026-01-02 03:04:05 UTC \(process \d+ on \S+\); run prep again when it has ended, or end that process$/,
    );
    expect(readdirSync(home)).toEqual(['.local']);
  });

  test('that is taken between reading and writing makes the changes be refused', async () => {
    const account = await open();
    lock(identity(alive()));
    const { outcomes } = await account.apply([change], applying());
    account.close();
    expect(outcomes).toMatchObject([{ result: 'failed', problem: { code: 'busy' } }]);
    expect(existsSync(at('f'))).toBe(false);
    expect(readdirSync(at(RUNS))).toEqual(['lock']);
  });

  test('keeps out a run over a shell, and the other way round', async () => {
    const run = await begin('0001-other');
    const probe = { readings: [{ path: remotePath('f') }], loginShell: 'zsh' };
    const shell = await ShellAccount.open(localSession({ home }), probe, undefined, () => {
      void run.leave();
    });
    shell.account.close();
    const held: string[] = [];
    lock(identity(alive()));
    await applies(
      open({
        onWaiting: ({ process }) => {
          held.push(process);
          rmSync(at(LOCK));
        },
      }),
    );
    expect(held).toHaveLength(1);
  });
});

describe.skipIf(SFTP_SERVER === undefined)('a lock that is left behind, met over SFTP,', () => {
  test.each<[string, () => string | Promise<string>]>([
    ['is gone', () => identity(dead())],
    ['has ended, and nobody took note', zombie],
  ])('is taken over at once where its process %s', async (_, holder) => {
    lock(await holder());
    const begun = Date.now();
    await applies(open({ pause: () => sleep(60_000) }));
    expect(Date.now() - begun).toBeLessThan(30_000);
  });

  test('is taken over at once where its connection was cut', async () => {
    const made = session();
    await beginOver(made, '0001-cut');
    const [process] = readlinkSync(at(LOCK)).split(' ');
    made.close();
    while (existsSync(`/proc/${process}`)) await sleep(5);
    await applies(open({ pause: () => sleep(60_000) }));
  });

  test.each(['', 'x'])(
    'is taken over once it has shown no sign of life for long, where nothing can be seen of its process (lock%s)',
    async (guard) => {
      lock(UNSEEN);
      if (guard !== '') lock(UNSEEN, `${LOCK}${guard}`);
      let rounds = 0;
      await applies(
        open({
          pause: () => {
            rounds++;
            return brief();
          },
        }),
      );
      expect(rounds).toBeGreaterThanOrEqual(30);
      expect(rounds).toBeLessThanOrEqual(40);
    },
  );

  test('is left alone while its run shows that it is alive, whatever the clock says', async () => {
    lock(UNSEEN);
    mkdirSync(at(`${RUNS}/0007-unseen`));
    const journal = at(`${RUNS}/0007-unseen/journal`);
    writeFileSync(journal, '');
    let time = 1_000_000_000;
    const pause = (): Promise<unknown> => {
      execFileSync('touch', ['-d', `@${time++}`, journal]);
      return brief();
    };
    const error: unknown = await open({ pause }).catch((error: unknown) => error);
    expect(sentenceOf(error)).toMatch(
      /^another run of prep has been at work there since 2026-01-02 03:04:05 UTC; run prep again when it has ended$/,
    );
    expect(locked()).toBe(true);
  });

  test('is met by no run while another shows every second that it is alive', async () => {
    const run = await begin('0001-test');
    const journal = at(`${RUNS}/0001-test/journal`);
    const times = new Set<number>();
    for (let look = 0; look < 12; look++) {
      times.add(statSync(journal).mtimeMs);
      await sleep(300);
    }
    expect(times.size).toBeGreaterThanOrEqual(3);
    await run.leave();
  });
});

describe.skipIf(SFTP_SERVER === undefined)('where the server makes no links', () => {
  test('a file is the lock, with the same rules', async () => {
    await applies(open({}, ['symlink']));
    writeFileSync(at(LOCK), identity(alive()));
    const error: unknown = await open({}, ['symlink']).catch((error: unknown) => error);
    expect(sentenceOf(error)).toMatch(/^another run of prep/);
    for (const left of [identity(dead()), '']) {
      rmSync(at(RUNS), { recursive: true });
      rmSync(at('f'));
      mkdirSync(at(RUNS));
      writeFileSync(at(LOCK), left);
      await applies(open({}, ['symlink']));
    }
  });
});

test.skipIf(SFTP_SERVER === undefined)(
  'of many runs at once, some over SFTP and some over a shell, with a dead lock in the way, one works at a time',
  async () => {
    lock(identity(dead()));
    let [within, most, ran] = [0, 0, 0];
    const overSftp = async (name: string): Promise<void> => {
      const run = await begin(name, () => sleep(20));
      most = Math.max(most, ++within);
      await sleep(10);
      within--;
      ran++;
      await run.leave();
    };
    const append = (name: string): Change => ({ ...change, path: remotePath(name) });
    const overShell = async (name: string): Promise<void> => {
      const probe = { readings: [], loginShell: 'zsh' };
      const { account } = await ShellAccount.open(localSession({ home }), probe);
      const { outcomes } = await account.apply([append(name)], applying(name));
      account.close();
      expect(outcomes).toMatchObject([{ result: 'done' }]);
    };
    const names = Array.from({ length: 10 }, (_, index) => `${index}`);
    await Promise.all([
      ...names.map((name) => overSftp(`0001-${name}`)),
      ...names.slice(0, 3).map((name) => overShell(`0002-${name}`)),
    ]);
    expect([most, ran]).toEqual([1, 10]);
    expect(readdirSync(at(RUNS)).sort()).toEqual(['0002-0', '0002-1', '0002-2']);
  },
);

describe.skipIf(SFTP_SERVER === undefined)('the next run over SFTP that changes something', () => {
  /** What a run left that broke off. */
  const left = (run: string, owner: string): void => {
    mkdirSync(at(`${RUNS}/${run}`), { recursive: true });
    symlinkSync(owner, at(`${RUNS}/${run}/owner`));
    writeFileSync(at(`${RUNS}/${run}/sent-1-2-3`), 'abc');
    writeFileSync(at(`original-${run}`), 'kept, but nothing came of it');
    linkSync(at(`original-${run}`), at(`${RUNS}/${run}/1`));
    writeFileSync(at(`${RUNS}/${run}/beside`), './\n./with space \\0047/\n');
    mkdirSync(at("with space '"), { recursive: true });
    for (const name of ['', "with space '/"]) writeFileSync(at(`${name}.prep-${run}-1`), 'half');
  };
  const seen = (): string[] =>
    readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /prep-\d|sent-|owner|beside|prep\/00/.test(name),
    );

  test.each([
    ['over a shell', () => identity(dead())],
    ['over SFTP', () => '- - - - - - 0000-dead'],
  ])('sweeps what a dead run left %s', async (_, owner) => {
    left('0000-dead', owner());
    writeFileSync(at('.prep-mine'), 'the name is no proof');
    await applies();
    expect(seen()).toEqual([`${RUNS}/0001-test`, `${RUNS}/0001-test/journal`]);
    expect(existsSync(at('.prep-mine'))).toBe(true);
  });

  test('leaves alone what is of a shell that is alive, and what a dead run can be undone by', async () => {
    left('0000-alive', identity(alive()));
    const before = seen();
    left('0002-dead', '- - - - - - 0002-dead');
    writeFileSync(at(`${RUNS}/0002-dead/journal`), '{}\n');
    const { outcomes } = await (await open()).apply([change], applying());
    expect(outcomes).toMatchObject([{ result: 'done' }]);
    const kept = ['journal', '1'].map((name) => `${RUNS}/0002-dead/${name}`);
    const own = [`${RUNS}/0001-test`, `${RUNS}/0001-test/journal`];
    expect(seen().sort()).toEqual([...before, `${RUNS}/0002-dead`, ...kept, ...own].sort());
  });

  test.each([
    ['over SFTP', () => open()],
    ['over a shell', () => openShell()],
  ])('removes no copy that is the last of its kind, %s', async (_, opened) => {
    left('0000-dead', identity(dead()));
    // The power cut kept the change, and lost the journal's lines.
    writeFileSync(at(`${RUNS}/0000-dead/journal`), '');
    writeFileSync(at('new'), 'new');
    renameSync(at('new'), at('original-0000-dead'));
    const account = await opened();
    await account.apply([change], applying());
    account.close();
    expect(readdirSync(at(`${RUNS}/0000-dead`))).toEqual(['1']);
    expect(readFileSync(at(`${RUNS}/0000-dead/1`), 'utf8')).toBe('kept, but nothing came of it');
    expect(readdirSync(home).filter((name) => name.startsWith('.prep-'))).toEqual([]);
  });

  test('and what is left by one over SFTP is swept by a shell', async () => {
    left('0000-dead', '- - - - - - 0000-dead');
    await applies(openShell());
    expect(seen()).toEqual([`${RUNS}/0001-test`, `${RUNS}/0001-test/journal`]);
  });
});

describe.skipIf(SFTP_SERVER === undefined)('a large file that is sent over SFTP alone', () => {
  const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * i) >> 7));

  /** Sends the file to a server that dies at some moment; gives how much of it is there. */
  async function interrupted(change: Change): Promise<number> {
    const made = session();
    const account = (
      await SftpAccount.open(made, (await made.sftp())!, { readings: [], loginShell: 'zsh' })
    ).account;
    const onProgress = (_: unknown, sent: number): void => {
      if (sent > 1_000_000) made.close();
    };
    const { outcomes } = await account.apply([change], { ...applying('0001-cut'), onProgress });
    expect(outcomes).toMatchObject([{ result: 'unknown' }]);
    const sent = readdirSync(at(`${RUNS}/0001-cut`)).find((name) => name.startsWith('sent-'));
    return statSync(at(`${RUNS}/0001-cut/${sent}`)).size;
  }

  function largeChange(): Change {
    writeFileSync(at('local'), bytes);
    const content: Content = {
      size: bytes.length,
      checksum: cksum(bytes),
      localFile: at('local'),
    };
    const after = { kind: 'file', mode: 0o640, mtime: 1_000_000_000, content } as const;
    return { ...change, after } as Change;
  }

  test.each([
    ['goes on where it was', false],
    ['starts over where what is there is no beginning of it', true],
  ])('%s', async (_, spoilt) => {
    const large = largeChange();
    const there = await interrupted(large);
    expect(there).toBeGreaterThan(500_000);
    if (spoilt) {
      const [name = ''] = readdirSync(at(`${RUNS}/0001-cut`)).filter((one) =>
        one.startsWith('sent'),
      );
      const half = readFileSync(at(`${RUNS}/0001-cut/${name}`));
      half[7]! ^= 1;
      writeFileSync(at(`${RUNS}/0001-cut/${name}`), half);
    }
    const shown: number[] = [];
    const account = await open();
    const onProgress = (_: unknown, sent: number): void => void shown.push(sent);
    const { outcomes } = await account.apply([large], { ...applying(), onProgress });
    account.close();
    expect(outcomes).toMatchObject([{ result: 'done' }]);
    expect(readFileSync(at('f')).equals(bytes)).toBe(true);
    expect(statSync(at('f')).mode & 0o7777).toBe(0o640);
    expect(statSync(at('f')).mtimeMs).toBe(1_000_000_000_000);
    if (spoilt) expect(shown[0]).toBeLessThan(100_000);
    else expect(shown[0]).toBeGreaterThan(there);
    expect(shown.at(-1)).toBe(bytes.length);
    expect(readdirSync(at(RUNS))).toEqual(['0001-test']);
    expect(readdirSync(home).filter((name) => name.startsWith('.prep-'))).toEqual([]);
  });
});
