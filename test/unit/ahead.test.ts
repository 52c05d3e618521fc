import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { Client, Server, utils, type Algorithms, type AnyAuthMethod, type Connection } from 'ssh2';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  exchangeAtOnce,
  execAhead,
  loginAtOnce,
  signAtOnce,
  type Ahead,
} from '../../src/ssh/ahead.ts';
import { execOn } from '../../src/ssh/ssh2-session.ts';

const hostKey = utils.generateKeyPairSync('ecdsa', { bits: 256 }).private;
const userKey = utils.generateKeyPairSync('ecdsa', { bits: 256 }).private;

let server: Server;
let wire: Socket;
let client: Client;
/** What reached the server, in order. */
let heard: string[];
/** How many channels the server has open before the client opens one. */
let occupied: number;

beforeEach(async () => {
  [heard, occupied] = [[], 0];
  const debug = (line: string): void => {
    if (line.includes('IGNORE')) heard.push('nothing');
  };
  server = new Server({ hostKeys: [hostKey], debug }, (connection) => serve(connection));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  wire = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
  client = new Client();
});

afterEach(() => {
  wire.destroy();
  server.close();
});

function serve(connection: Connection): void {
  const { _chanMgr } = connection as unknown as { _chanMgr: { add(taken: () => void): number } };
  for (let count = 0; count < occupied; count++) _chanMgr.add(() => undefined);
  connection
    .on('error', () => undefined)
    .on('authentication', (context) => {
      const signed = context.method === 'publickey' && context.signature !== undefined;
      const hash = context.method === 'publickey' && context.hashAlgo;
      heard.push(signed ? `a signature${hash ? ` with ${hash}` : ''}` : context.method);
      context.accept();
    })
    .on('session', (accept) => {
      heard.push('a session');
      accept().on('exec', (acceptExec, _reject, { command }) => {
        heard.push(command);
        const channel = acceptExec();
        channel.end('done');
        channel.exit(0);
      });
    });
}

/**
 * Logs in, with a command right behind the request; `exchanged` is called when keys were exchanged, `begun` before
 * anything was sent.
 */
async function run(
  method: AnyAuthMethod,
  command: string,
  exchanged: () => void = () => undefined,
  begun: () => void = () => undefined,
  algorithms: Algorithms = {},
): Promise<string> {
  const ahead = new Promise<Ahead>((resolve, reject) => {
    client.on('error', reject).on('handshake', exchanged);
    client.connect({
      sock: wire,
      username: 'alice',
      algorithms,
      authHandler: (_left, _partial, next) => {
        next(method);
        setImmediate(() => resolve(execAhead(client, wire, command)));
      },
    });
    begun();
  });
  const { stdout } = await (await ahead).channel;
  return String((await once(stdout, 'data'))[0]);
}

const PASSWORD: AnyAuthMethod = { type: 'password', username: 'alice', password: 'x' };
const KEY: AnyAuthMethod = { type: 'publickey', username: 'alice', key: userKey };

describe('a command sent ahead', () => {
  test('runs once, on the channel that was guessed', async () => {
    expect(await run(PASSWORD, 'one')).toBe('done');
    expect(heard).toEqual(['password', 'a session', 'one']);
  });

  test('runs once, on another channel where the guess was wrong', async () => {
    occupied = 3;
    expect(await run(PASSWORD, 'one')).toBe('done');
    expect(heard).toEqual(['password', 'a session', 'one']);
  });

  test('leaves the next command alone', async () => {
    await run(PASSWORD, 'one');
    const { stdout } = await execOn(client, wire, 'two');
    expect(String((await once(stdout, 'data'))[0])).toBe('done');
    expect(heard).toEqual(['password', 'a session', 'one', 'a session', 'two']);
  });
});

test('a key is offered together with its signature', async () => {
  await run(KEY, 'one', () => process.nextTick(signAtOnce, client));
  expect(heard).toEqual(['a signature', 'a session', 'one']);
});

const ANY = { needsAlgorithms: false };

/** What was heard, but for packets that mean nothing. */
const meaningful = (): string[] => heard.filter((what) => what !== 'nothing');

test('a login that does not wait for leave happens once', async () => {
  await run(PASSWORD, 'one', () => loginAtOnce(client, ANY));
  expect(meaningful()).toEqual(['password', 'a session', 'one']);
});

test('the leave to log in is acknowledged at once, by a packet that means nothing', async () => {
  wire = inSlices(wire);
  await run(PASSWORD, 'one', () => loginAtOnce(client, ANY));
  // For the leave, and for the server's signature algorithms before it.
  await expect.poll(() => heard.filter((what) => what === 'nothing')).toHaveLength(2);
});

