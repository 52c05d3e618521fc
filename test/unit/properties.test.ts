import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addKeys, parseAuthorizedKey, type AuthorizedKey } from '../../src/core/authorized-key.ts';
import type { Outcome } from '../../src/core/event.ts';
import {
  ABSENT,
  contentOf,
  entryAt,
  realPath,
  same,
  sameContent,
  type Entry,
  type Facts,
} from '../../src/core/facts.ts';
import {
  changesOf,
  invert,
  makePlan,
  rehearse,
  type Change,
  type Desired,
  type EntryChange,
  type LocalFile,
  type Plan,
  type Step,
} from '../../src/core/plan.ts';
import { readingsOf } from '../../src/core/readings.ts';
import { parentOf, remotePath, type RemotePath } from '../../src/core/remote-path.ts';
import { journalLine, readJournal, type JournalLine } from '../../src/remote/journal.ts';
import { undoPlan } from '../../src/run/undo-plan.ts';
import { steps } from '../../steps/index.ts';
import { directory, factsOf, symlink } from '../support/facts.ts';
import { MemoryAccount } from '../support/memory-account.ts';

const DESTINATION = { user: 'alice', host: 'web1' };
const RUN = '0001-20260101T000000Z';
const AUTHORIZED_KEYS = remotePath('.ssh/authorized_keys');

// --- what an account can look like ---

const uid = 1000;
const owner = fc.constantFrom(uid, uid, uid, 0, 1001);
const mode = fc.oneof(
  fc.constantFrom(0o600, 0o644, 0o700, 0o755, 0o664, 0o777),
  fc.integer({ min: 0, max: 0o7777 }),
);
const mtime = fc.option(fc.integer({ min: 0, max: 2_000_000_000 }), { nil: undefined });
const inode = fc.constantFrom('8:1', '8:2', '8:3');
const bytes = fc.uint8Array({ maxLength: 12 });

