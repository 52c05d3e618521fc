import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SFTPWrapper } from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ABSENT, contentOf, entryAt, type Entry, type Facts } from '../../src/core/facts.ts';
import type { Desired } from '../../src/core/desired.ts';
import type { EntryChange } from '../../src/core/plan.ts';
import { remotePath } from '../../src/core/remote-path.ts';
import { SftpAccount } from '../../src/remote/sftp-account.ts';
import type { Session } from '../../src/ssh/session.ts';
import { authorizedKeys } from '../../steps/authorized-keys.ts';
import { dotfiles } from '../../steps/dotfiles.ts';
import { zlogin } from '../../steps/zlogin.ts';
import { file } from '../support/facts.ts';
import { SFTP_SERVER, sftpSession } from '../support/sftp-session.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prep-home-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const at = (name: string): string => join(home, name);
const change = (path: string | Uint8Array, before: Entry, after: Entry): EntryChange => ({
  what: 'entry',
  path: remotePath(path),
  before,
  after,
  reason: 'a test',
});

async function open(without: readonly string[] = []) {
  const session = sftpSession({ home, without });
  const opened = await SftpAccount.open(session, (await session.sftp())!, {
    readings: [],
    loginShell: 'zsh',
    user: 'alice',
  });
  return { session, ...opened };
}

async function apply(changes: readonly EntryChange[], without: readonly string[] = []) {
  const { account } = await open(without);
  const applied = await account.apply(changes, {
    run: '0001-test',
    readings: [],
    stepOf: () => 'test',
  });
  account.close();
  return applied.outcomes;
}

const NOTHING: Desired = { keys: [], dotfiles: [], loginShell: 'zsh' };

/** How many bytes of files have been asked for and were given, from now on. */
async function countReads(session: Session): Promise<() => number> {
  const { raw } = (await session.sftp())!;
  const read = raw.read.bind(raw);
  let count = 0;
  raw.read = (...words: Parameters<typeof read>): void => {
    const [handle, buffer, offset, length, position, done] = words;
    read(handle, buffer, offset, length, position, (error, bytes, ...rest) => {
      count += error ? 0 : bytes;
      done(error, bytes, ...rest);
    });
  };
  return () => count;
}

/** Lets nothing be written into files whose path ends so: the disk is full. */
function fullFor(raw: SFTPWrapper, end: string): void {
  const { open: opens, write } = raw;
  let full: Buffer | undefined;
  raw.open = (path: string, ...words: unknown[]): void => {
    const done = words.at(-1) as (error: Error | undefined, handle: Buffer) => void;
    const noted = (error: Error | undefined, handle: Buffer): void => {
      if (path.endsWith(end)) full = handle;
      done(error, handle);
    };
    (opens as (...all: unknown[]) => void).call(raw, path, ...words.slice(0, -1), noted);
  };
  raw.write = (...words: Parameters<typeof write>): void => {
    if (full?.equals(words[0]) === true) words[5]?.(new Error('No space left on device'));
    else write.apply(raw, words);
  };
}

const leftovers = (): string[] => readdirSync(home).filter((name) => name.startsWith('.prep-'));