test.each(['in one piece', 'in slices'])(
  'an RSA key waits to hear of algorithms without SHA-1, which come %s',
  async (how) => {
    if (how === 'in slices') wire = inSlices(wire);
    const key = utils.generateKeyPairSync('rsa', { bits: 2048 }).private;
    const method: AnyAuthMethod = { type: 'publickey', username: 'alice', key };
    await run(method, 'one', () => {
      signAtOnce(client);
      loginAtOnce(client, { needsAlgorithms: true });
    });
    expect(meaningful()).toEqual(['a signature with sha256', 'a session', 'one']);
  },
);

describe('a key exchange that does not wait for the server', () => {
  test('is begun in full before the server says a word', async () => {
    const { port } = server.address() as AddressInfo;
    const reluctant = createServer((socket) => hearOut(socket, port)).listen(0, '127.0.0.1');
    await once(reluctant, 'listening');
    wire.destroy();
    wire = createConnection((reluctant.address() as AddressInfo).port, '127.0.0.1');
    try {
      expect(await run(PASSWORD, 'one', undefined, exchange)).toBe('done');
      expect(heard).toEqual(['password', 'a session', 'one']);
    } finally {
      reluctant.close();
    }
  });

  test('leaves later ones alone', async () => {
    await run(PASSWORD, 'one', undefined, exchange);
    const again = once(client, 'handshake');
    const { _protocol: protocol } = client as unknown as { _protocol: { rekey(): void } };
    protocol.rekey();
    await again;
    const { stdout } = await execOn(client, wire, 'two');
    expect(String((await once(stdout, 'data'))[0])).toBe('done');
  });

  test.each(['ecdh-sha2-nistp256', 'diffie-hellman-group14-sha256'] as const)(
    'was in vain where the server has %s alone',
    async (kex) => {
      server.close();
      server = new Server({ hostKeys: [hostKey], algorithms: { kex: [kex] } }, serve);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      wire.destroy();
      wire = createConnection((server.address() as AddressInfo).port, '127.0.0.1');
      const wrong = new Promise<string>((resolve) => {
        client.on('error', () => undefined).connect({ sock: wire, username: 'alice' });
        exchangeAtOnce(client, () => resolve('wrong'));
      });
      expect(await wrong).toBe('wrong');
    },
  );

  test('is not guessed at where another method comes first', async () => {
    const wrong = vi.fn<() => void>();
    const kex = ['ecdh-sha2-nistp256', 'curve25519-sha256'] as const;
    await run(PASSWORD, 'one', undefined, () => exchangeAtOnce(client, wrong), { kex: [...kex] });
    expect(heard).toEqual(['password', 'a session', 'one']);
    expect(wrong).not.toHaveBeenCalled();
  });
});

function exchange(): void {
  exchangeAtOnce(client, () => heard.push('a wrong guess'));
}

/** Lets the server speak once the client has named itself and its methods, and given its half of the key exchange. */
function hearOut(socket: Socket, port: number): void {
  let said = Buffer.alloc(0);
  const listen = (data: Buffer): void => {
    said = Buffer.concat([said, data]);
    if (!typesOf(said).includes(30)) return;
    socket.off('data', listen);
    const far = createConnection(port, '127.0.0.1');
    far.write(said);
    socket.pipe(far).pipe(socket);
  };
  socket.on('data', listen).on('error', () => undefined);
}

/** The numbers of the messages behind an identification string, in the clear. */
function typesOf(said: Buffer): number[] {
  const types: number[] = [];
  let at = said.indexOf('\n') + 1;
  while (at > 0 && at + 5 < said.length) {
    types.push(said[at + 5]!);
    at += 4 + said.readUInt32BE(at);
  }
  return types;
}

/** A line on which everything comes a few bytes at a time. */
function inSlices(line: Socket): Socket {
  const sliced = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done) => void line.write(chunk, done),
    destroy: (error, done) => done(line.destroy(error ?? undefined) && null),
  });
  const waiting: Buffer[] = [];
  const next = (): void => {
    sliced.push(waiting.shift());
    if (waiting.length > 0) setImmediate(next);
  };
  line.on('data', (data: Buffer) => {
    if (waiting.length === 0) setImmediate(next);
    for (let at = 0; at < data.length; at += 16) waiting.push(data.subarray(at, at + 16));
  });
  return sliced as Socket;
}
