import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startProxy, type LineOptions, type Proxy } from '../support/proxy.ts';

let echo: Server | undefined;
let proxy: Proxy | undefined;
afterEach(async () => {
  await proxy?.close();
  echo?.close();
});

/** A server that greets and then answers every line with itself, behind a line. */
async function start(options?: LineOptions): Promise<Proxy> {
  echo = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined).write('hello\n');
    socket.on('data', (data) => socket.write(data));
  });
  await new Promise<void>((resolve) => echo!.listen(0, '127.0.0.1', resolve));
  proxy = await startProxy((echo.address() as AddressInfo).port, options);
  return proxy;
}

/** Says each word once the one before was answered; gives what came back. */
function talk(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const left = [...words];
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (data) => {
      heard += data.toString();
      const word = left.shift();
      if (word === undefined) socket.end();
      else socket.write(`${word}\n`);
    });
    socket.on('error', () => undefined).on('close', () => resolve(heard));
  });
}

describe('a line', () => {
  it('carries everything, and counts', async () => {
    const { port } = await start();
    expect(await talk(port, ['a', 'bc'])).toBe('hello\na\nbc\n');
    expect(proxy!.traffic).toEqual({
      connections: 1,
      most: 1,
      flights: 2,
      bytes: { up: 5, down: 11 },
      pieces: { up: 2, down: 3 },
    });
    proxy!.forget();
    expect(proxy!.traffic).toMatchObject({ connections: 0, flights: 0 });
  });

  it.each(['destroy', 'end'] as const)(
    'tells one after another, however close (%s), from two at the same time',
    async (close) => {
      const { port } = await start();
      const after = (): Promise<Socket> =>
        new Promise((resolve) => {
          const socket = connect({ port, host: '127.0.0.1', noDelay: true });
          socket.once('data', () => resolve(socket[close]())).on('error', () => undefined);
        });
      for (let left = 50; left > 0; left--) await after();
      expect(proxy!.traffic).toMatchObject({ connections: 50, most: 1 });
      const sockets = [1, 2].map(() => connect(port, '127.0.0.1'));
      await Promise.all(
        sockets.map((socket) => new Promise((heard) => socket.once('data', heard))),
      );
      expect(proxy!.traffic).toMatchObject({ connections: 52, most: 2 });
      for (const socket of sockets) socket.destroy();
    },
  );

  it('takes its time: two round trips to the greeting, one for each answer', async () => {
    const { port } = await start({ rtt: 40 });
    const begun = performance.now();
    expect(await talk(port, ['a', 'b', 'c'])).toBe('hello\na\nb\nc\n');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(5 * 40 - 10);
  });

  it('keeps the order of what is on the way', async () => {
    const { port } = await start({ rtt: 10 });
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let heard = '';
    const done = new Promise((resolve) => {
      socket.on('data', (data) => {
        heard += data.toString();
        if (heard.endsWith('999.')) resolve(socket.end());
      });
    });
    const sent = Array.from({ length: 1000 }, (_, i) => `${i}.`);
    for (const word of sent) socket.write(word);
    await done;
    expect(heard).toBe(`hello\n${sent.join('')}`);
  });

  it.each<[string, LineOptions, string]>([
    ['before an answer', { cut: { direction: 'down', beforePiece: 2 } }, 'hello\na\n'],
    ['before a word', { cut: { direction: 'up', beforePiece: 1 } }, 'hello\na\n'],
    ['in the middle of an answer', { cut: { direction: 'down', afterBytes: 9 } }, 'hello\na\nb'],
    ['on the way, with a delay', { rtt: 6, cut: { direction: 'down', beforePiece: 1 } }, 'hello\n'],
  ])('breaks %s', async (_where, options, heard) => {
    const { port } = await start(options);
    expect(await talk(port, ['a', 'bc', 'd'])).toBe(heard);
  });
});