function fileHolding(contents: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Entry> {
  return fc
    .tuple(mode, contents, mtime, owner, inode)
    .map(([mode, bytes, mtime, owner, inode]) => ({
      kind: 'file' as const,
      mode,
      owner,
      inode,
      content: contentOf(bytes),
      ...(mtime !== undefined && { mtime }),
    }));
}

const aDirectory = fc.tuple(mode, owner).map(([mode, owner]) => directory(mode, { owner }));
const aLink = fc.constantFrom('.zshenv', 'elsewhere', '/nowhere', '../ak').map(symlink);
const odd: fc.Arbitrary<Entry> = fc.oneof(
  fc.constant<Entry>({ kind: 'special' }),
  fc.tuple(mode, owner).map(([mode, owner]) => ({ kind: 'unreadable' as const, mode, owner })),
);

/** Mostly what one expects at a path, now and then anything else. */
function mostly(usual: fc.Arbitrary<Entry>): fc.Arbitrary<Entry> {
  return fc.oneof(
    { weight: 6, arbitrary: usual },
    { weight: 3, arbitrary: fc.constant(ABSENT) },
    { weight: 1, arbitrary: fileHolding(bytes) },
    { weight: 1, arbitrary: aDirectory },
    { weight: 2, arbitrary: aLink },
    { weight: 1, arbitrary: odd },
  );
}

// --- authorized_keys ---

const key = fc
  .tuple(
    fc.uint8Array({ minLength: 1, maxLength: 1 }),
    fc.constantFrom('', 'me@laptop', 'voil\u00c3\u00a0', 'two  words'),
    fc.constantFrom('', '', 'restrict', 'from="10.0.0.0/8",no-pty', 'command="echo \\" x"'),
  )
  .map(([seed, comment, options]) => parseAuthorizedKey(lineOf(seed[0]! % 6, comment, options))!);

function lineOf(seed: number, comment = '', options = ''): string {
  const type = 'ssh-ed25519';
  const blob = Buffer.concat([packed(Buffer.from(type)), packed(Buffer.alloc(32, seed))]);
  return `${options} ${type} ${blob.toString('base64')} ${comment}`.trim();
}

function packed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

const line = fc.oneof(
  fc.tuple(fc.nat(5), fc.constantFrom('', 'restrict')).map(([n, o]) => lineOf(n, 'them', o)),
  fc.nat(5).map((n) => `# ${lineOf(n)}`),
  fc.nat(5).map((n) => `cert-authority ${lineOf(n)}`),
  fc.constantFrom('', '  ', '# PRIVATE KEY', 'from="a ssh-ed25519 AAAA', 'ssh-ed25519 AAAA'),
  fc.uint8Array({ maxLength: 20 }).map((any) => Buffer.from(any).toString('latin1')),
);
const keysFile = fc
  .tuple(
    fc.array(fc.tuple(line, fc.constantFrom('\n', '\n', '\r\n')), { maxLength: 6 }),
    fc.oneof(fc.constant(''), line),
  )
  .map(([lines, last]) => Buffer.from(lines.flat().join('') + last, 'latin1'));

// --- a coherent home directory, and any facts at all ---

/** Directories before what is in them. */
const PLACES: readonly (readonly [string, fc.Arbitrary<Entry>])[] = [
  ['.', aDirectory],
  ['elsewhere', mostly(aDirectory)],
  ['elsewhere/keys', mostly(fileHolding(keysFile))],
  ['/srv/alice', mostly(aDirectory)],
  ['.ssh', mostly(aDirectory)],
  ['.ssh/authorized_keys', mostly(fileHolding(keysFile))],
  ['.ssh/id_rsa', mostly(fileHolding(bytes))],
  ['.ssh/config', mostly(fileHolding(bytes))],
  ['.zlogin', mostly(fc.oneof(fileHolding(bytes), aLink))],
  ['.zshenv', mostly(fileHolding(bytes))],
  ['.zshrc', mostly(fileHolding(bytes))],
  ['.config', mostly(aDirectory)],
  ['.config/app', mostly(aDirectory)],
  ['.config/app/rc', mostly(fileHolding(bytes))],
];
const FOLLOWED = ['.ssh', '.ssh/authorized_keys', '.zshenv', '.zshrc', '.config', '.config/app'];
const LEADS_TO = ['elsewhere', 'elsewhere/keys', '/srv/alice'];

const anyFacts: fc.Arbitrary<Facts> = fc
  .record({
    entries: fc.tuple(...PLACES.map(([, entry]) => entry)),
    real: fc.dictionary(fc.constantFrom(...FOLLOWED), fc.constantFrom(...LEADS_TO)),
    uid: fc.constantFrom(uid, uid, uid, 0),
    loginShell: fc.constantFrom('/bin/bash', '/bin/zsh', '/opt/zsh', '', '/bin/sh'),
    passwd: fc.constantFrom('getent' as const, 'passwd' as const, 'environment' as const),
    ownGroup: fc.boolean(),
    shells: fc.subarray(['/bin/sh', '/bin/bash', '/bin/zsh', '/usr/bin/zsh']),
    notInstalled: fc.subarray(['/bin/zsh', '/usr/bin/zsh']),
    found: fc.constantFrom('', '/usr/bin/zsh'),
    tools: fc.subarray(['chsh', 'usermod', 'getent']),
    sudo: fc.boolean(),
    unwritable: fc.oneof(fc.constant([]), fc.subarray(['.', '.ssh', '.config', 'elsewhere'])),
    privateKeys: fc.subarray(['.ssh/id_rsa', '.ssh/authorized_keys']),
  })
  .map(({ entries, ...row }) =>
    factsOf({ ...row, entries: Object.fromEntries(PLACES.map(([p], i) => [p, entries[i]!])) }),
  );

/** As a file system allows it: what is in a directory needs the directory; only links lead elsewhere. */
const homes: fc.Arbitrary<Facts> = anyFacts.map((facts) => {
  const entries = new Map<RemotePath, Entry>();
  const real = new Map<RemotePath, RemotePath>();
  for (const [place] of PLACES) {
    const path = remotePath(place);
    const folder = parentOf(path);
    const inside = folder !== undefined && !path.startsWith('/');
    const stands = !inside || entries.get(real.get(folder) ?? folder)?.kind === 'directory';
    const found = stands ? entryAt(facts, path) : ABSENT;
    const entry = found.kind === 'file' ? { mtime: 1_000_000_000, ...found } : found;
    entries.set(path, LEADS_TO.includes(path) && entry.kind === 'symlink' ? ABSENT : entry);
    const to = realPath(facts, path);
    const reachable =
      parentOf(to) !== 'elsewhere' || entries.get(parentOf(to)!)!.kind === 'directory';
    if (entry.kind === 'symlink' && to !== path && reachable) real.set(path, to);
  }
  const privateKeys = facts.privateKeys.filter((path) => entries.get(path)!.kind === 'file');
  return { ...facts, entries, real, privateKeys };
});

const localFile = fc
  .tuple(mode, bytes, fc.nat(2_000_000_000))
  .map(([mode, bytes, mtime]): Entry => ({ kind: 'file', mode, mtime, content: contentOf(bytes) }));
const dotfileSet: fc.Arbitrary<readonly LocalFile[]> = fc
  .record(
    {
      '.config': fc.constant(directory(0o755)),
      '.config/app': fc.constant(directory(0o700)),
      '.config/app/rc': localFile,
      '.ssh': fc.constant(directory(0o700)),
      '.ssh/config': localFile,
      '.vimrc': aLink,
      '.zshenv': localFile,
      '.zshrc': fc.oneof(localFile, aLink),
    },
    { requiredKeys: [] },
  )
  .map((set) =>
    Object.entries(set)
      .map(([path, entry]) => ({ path: remotePath(path), entry }))
      .filter(({ path }) => parentOf(path) === undefined || (parentOf(path) ?? '') in set)
      .filter(({ path }) => path !== '.config/app/rc' || '.config' in set),
  );

const desires: fc.Arbitrary<Desired> = fc.record({
  keys: fc.array(key, { maxLength: 3 }),
  dotfiles: dotfileSet,
  loginShell: fc.constantFrom('zsh', 'zsh', '/usr/bin/zsh', 'fish'),
});

/** The names of all steps, or of some, as --only and --skip leave them. */
const chosen = fc
  .oneof(fc.constant(steps), fc.subarray([...steps], { minLength: 1 }))
  .map((some) => some.map(({ name }) => name));

interface Case {
  readonly home: Facts;
  readonly desired: Desired;
  readonly only: readonly string[];
}

const cases: fc.Arbitrary<Case> = fc.record({ home: homes, desired: desires, only: chosen });

/** What a run makes of a case. */
function planned({ home, desired, only }: Case): {
  facts: Facts;
  plan: Plan;
  again(of: Facts): Plan;
} {
  const some = steps.filter(({ name }) => only.includes(name));
  const facts = asProbed(home, some, desired);
  const again = (of: Facts): Plan => makePlan(DESTINATION, of, desired, some);
  return { facts, plan: again(facts), again };
}

/** Only what these steps asked about is known. */
function asProbed(home: Facts, steps: readonly Step[], desired: Desired): Facts {
  const known = readingsOf(steps, desired).flatMap(({ path, follow }) =>
    follow === true ? [path, realPath(home, path)] : [path],
  );
  const asked = new Set([...known, ...home.privateKeys]);
  const entries = [...asked].map((path): [RemotePath, Entry] => [path, entryAt(home, path)]);
  return { ...home, entries: new Map(entries) };
}

/** What a new probe says after changes: the clock, the user and the file system fill in what no plan predicts. */
function reread(facts: Facts): Facts {
  const owner = facts.account.uid!;
  const entries = new Map<RemotePath, Entry>();
  for (const [path, entry] of facts.entries) {
    if (entry.kind === 'file') {
      entries.set(path, {
        mtime: 2_100_000_000,
        inode: `9:${path}`,
        owner,
        ...entry,
      });
    } else if (entry.kind === 'directory') {
      const names = [...facts.entries].flatMap(([other, { kind }]) =>
        kind !== 'absent' && parentOf(other) === path ? [other.slice(path.length + 1)] : [],
      );
      entries.set(path, { owner, ...entry, names });
    } else entries.set(path, entry);
  }
  const real = [...facts.real].filter(([path]) => entryAt(facts, path).kind === 'symlink');
  return { ...facts, entries, real: new Map(real) };
}

async function apply(facts: Facts, changes: readonly Change[]): Promise<Facts> {
  const account = new MemoryAccount(facts);
  const { outcomes } = await account.apply(changes, { run: RUN, stepOf: () => '', readings: [] });
  expect(outcomes.filter((outcome: Outcome) => outcome.result !== 'done')).toEqual([]);
  return account.facts;
}

/** The first changes of a plan as its journal has them, read back from its text. */
function journalOf(plan: Plan, count = Infinity): readonly JournalLine[] {
  const all = plan.steps.flatMap(({ name, verdict }) =>
    verdict.kind === 'changes' ? verdict.changes.map((change) => ({ step: name, change })) : [],
  );
  const lines = all.slice(0, count).map((line, i) => journalLine({ ...line, number: i + 1 }));
  return readJournal(lines.join('\n'), RUN);
}

/** The copies that a run keeps of what it replaces. */
function withKept(facts: Facts, lines: readonly JournalLine[], plan: Plan): Facts {
  const entries = new Map(facts.entries);
  lines.forEach(({ change }, i) => {
    const original = changesOf(plan)[i]!;
    if (change.what !== 'entry' || original.what !== 'entry') return;
    if (change.before.kind !== 'file' || change.before.content.keptAt === undefined) return;
    entries.set(change.before.content.keptAt, original.before);
  });
  return { ...facts, entries };
}

function expectSame(facts: Facts, expected: Facts): void {
  for (const path of new Set([...facts.entries.keys(), ...expected.entries.keys()])) {
    if (path.startsWith('.local/state/prep/')) continue;
    const [there, wanted] = [entryAt(facts, path), entryAt(expected, path)];
    if (!same(there, wanted)) expect({ path, entry: there }).toEqual({ path, entry: wanted });
  }
  expect(facts.account.loginShell).toBe(expected.account.loginShell);
}

const often = { numRuns: 1000 };

describe('a plan', () => {
  test('can be made for whatever a probe may say', () => {
    const desired = fc.record({
      keys: fc.array(key, { maxLength: 3 }),
      dotfiles: dotfileSet,
      loginShell: fc.oneof(fc.string(), fc.constantFrom('zsh', '/', 'a/b')),
    });
    fc.assert(
      fc.property(withoutSomeBytes(anyFacts), desired, chosen, (facts, desired, only) => {
        const some = steps.filter(({ name }) => only.includes(name));
        const plan = makePlan(DESTINATION, facts, desired, some);
        expect(plan.steps.map(({ name }) => name)).toEqual(only);
      }),
      often,
    );
  });

  test('gives a reason for everything it does and does not do', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { plan } = planned(c);
        for (const { verdict } of plan.steps) {
          if (verdict.kind !== 'changes') expect(verdict.because).not.toBe('');
          else for (const { reason } of verdict.changes) expect(reason).not.toBe('');
        }
      }),
      often,
    );
  });

  test('is carried out to the letter: each change finds what it was shown, and the end is what was predicted', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { facts, plan } = planned(c);
        expect(await apply(facts, changesOf(plan))).toEqual(plan.predicted);
      }),
      often,
    );
  });

  test('puts nothing where there is no directory to hold it', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { facts, plan } = planned(c);
        let now = facts;
        for (const change of changesOf(plan)) {
          now = rehearse(now, change);
          if (change.what !== 'entry' || change.path.startsWith('/')) continue;
          const folder = parentOf(change.path);
          if (folder === undefined) continue;
          // What a link leads to was found by following it, so its directory is there.
          if ([...facts.real.values()].includes(change.path)) continue;
          expect(entryAt(now, realPath(now, folder)).kind, change.path).toBe('directory');
        }
      }),
      often,
    );
  });

  test('writes in no folder that is closed to the user', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { facts, plan } = planned(c);
        let now = facts;
        for (const change of changesOf(plan)) {
          const { unwritable } = now;
          now = rehearse(now, change);
          if (change.what !== 'entry' || change.path.startsWith('/')) continue;
          if (contentStays(change)) continue;
          expect(unwritable).not.toContain(parentOf(change.path) ?? '.');
        }
      }),
      often,
    );
  });

  test('locks nobody out: the owner may still enter every directory that could be entered', () => {
    fc.assert(
      fc.property(cases, (c) => {
        for (const change of changesOf(planned(c).plan)) {
          if (change.what !== 'entry' || change.after.kind !== 'directory') continue;
          if (change.before.kind !== 'directory') continue;
          expect(change.after.mode & 0o700 & change.before.mode).toBe(change.before.mode & 0o700);
        }
      }),
      often,
    );
  });

  test('leaves nothing to do: the plan of what it predicted is empty, but for what a later step made possible', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { plan, again } = planned(c);
        const blocked = plan.steps.flatMap(({ name, verdict }) =>
          verdict.kind === 'blocked' || 'except' in verdict ? [name] : [],
        );
        const next = again(reread(plan.predicted));
        const steps = next.steps.filter(({ name }) => !blocked.includes(name));
        expect(changesOf({ ...next, steps })).toEqual([]);
      }),
      often,
    );
  });

  test('is taken back by its changes, inverted, in reverse order', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { facts, plan } = planned(c);
        const back = changesOf(plan)
          .toReversed()
          .flatMap((change) => (change.what === 'command' ? [] : [invert(change, 'as it was')]));
        expectSame(await apply(plan.predicted, back), facts);
      }),
      often,
    );
  });
});

