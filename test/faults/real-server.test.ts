import { afterAll, expect, test } from 'vitest';
import { describeSshd } from '../support/describe-sshd.ts';
import { dead, identity } from '../support/lock-holders.ts';
import { Hardship, undisturbed, WAYS } from '../support/hardship.ts';
import { startProxy, type Cut, type Proxy, type Traffic } from '../support/proxy.ts';
import { seeded } from '../support/seeded.ts';
import { patience, someOf } from '../support/soak.ts';
import { accountOf, useSshd } from '../support/stage.ts';
import { shapeOf } from '../support/tree.ts';

/** How far apart the cuts of a soak are, in bytes; and how many there are each way otherwise. */
const [STEP, USUAL] = [1000, 4];

const random = seeded();
let tried = 0;
afterAll(() =>
  console.log(`real cut points tried: ${tried} (PREP_SEED=${random.seed} for the same order)`),
);

/** Where a run is cut: in both directions, all over what passes. */
function* cuts({ bytes, pieces }: Traffic): Generator<Cut> {
  const ways = ['up', 'down'] as const;
  const all = ways.flatMap((direction) => [
    ...Array.from({ length: Math.ceil(bytes[direction] / STEP) }, (_, i) => i * STEP).map(
      (afterBytes): Cut => ({ direction, afterBytes }),
    ),
    ...Array.from({ length: pieces[direction] }, (_, piece): Cut => {
      return { direction, beforePiece: piece };
    }),
  ]);
  const some = ways.flatMap((direction) =>
    Array.from({ length: USUAL }, (_, i): Cut => {
      const afterBytes = Math.floor((bytes[direction] * (i + 0.5)) / USUAL);
      return { direction, afterBytes };
    }),
  );
  yield* someOf(all, some, random.below);
}

WAYS.forEach((way) =>
  describeSshd(`a real account, ${way.name}:`, () => {
    const stage = useSshd(way.server);

    test(
      'a line that is cut anywhere loses nothing; the next run does the rest, and undo works',
      async () => {
        const proxy = await startProxy(stage.server.port);
        stage.later(() => void proxy.close());
        const wanted = await undisturbed(stage, way, proxy.port);
        const { traffic } = proxy;
        const failures: string[] = [];
        for (const cut of cuts(traffic)) {
          await survives(proxy, cut, wanted).catch((error: unknown) =>
            failures.push(`${JSON.stringify(cut)}: ${String(error)}`),
          );
        }
        expect(failures).toEqual([]);
      },
      patience(240_000),
    );

    async function survives(proxy: Proxy, cut: Cut, wanted: object): Promise<void> {
      const hardship = new Hardship(stage, way, proxy.port);
      proxy.forget();
      proxy.cut = cut;
      const broken = await hardship.visit.prep(hardship.flags, { password: true });
      proxy.cut = undefined;
      tried++;
      expect(broken.stderr).not.toMatch(/undefined|unexpected|runs no commands|\[object|^ +at /m);
      if (broken.status !== 0) expect(broken.stderr).toMatch(/^prep: \S+: .+; .+$/m);
      hardship.isWhole();
      await hardship.recovers(wanted);
      hardship.visit.account.remove();
    }

    test('a server that is started again between the changes and their proof is proven, or the next run proves it', async () => {
      const proxy = await startProxy(stage.server.port);
      stage.later(() => void proxy.close());
      const wanted = await undisturbed(stage, way);
      const usual = new Hardship(stage, way, proxy.port);
      const told = await usual.visit.prep([...usual.flags, '--json'], { password: true });
      const changes = told.stdout.match(/"type":"outcome"/g)!.length;
      const proofBegins = new RegExp(`("type":"outcome"[^]*?){${changes}}`);
      usual.visit.account.remove();
      for (const staysAway of [false, true]) {
        const hardship = new Hardship(stage, way, proxy.port);
        let back: Promise<void> | undefined;
        const act = (): void => {
          stage.server.halt();
          hardship.visit.account.endSessions();
          if (!staysAway) back = stage.server.restart();
        };
        const run = await hardship.visit.prep([...hardship.flags, '--json'], {
          password: true,
          meanwhile: [
            // From here on the line is slow, so that the server is gone before the proof.
            { when: /"type":"outcome"/, act: () => (proxy.rtt = 500) },
            { when: proofBegins, act },
          ],
        });
        proxy.rtt = 0;
        await (back ?? stage.server.restart());
        if (staysAway) expect(run.status).toBe(1);
        if (run.status !== 0) expect(run.stderr).toMatch(/^prep: \S+: .+; .+$/m);
        expect(accountOf(run).verified).toBe(run.status === 0);
        expect(hardship.standing()).toEqual(wanted);
        const next = await hardship.visit.prep([...hardship.flags, '--json']);
        expect(next.status, next.stderr).toBe(0);
        expect(accountOf(next)).toMatchObject({ status: 'unchanged', verified: true });
        await hardship.recovers(wanted);
      }
    });

    test('what a dead run left goes, though nothing is to be changed; a dry run leaves it', async () => {
      const hardship = new Hardship(stage, way);
      const { visit, flags } = hardship;
      const made = await visit.prep(flags, { password: true });
      expect(made.status, made.stderr).toBe(0);
      const before = visit.account.tree();
      const runs = '.local/state/prep';
      const gone = identity(dead());
      visit.account.write(`${runs}/lock`, { link: gone });
      visit.account.write(`${runs}/0009-dead/owner`, { link: gone });
      visit.account.write(`${runs}/0009-dead/journal`, '');
      visit.account.write(`${runs}/0009-dead/beside`, './.many/\n');
      visit.account.write('.many/.prep-0009-dead-1', 'half');
      const left = hardship.leftovers();
      expect(left).toHaveLength(4);
      const shown = await visit.prep([...flags, '--dry-run', '--json']);
      expect(accountOf(shown).status, shown.stderr).toBe('unchanged');
      expect(hardship.leftovers()).toEqual(left);
      const next = await visit.prep([...flags, '--json']);
      expect(accountOf(next), next.stderr).toMatchObject({ status: 'unchanged', verified: true });
      expect(shapeOf(visit.account.tree())).toEqual(shapeOf(before));
    });

    test('a laptop that vanishes without a word keeps no lock for long', async () => {
      const proxy = await startProxy(stage.server.port);
      stage.later(() => void proxy.close());
      const wanted = await undisturbed(stage, way, proxy.port);
      const hardship = new Hardship(stage, way, proxy.port);
      const { visit, flags } = hardship;
      const gone = new AbortController();
      const vanishing = visit.begin(flags, gone.signal);
      await visit.made('.local/state/prep/lock', vanishing);
      proxy.freeze();
      gone.abort();
      await vanishing;
      visit.port = stage.server.port;
      hardship.isWhole();
      await hardship.recovers(wanted);
    }, 120_000);

    test('two runs at once do it all between them, one after the other', async () => {
      const wanted = await undisturbed(stage, way);
      const hardship = new Hardship(stage, way);
      const flags = [...hardship.flags, '--json'];
      const runs = await Promise.all(
        [1, 2].map(() => hardship.visit.prep(flags, { password: true })),
      );
      for (const run of runs) expect(run.status, run.stderr + run.stdout).toBe(0);
      await hardship.recovers(wanted);
    });
  }),
);
