import { createServer, Socket, type AddressInfo, type Server } from 'node:net';
import { performance } from 'node:perf_hooks';

/** Which way bytes go: `up` from the client to the server. */
export type Direction = 'up' | 'down';

/** What passed through a proxy, as its client saw it. */
export interface Traffic {
  readonly connections: number;
  /** How many of them stood at the same time, at most. */
  readonly most: number;
  /** How often the client spoke after having heard: round trips by the protocol's count. */
  readonly flights: number;
  readonly bytes: Readonly<Record<Direction, number>>;
  /** Pieces as they arrived; about one per message. */
  readonly pieces: Readonly<Record<Direction, number>>;
}

/** Where a line breaks. */
export interface Cut {
  readonly direction: Direction;
  /** Before the piece of this number (0 is the first) passes, counted over all connections. */
  readonly beforePiece?: number;
  /** Once so many bytes have passed, in the middle of a piece if need be. */
  readonly afterBytes?: number;
  /** The line stays, but nothing passes any more, either way; not even that one side has gone. */
  readonly freezes?: boolean;
}

/** What a line is like. */
export interface LineOptions {
  /** Milliseconds from a word to its answer. */
  readonly rtt?: number;
  readonly cut?: Cut;
  /** How many bytes go up in a second; default any number. */
  readonly rate?: number;
}

/**
 * A line to a server on 127.0.0.1 that delays, counts and breaks. It carries bytes, not packets: Nagle's
 * algorithm and lost acknowledgements, which cost real lines more, do not show.
 */
export class Proxy {
  /** May be changed while nothing is on the way. */
  rtt: number;
  cut: Cut | undefined;
  readonly #rate: number;
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();
  #frozen = false;
  #traffic = noTraffic();
  #open = 0;
  #lastDirection: Direction = 'down';

  /** Use `startProxy`. */
  constructor(target: number, { rtt = 0, cut, rate = Infinity }: LineOptions) {
    this.rtt = rtt;
    this.cut = cut;
    this.#rate = rate;
    this.#listener = createServer((client) => {
      this.#join(client, target);
    });
  }

  /** Starts listening on a free port. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once('error', reject).listen(0, '127.0.0.1', resolve);
    });
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** What passed since the start or the last `forget()`. */
  get traffic(): Traffic {
    return structuredClone(this.#traffic);
  }

  /** Counts from zero. */
  forget(): void {
    this.#traffic = noTraffic();
    this.#lastDirection = 'down';
  }

  /** Breaks every connection and stops listening. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.hangUp();
    await closed;
  }

  /** Nothing passes any more, either way. */
  freeze(): void {
    this.#frozen = true;
  }

  /** What comes from here on passes again. */
  thaw(): void {
    this.#frozen = false;
  }

  /** Breaks every connection. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * On a real line a connection stands for the client one round trip after it was asked for, and for the
   * server half a trip later; here it stands for the client at once, so what it says first waits that long.
   */
  #join(client: Socket, target: number): void {
    this.#traffic.connections++;
    this.#countOpen(client);
    const server = new Socket();
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    }
    const stands = performance.now() + this.rtt;
    const dialled = this.#after(this.rtt * 1.5, () => server.connect(target, '127.0.0.1'));
    this.#carry('up', client, server, { stands, dialled });
    this.#carry('down', server, client, { stands, dialled });
  }

  /**
   * A client has gone with its last word, before this side of the line has. One that dials as soon as its last
   * connection is closed may be heard first, if both came in the same turn of the event loop.
   */
  #countOpen(client: Socket): void {
    const gone = new Promise<void>((resolve) => {
      for (const last of ['end', 'error', 'close']) client.once(last, resolve);
    });
    setImmediate(() => {
      this.#open++;
      this.#traffic.most = Math.max(this.#traffic.most, this.#open);
      void gone.then(() => this.#open--);
    });
  }

  /** Does something after so many milliseconds; 0 is now. */
  #after(milliseconds: number, act: () => void): Promise<void> {
    if (milliseconds === 0) act();
    return new Promise((resolve) => {
      if (milliseconds === 0) return resolve();
      setTimeout(() => resolve(act()), milliseconds);
    });
  }

  #carry(direction: Direction, from: Socket, to: Socket, line: Line): void {
    let arrives = 0;
    const rate = direction === 'up' ? this.#rate : Infinity;
    const later = (act: () => void, bytes = 0): void => {
      arrives = Math.max(arrives, Math.max(performance.now(), line.stands) + this.rtt / 2);
      arrives += (bytes / rate) * 1000;
      if (this.rtt === 0 && rate === Infinity) act();
      else setTimeout(() => void line.dialled.then(act), arrives - performance.now());
    };
    from.on('data', (data) => {
      // The client's words count when they leave it, the server's when they reach it.
      if (direction === 'up') this.#count('up', data.length);
      later(() => {
        if (direction === 'down') this.#count('down', data.length);
        this.#pass(direction, data, to);
      }, data.length);
    });
    from.on('end', () => later(() => this.#frozen || to.end()));
    from.on('close', () => later(() => this.#frozen || to.destroy()));
  }

  #count(direction: Direction, bytes: number): void {
    this.#traffic.bytes[direction] += bytes;
    this.#traffic.pieces[direction]++;
    if (direction === 'up' && this.#lastDirection === 'down') this.#traffic.flights++;
    this.#lastDirection = direction;
  }

  #pass(direction: Direction, data: Uint8Array, to: Socket): void {
    if (this.#frozen) return;
    const {
      direction: cutDirection,
      beforePiece = Infinity,
      afterBytes = Infinity,
    } = this.cut ?? {};
    if (cutDirection !== direction) return void to.write(data);
    if (this.#traffic.pieces[direction] > beforePiece) return this.#break();
    const tooMany = this.#traffic.bytes[direction] - afterBytes;
    if (tooMany <= 0) return void to.write(data);
    to.write(data.subarray(0, Math.max(0, data.length - tooMany)), () => this.#break());
  }

  #break(): void {
    if (this.cut?.freezes === true) this.freeze();
    else this.hangUp();
  }
}

/** When a connection stands, for the client and for the server. */
interface Line {
  readonly stands: number;
  readonly dialled: Promise<void>;
}

/** Opens a line to a port of 127.0.0.1. */
export async function startProxy(target: number, options: LineOptions = {}): Promise<Proxy> {
  const proxy = new Proxy(target, options);
  await proxy.listen();
  return proxy;
}

function noTraffic(): {
  connections: number;
  most: number;
  flights: number;
  bytes: Record<Direction, number>;
  pieces: Record<Direction, number>;
} {
  return {
    connections: 0,
    most: 0,
    flights: 0,
    bytes: { up: 0, down: 0 },
    pieces: { up: 0, down: 0 },
  };
}