describe('undo', () => {
  test('puts back every entry and the login shell, from the journal alone', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { facts, plan } = planned(c);
        const lines = journalOf(plan);
        const found = withKept(reread(plan.predicted), lines, plan);
        const undoing = undoPlan(DESTINATION, found, lines);
        const undone = await apply(found, changesOf(undoing));
        expect(undone).toEqual(undoing.predicted);
        expectSame(undone, facts);
      }),
      often,
    );
  });

  test('puts back a run that was cut off, whether or not its last change was made', async () => {
    const cut = fc.tuple(cases, fc.nat(20), fc.boolean());
    await fc.assert(
      fc.asyncProperty(cut, async ([c, count, made]) => {
        const { facts, plan } = planned(c);
        const lines = journalOf(plan, count);
        const changes = changesOf(plan).slice(
          0,
          made ? lines.length : Math.max(0, lines.length - 1),
        );
        const found = withKept(reread(rehearse(facts, ...changes)), lines, plan);
        const undoing = undoPlan(DESTINATION, found, lines);
        expectSame(await apply(found, changesOf(undoing)), facts);
      }),
      often,
    );
  });

  test('can itself be undone', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { plan } = planned(c);
        const lines = journalOf(plan);
        const found = withKept(reread(plan.predicted), lines, plan);
        const undoing = undoPlan(DESTINATION, found, lines);
        const undone = reread(await apply(found, changesOf(undoing)));
        const again = journalOf(undoing);
        const redone = withKept(undone, again, undoing);
        const redoing = undoPlan(DESTINATION, redone, again);
        expectSame(await apply(redone, changesOf(redoing)), found);
      }),
      often,
    );
  });

  test('keeps the keys that were added since', async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const { facts, plan } = planned(c);
        const path = realPath(facts, AUTHORIZED_KEYS);
        const lines = journalOf(plan);
        const since = appended(
          withKept(reread(plan.predicted), lines, plan),
          path,
          `${lineOf(9)}\n`,
        );
        if (since === undefined) return;
        const undone = await apply(since, changesOf(undoPlan(DESTINATION, since, lines)));
        const left = bytesAt(undone, path).toString('latin1');
        expect(left).toContain(lineOf(9));
        expect(left.startsWith(bytesAt(facts, path).toString('latin1'))).toBe(true);
      }),
      often,
    );
  });
});

