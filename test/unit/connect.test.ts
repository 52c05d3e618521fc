import { Duplex } from 'node:stream';
import { expect, test } from 'vitest';
import { nobody } from '../../src/core/unattended.ts';
import type { Access } from '../../src/ssh/access.ts';
import { connect } from '../../src/ssh/connect.ts';
import { HostKeyJudge } from '../../src/ssh/host-key.ts';
import type { Route } from '../../src/ssh/route.ts';
import { resolveSettings } from '../../src/ssh/settings.ts';

/** Connects over `route`, and gives what was in the way. */
async function trouble(route: Route, signal: AbortSignal): Promise<unknown> {
  const flags = { sshConfig: 'none', hostKey: 'strict', jump: [] } as const;
  const settings = await resolveSettings({ host: '127.0.0.1' }, flags, '/nonexistent');
  const judge = await HostKeyJudge.read(settings, nobody);
  const access: Access = {
    user: 'alice',
    keys: [],
    methods: [],
    prompter: nobody,
    note: () => undefined,
  };
  return connect(settings, access, judge, { route, signal }).catch((error: unknown) => error);
}

const INTERRUPTED = { problem: { code: 'interrupted' } };

function silence(): Duplex {
  return new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
}

test('a connection that is given up before it begins does not begin', async () => {
  const wire = silence();
  expect(await trouble(() => wire, AbortSignal.abort())).toMatchObject(INTERRUPTED);
  await new Promise((done) => setImmediate(done));
  expect(wire.destroyed).toBe(true);
});

test('a connection is given up while the way there comes about', async () => {
  const giveUp = new AbortController();
  const wire = silence();
  let arrive: (wire: Duplex) => void = () => undefined;
  const route: Route = () => {
    setImmediate(() => giveUp.abort());
    return new Promise((resolve) => (arrive = resolve));
  };
  expect(await trouble(route, giveUp.signal)).toMatchObject(INTERRUPTED);
  arrive(wire);
  await new Promise((done) => setImmediate(done));
  expect(wire.destroyed).toBe(true);
});

test('a connection is given up while the server is silent', async () => {
  const giveUp = new AbortController();
  const wire = silence();
  setTimeout(() => giveUp.abort(), 50);
  expect(await trouble(() => wire, giveUp.signal)).toMatchObject(INTERRUPTED);
  expect(wire.destroyed).toBe(true);
});
