import { once } from 'node:events';
import { createConnection, type AddressInfo, type Socket } from 'node:net';
import { Client, Server, utils, type AnyAuthMethod, type Connection } from 'ssh2';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { execAhead, loginAtOnce, signAtOnce, type Ahead } from '../../src/ssh/ahead.ts';
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
  server = new Server({ hostKeys: [hostKey] }, (connection) => serve(connection));
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
      heard.push(signed ? 'a signature' : context.method);
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

/** Logs in, with a command right behind the request; `lead` is called when keys were exchanged. */
async function run(method: AnyAuthMethod, command: string, lead?: () => void): Promise<string> {
  const ahead = new Promise<Ahead>((resolve, reject) => {
    client.on('error', reject).on('handshake', () => lead && process.nextTick(lead));
    client.connect({
      sock: wire,
      username: 'alice',
      authHandler: (_left, _partial, next) => {
        next(method);
        setImmediate(() => resolve(execAhead(client, wire, command)));
      },
    });
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
  await run(KEY, 'one', () => signAtOnce(client));
  expect(heard).toEqual(['a signature', 'a session', 'one']);
});

test('a login that does not wait for leave happens once', async () => {
  await run(PASSWORD, 'one', () => loginAtOnce(client));
  expect(heard).toEqual(['password', 'a session', 'one']);
});