describe('authorized_keys', () => {
  test('never loses a byte, nor the order of its lines', () => {
    fc.assert(
      fc.property(keysFile, fc.array(key, { maxLength: 3 }), (old, keys) => {
        const { bytes, added } = addKeys(old, keys);
        expect(Buffer.from(bytes).subarray(0, old.length)).toEqual(Buffer.from(old));
        const [before, after] = [linesOf(old), linesOf(bytes)];
        expect(after.slice(0, before.length)).toEqual(before);
        expect(after.length).toBe(before.length + added.length);
      }),
      often,
    );
  });

  test('holds every wanted key afterwards, once, and is not written a second time', () => {
    fc.assert(
      fc.property(keysFile, fc.array(key, { maxLength: 3 }), (old, keys) => {
        const { bytes } = addKeys(old, keys);
        const again = addKeys(bytes, keys);
        expect(again.added).toEqual([]);
        expect(again.bytes).toBe(bytes);
        for (const { blob } of keys) expect(admitted(bytes, blob)).toBeGreaterThan(0);
      }),
      often,
    );
  });

  test('never loses a byte to a whole plan', () => {
    fc.assert(
      fc.property(cases, (c) => {
        const { facts, plan } = planned(c);
        for (const [path, before] of facts.entries) {
          if (path !== realPath(facts, AUTHORIZED_KEYS) || before.kind !== 'file') continue;
          const old = bytesAt(facts, path);
          expect(bytesAt(plan.predicted, path).subarray(0, old.length)).toEqual(old);
        }
      }),
      often,
    );
  });
});

