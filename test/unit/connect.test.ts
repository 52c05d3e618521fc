import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { Server, utils, type KexAlgorithm } from 'ssh2';
import { expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { nobody } from '../../src/core/unattended.ts';
import type { Access } from '../../src/ssh/access.ts';
import { connect } from '../../src/ssh/connect.ts';
import { HostKeyJudge } from '../../src/ssh/host-key.ts';
import { Password } from '../../src/ssh/password.ts';
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

test.each<[KexAlgorithm, number]>([
  ['curve25519-sha256@libssh.org', 1],
  ['curve25519-sha256', 1],
  ['ecdh-sha2-nistp384', 2],
  ['diffie-hellman-group14-sha256', 2],
])('a server with the key exchange %s is connected to in %i', async (kex, connections) => {
  let seen = 0;
  const hostKeys = [utils.generateKeyPairSync('ed25519').private];
  const server = new Server({ hostKeys, algorithms: { kex: [kex] } }, (connection) => {
    seen++;
    connection.on('error', () => undefined).on('authentication', (context) => context.accept());
  });
  const folder = await mkdtemp(join(tmpdir(), 'prep-connect-'));
  try {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const knownHosts = join(folder, 'known_hosts');
    const flags = { sshConfig: 'none', hostKey: 'accept-new', knownHosts, jump: [], port } as const;
    const settings = await resolveSettings({ host: '127.0.0.1' }, flags, folder);
    const judge = await HostKeyJudge.read(settings, nobody);
    const password = new Password('password:', nobody, new Secret('x'));
    const access = { user: 'alice', keys: [], password, prompter: nobody, note: () => undefined };
    const session = await connect(settings, access, judge);
    expect([session.login, seen]).toEqual(['password', connections]);
    session.close();
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});
