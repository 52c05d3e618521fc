import { afterAll, expect, test } from 'vitest';
import type { Cut, Traffic } from '../support/proxy.ts';
import { inside, sentenceOf, type Inside, type Scene, type Standing } from '../support/inside.ts';
import { seeded } from '../support/seeded.ts';
import { patience, soak, someOf } from '../support/soak.ts';

/** How far apart the cuts in the middle of messages are, in bytes; a soak tries as many as it has the time for. */
const STEP = soak ? 1 : 1000;

const random = seeded();

const KEYS =
  '# mine\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me\n';
const NAMES = Array.from({ length: 3 }, (_, index) => `.many/file-${index}`);

const SCENE: Scene = {
  theirs: {
    '.ssh/authorized_keys': { content: KEYS, mode: 0o600 },
    '.many/file-0': 'old\n',
    '.many/file-2': 'old\n',
    '.zshrc': 'theirs\n',
  },
  dotfiles: {
    '.zshrc': 'yours\n',
    '.zshenv': 'env\n',
    '.app/data': Buffer.from('binary\0'.repeat(500)),
    ...Object.fromEntries(NAMES.map((name) => [name, `new\n${name}\n`.repeat(30)])),
  },
};

/** What an undisturbed run makes of the scene, and how much passes meanwhile. */
async function undisturbed(): Promise<{ before: Standing; after: Standing; traffic: Traffic }> {
  const scene = await inside(SCENE);
  try {
    const before = scene.standing();
    const { report } = await scene.prepare();
    expect(report).toMatchObject({ status: 'changed', verified: true });
    const { traffic } = scene.proxy;
    await scene.quiet();
    return { before, after: withoutOwnKey(scene), traffic };
  } finally {
    await scene.remove();
  }
}

const quiet = undisturbed();
let tried = 0;
afterAll(() =>
  console.log(`cut points tried: ${tried} (PREP_SEED=${random.seed} for the same order)`),
);

/** The key of each scene's laptop is another. */
function withoutOwnKey(scene: Inside): Standing {
  const { shell, tree } = scene.standing();
  return { shell, tree: { ...tree, '.ssh/authorized_keys': {} } };
}

function allOldOrNew(scene: Inside, before: Standing, after: Standing): void {
  const now = withoutOwnKey(scene);
  const old = { ...before.tree, '.ssh/authorized_keys': {} } as Record<string, object>;
  for (const [name, entry] of Object.entries(now.tree)) {
    if (/\/?\.prep-/.test(name)) continue;
    expect([old[name], after.tree[name]], name).toContainEqual(entry);
  }
  for (const name of Object.keys(old)) expect(now.tree[name], name).toBeDefined();
  expect([before.shell, after.shell]).toContain(now.shell);
  expect(scene.read('.ssh/authorized_keys')?.startsWith(KEYS)).toBe(true);
}

async function survives(cut: Cut, undoing: boolean): Promise<void> {
  const { before, after } = await quiet;
  const scene = await inside(SCENE);
  try {
    scene.proxy.cut = cut;
    const broken = await scene.prepare();
    expect(sentenceOf(broken)).not.toMatch(/undefined|unexpected|\[object/);
    scene.proxy.cut = undefined;
    await scene.quiet();
    tried++;
    allOldOrNew(scene, before, after);
    const mid = scene.standing();

    const again = await scene.prepare();
    expect(again.problem, sentenceOf(again)).toBeUndefined();
    expect(again.report?.verified).toBe(true);
    expect(withoutOwnKey(scene)).toEqual(after);
    await scene.quiet();
    expect(scene.leftovers()).toEqual([]);

    if (!undoing) return;
    const undone = await scene.undo();
    expect(undone.problem, sentenceOf(undone)).toBeUndefined();
    expect(scene.standing()).toEqual(again.report?.status === 'changed' ? mid : before);
  } finally {
    // What failed is to be told, not that a folder cannot be removed while something is at work in it.
    await scene.quiet();
    await scene.remove();
  }
}

/** Every cut in one direction: before each piece, and in the middle of them. */
async function cuts(direction: 'up' | 'down'): Promise<Cut[]> {
  const { traffic } = await quiet;
  const pieces = Array.from({ length: traffic.pieces[direction] + 1 }, (_, index) => index);
  const bytes = Array.from(
    { length: Math.ceil(traffic.bytes[direction] / STEP) },
    (_, i) => i * STEP,
  );
  return [
    ...pieces.map((beforePiece) => ({ direction, beforePiece })),
    ...bytes.map((afterBytes) => ({ direction, afterBytes })),
  ];
}

test.each(['up', 'down'] as const)(
  'a line that is cut anywhere on the way %s loses nothing; the next run does the rest',
  async (direction) => {
    const all = await cuts(direction);
    const queue = someOf(all, all, random.below);
    const failures: string[] = [];
    const lane = async (): Promise<void> => {
      for (const cut of queue) {
        await survives(cut, soak || tried % 4 === 0).catch((error: unknown) =>
          failures.push(`${JSON.stringify(cut)}: ${(error as Error).message}`),
        );
      }
    };
    await Promise.all(Array.from({ length: 4 }, lane));
    expect(failures).toEqual([]);
  },
  patience(240_000),
);