describe.skipIf(SFTP_SERVER === undefined)('over SFTP alone', () => {
  test('what cannot be known is said to be unknown', async () => {
    const { account, facts } = await open();
    account.close();
    expect(facts.account).toMatchObject({
      user: 'alice',
      uid: undefined,
      home,
      loginShell: '',
      passwd: 'unknown',
      access: 'sftp',
    });
    expect(facts.system).toMatchObject({ shells: [], found: '', sudo: false });
  });

  test('a name that is not UTF-8 is refused in one sentence, and the rest is done', async () => {
    const outcomes = await apply([
      change(Buffer.from([0x66, 0xff]), ABSENT, file(0o644, 'x')),
      change('g', ABSENT, file(0o644, 'x')),
    ]);
    expect(outcomes[0]).toMatchObject({
      result: 'failed',
      problem: { code: 'write-failed', said: expect.stringContaining('not UTF-8') as string },
    });
    expect(readFileSync(at('g'), 'utf8')).toBe('x');
  });

  test('a server that cannot replace a file in one step keeps what is there', async () => {
    writeFileSync(at('f'), 'old', { mode: 0o644 });
    chmodSync(at('f'), 0o644);
    const outcomes = await apply(
      [
        change('f', file(0o644, 'old'), file(0o644, 'new')),
        change('g', ABSENT, file(0o644, 'new')),
      ],
      ['posix-rename'],
    );
    expect(outcomes.map(({ result }) => result)).toEqual(['failed', 'done']);
    expect(outcomes[0]).toMatchObject({
      problem: { said: expect.stringContaining('posix-rename') as string },
    });
    expect(readFileSync(at('f'), 'utf8')).toBe('old');
    expect(leftovers()).toEqual([]);
  });

  test('a server without hard links keeps a copy', async () => {
    writeFileSync(at('f'), 'old', { mode: 0o640 });
    const [outcome] = await apply(
      [change('f', file(0o640, 'old', { mtime: 5 }), file(0o644, 'new'))],
      ['hardlink'],
    );
    expect(outcome?.result).toBe('done');
    const kept = at('.local/state/prep/0001-test/1');
    expect(readFileSync(kept, 'utf8')).toBe('old');
    expect([statSync(kept).mode & 0o7777, statSync(kept).mtimeMs]).toEqual([0o640, 5000]);
  });

  test('a link is the right way round where OpenSSH has another name, as behind dropbear', async () => {
    const session = sftpSession({ home });
    const sftp = (await session.sftp())!;
    Object.assign(sftp.raw, { _isOpenSSH: false });
    const { account } = await SftpAccount.open(session, sftp, { readings: [], loginShell: 'zsh' });
    const { outcomes } = await account.apply(
      [change('f', ABSENT, { kind: 'symlink', target: remotePath('there') })],
      { run: '0001-test', readings: [], stepOf: () => 'test' },
    );
    account.close();
    expect(outcomes[0]?.result).toBe('done');
    expect(readlinkSync(at('f'))).toBe('there');
    expect(readdirSync(at('.local/state/prep'))).toEqual(['0001-test']);
  });

  test.each([[['1', '2']], [['2', '1']]])(
    'of two runs that began at once, the later is the last, in whatever order the server lists them (%j)',
    async (days) => {
      const names = days.map((day) => `0001-2026010${day}T000000Z-00000000`);
      for (const name of names) {
        mkdirSync(at(`.local/state/prep/${name}`), { recursive: true });
        writeFileSync(at(`.local/state/prep/${name}/journal`), 'x\n');
      }
      const { account, facts } = await open();
      account.close();
      expect(facts.runs).toEqual(names.toSorted());
    },
  );

  test('a run gives its lock back though the server cannot close its journal', async () => {
    const session = sftpSession({ home });
    const sftp = (await session.sftp())!;
    const close = sftp.raw.close.bind(sftp.raw);
    sftp.raw.close = (handle, done): void =>
      close(handle, () =>
        done?.(existsSync(at('d')) ? new Error('Disk quota exceeded') : undefined),
      );
    const { account } = await SftpAccount.open(session, sftp, { readings: [], loginShell: 'zsh' });
    const folder: Entry = { kind: 'directory', mode: 0o700 };
    const { outcomes } = await account.apply([change('d', ABSENT, folder)], {
      run: '0001-test',
      readings: [],
      stepOf: () => 'test',
    });
    account.close();
    expect(outcomes[0]?.result).toBe('done');
    expect(readdirSync(at('.local/state/prep'))).toEqual(['0001-test']);
  });

  test('half a copy of what would be replaced does not stay where it could not be kept', async () => {
    writeFileSync(at('f'), 'old', { mode: 0o644 });
    writeFileSync(at('g'), 'new', { mode: 0o600 });
    const session = sftpSession({ home, without: ['hardlink'] });
    const sftp = (await session.sftp())!;
    fullFor(sftp.raw, '/1');
    const { account } = await SftpAccount.open(session, sftp, { readings: [], loginShell: 'zsh' });
    const { outcomes } = await account.apply(
      [
        change('f', file(0o644, 'old'), file(0o644, 'new')),
        change('g', file(0o600, 'new'), file(0o640, 'new')),
      ],
      { run: '0001-test', readings: [], stepOf: () => 'test' },
    );
    account.close();
    expect(outcomes.map(({ result }) => result)).toEqual(['failed', 'done']);
    expect(readFileSync(at('f'), 'utf8')).toBe('old');
    expect(readdirSync(at('.local/state/prep/0001-test'))).toEqual(['journal']);
  });

  test('the journal is what a shell would have written', async () => {
    writeFileSync(at('f'), 'old', { mode: 0o640 });
    await apply([change('f', file(0o640, 'old'), file(0o644, 'new'))]);
    const run = at('.local/state/prep/0001-test');
    expect(statSync(run).mode & 0o7777).toBe(0o700);
    expect(JSON.parse(readFileSync(join(run, 'journal'), 'utf8'))).toMatchObject({
      number: 1,
      step: 'test',
      change: { path: 'f', before: { mode: 0o640, content: { size: 3 } } },
    });
  });

  test('a run in which nothing came about leaves nothing', async () => {
    writeFileSync(at('f'), 'edited');
    const [outcome] = await apply([change('f', file(0o644, 'old'), file(0o644, 'new'))]);
    expect(outcome?.result).toBe('stale');
    expect(existsSync(at('.local/state/prep/0001-test'))).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test('what came to be there meanwhile is not replaced', async () => {
    const session = sftpSession({ home });
    const sftp = (await session.sftp())!;
    const { rename } = sftp.raw;
    sftp.raw.rename = function late(...words: Parameters<typeof rename>): void {
      writeFileSync(at('f'), 'theirs');
      rename.apply(this, words);
    };
    const { account } = await SftpAccount.open(session, sftp, { readings: [], loginShell: 'zsh' });
    const { outcomes } = await account.apply([change('f', ABSENT, file(0o644, 'ours'))], {
      run: '0001-test',
      readings: [],
      stepOf: () => 'test',
    });
    account.close();
    expect(outcomes[0]?.result).toBe('stale');
    expect(readFileSync(at('f'), 'utf8')).toBe('theirs');
    expect(leftovers()).toEqual([]);
  });

  test('a large file of another size is not read back, one of the same size is', async () => {
    writeFileSync(at('same'), 'x'.repeat(300_000));
    writeFileSync(at('other'), 'x'.repeat(300_001));
    const { account } = await open();
    const unless = contentOf(Buffer.from('y'.repeat(300_000)));
    const names = ['same', 'other'].map((name) => remotePath(name));
    const facts: Facts = await account.probe(
      names.map((path) => ({ path, bytes: 'some', unless })),
    );
    account.close();
    expect(entryAt(facts, names[0]!)).toMatchObject({
      content: { size: 300_000, checksum: contentOf(Buffer.from('x'.repeat(300_000))).checksum },
    });
    expect((entryAt(facts, names[1]!) as { content: object }).content).toEqual({ size: 300_001 });
  });

  test.each([
    ['of the wanted mode and time is not read back', {}, 0],
    ['that was written since is read back', { mtime: 1_700_000_001 }, 300_000],
    ['of another mode is read back', { mode: 0o600 }, 300_000],
  ])('a large file of the same size %s', async (_, differing, bytes) => {
    const content = contentOf(Buffer.from('x'.repeat(300_000)));
    const wanted: Entry = { kind: 'file', mode: 0o640, mtime: 1_700_000_000, content };
    const { path, entry } = { path: remotePath('large'), entry: wanted };
    expect(await apply([change('large', ABSENT, { ...wanted, ...differing })])).toMatchObject([
      { result: 'done' },
    ]);
    const { session, account } = await open();
    const read = await countReads(session);
    const keys: Desired = { ...NOTHING, dotfiles: [{ path, entry }] };
    const facts = await account.probe(dotfiles.reads(keys));
    account.close();
    expect(read()).toBe(bytes);
    const { checksum, size } = content;
    expect(entryAt(facts, path)).toMatchObject({
      ...wanted,
      ...differing,
      content: { checksum, size },
    });
  });

  test('a link whose target is not UTF-8 is never replaced, for it could not be put back', async () => {
    const target = Buffer.from([0x66, 0xe9]);
    symlinkSync(target, at('.zshrc'));
    symlinkSync(target, at('.zlogin'));
    mkdirSync(at('.ssh'));
    symlinkSync('../.zshrc', at('.ssh/authorized_keys'));
    const { account } = await open();
    const entry = file(0o644, 'new', { mtime: 5 });
    const desired: Desired = { ...NOTHING, dotfiles: [{ path: remotePath('.zshrc'), entry }] };
    const steps = [dotfiles, zlogin, authorizedKeys];
    const facts = await account.probe(steps.flatMap((step) => step.reads(desired)));
    account.close();
    const verdicts = steps.map((step) => step.plan(facts, desired));
    const because = expect.stringMatching(/link whose target is not UTF-8|is a symlink/) as string;
    expect(verdicts).toEqual(steps.map(() => ({ kind: 'blocked', because })));
    expect(readlinkSync(at('.zshrc'), 'buffer')).toEqual(target);
  });

  test('hundreds of files arrive, each whole', async () => {
    const names = Array.from({ length: 300 }, (_, i) => `d/${i}`);
    const outcomes = await apply([
      change('d', ABSENT, { kind: 'directory', mode: 0o700 }),
      ...names.map((name) => change(name, ABSENT, file(0o600, name, { mtime: 7 }))),
    ]);
    expect(new Set(outcomes.map(({ result }) => result))).toEqual(new Set(['done']));
    expect(names.every((name) => readFileSync(at(name), 'utf8') === name)).toBe(true);
  });

  test('a connection that breaks leaves each path old or new, and says what is not certain', async () => {
    for (let after = 0; after < 40; after += 3) {
      rmSync(home, { recursive: true });
      mkdirSync(home);
      writeFileSync(at('f'), 'old', { mode: 0o644 });
      chmodSync(at('f'), 0o644);
      const { session, account } = await open();
      let answers = 0;
      const { raw } = (await session.sftp())!;
      const push = (raw as unknown as { push(data: Buffer | null): void }).push.bind(raw);
      Object.assign(raw, {
        push: (data: Buffer | null) => (answers++ < after ? push(data) : session.close()),
      });
      const { outcomes } = await account.apply(
        [
          change('f', file(0o644, 'old'), file(0o644, 'new')),
          change('g', ABSENT, file(0o644, 'new')),
        ],
        { run: '0001-test', readings: [], stepOf: () => 'test' },
      );
      expect(['old', 'new']).toContain(readFileSync(at('f'), 'utf8'));
      expect(existsSync(at('g')) ? readFileSync(at('g'), 'utf8') : 'new').toBe('new');
      for (const outcome of outcomes) {
        if (outcome.result === 'done') continue;
        expect(outcome).toMatchObject({ result: 'unknown', problem: { code: 'connection-lost' } });
      }
    }
  });

  test('what a followed link leads to is read, and private keys by their modes alone', async () => {
    mkdirSync(at('.ssh'));
    writeFileSync(at('.ssh/id_x'), '-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n');
    writeFileSync(at('.ssh/id_x.pub'), 'ssh-ed25519 AAAA\n');
    writeFileSync(at('keys'), 'keys\n');
    symlinkSync('../keys', at('.ssh/authorized_keys'));
    symlinkSync('none', at('dangling'));
    const { account } = await open();
    const facts = await account.probe([
      { path: remotePath('.ssh/authorized_keys'), follow: true, bytes: 'all' },
      { path: remotePath('dangling'), follow: true },
    ]);
    account.close();
    expect(Object.fromEntries(facts.real)).toEqual({
      '.ssh/authorized_keys': 'keys',
      dangling: 'none',
    });
    expect(entryAt(facts, remotePath('keys'))).toMatchObject({
      content: { bytes: Buffer.from('keys\n') },
    });
    expect(facts.privateKeys).toEqual(['.ssh/id_x']);
    expect(JSON.stringify([...facts.entries])).not.toContain('secret');
  });
});