/** A change of mode alone needs no write to the folder. */
function contentStays({ before, after }: EntryChange): boolean {
  if (before.kind === 'directory') return after.kind === 'directory';
  if (before.kind !== 'file' || after.kind !== 'file') return false;
  return sameContent(before.content, after.content);
}

/** Some files are known by size and checksum alone. */
function withoutSomeBytes(arbitrary: fc.Arbitrary<Facts>): fc.Arbitrary<Facts> {
  return fc.tuple(arbitrary, fc.subarray(PLACES.map(([path]) => path))).map(([facts, large]) => {
    const entries = new Map(facts.entries);
    for (const place of large) {
      const path = remotePath(place);
      const entry = entryAt(facts, path);
      if (entry.kind !== 'file') continue;
      const { bytes: _, ...content } = entry.content;
      entries.set(path, { ...entry, content });
    }
    return { ...facts, entries };
  });
}

function appended(facts: Facts, path: RemotePath, text: string): Facts | undefined {
  const entry = entryAt(facts, path);
  if (entry.kind !== 'file') return undefined;
  const old = bytesAt(facts, path);
  const ended = old.length === 0 || old.at(-1) === 0x0a ? '' : '\n';
  const content = contentOf(Buffer.concat([old, Buffer.from(ended + text)]));
  return { ...facts, entries: new Map(facts.entries).set(path, { ...entry, content }) };
}

function bytesAt(facts: Facts, path: RemotePath): Buffer {
  const entry = entryAt(facts, path);
  return Buffer.from(entry.kind === 'file' ? (entry.content.bytes ?? []) : []);
}

/** Lines without their endings, as sshd splits them. */
function linesOf(bytes: Uint8Array): readonly string[] {
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => line.replace(/\r+$/, ''));
}

function admitted(bytes: Uint8Array, blob: string): number {
  const keys = linesOf(bytes).flatMap((line): AuthorizedKey[] => {
    const key = parseAuthorizedKey(line);
    return key === undefined ? [] : [key];
  });
  return keys.filter((key) => key.blob === blob).length;
}
