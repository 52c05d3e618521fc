import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { join } from 'node:path';
import ssh2, {
  type AuthContext,
  type AuthenticationType,
  type ClientInfo,
  type Connection,
  type PublicKeyAuthContext,
  type ServerChannel,
  type Session,
} from 'ssh2';
import {
  authorizedKeyLine,
  parseAuthorizedKey,
  type AuthorizedKey,
} from '../core/authorized-key.ts';
import { Secret } from '../core/secret.ts';
import { makeKeyPair } from '../local/key-pair.ts';
import type { Sandbox } from './sandbox.ts';
import { serveSftp } from './sftp-server.ts';

/** Environment variables that a client may set, as in Debian's sshd_config. */
const ACCEPTED_ENVIRONMENT = /^(LANG|LC_\w+)$/;

/** Refused attempts after which a client is shown the door. */
const MAX_TRIES = 6;

/** An SSH server on 127.0.0.1 whose only account is a sandbox. Its protected methods are there to be varied. */
export class EmbeddedServer {
  readonly sandbox: Sandbox;
  readonly host = '127.0.0.1';
  /** Connections accepted so far. */
  connections = 0;
  /** How those who came in were let in, in order. */
  readonly logins: AuthenticationType[] = [];
  readonly #listener: NetServer;
  readonly #ssh: ssh2.Server;
  readonly #sockets = new Set<Socket>();
  readonly #publicHostKey: AuthorizedKey;

  /** Use `startEmbedded`. */
  constructor(sandbox: Sandbox, hostKey: HostKey, banner?: string) {
    this.sandbox = sandbox;
    this.#publicHostKey = hostKey.publicKey;
    const config = { hostKeys: [hostKey.privateText.reveal()], ident: 'prep_embedded' };
    this.#ssh = new ssh2.Server(banner === undefined ? config : { ...config, banner });
    this.#ssh.on('connection', (client: Connection, info: ClientInfo) =>
      this.#welcome(client, info),
    );
    this.#listener = createServer({ noDelay: true }, (socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
      this.accept(socket);
    });
  }

  /** Starts listening, on a free port if none is named. */
  listen(port = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once('error', reject).listen(port, this.host, resolve);
    });
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  /** The host key as a known_hosts line. */
  get knownHosts(): string {
    return `[${this.host}]:${this.port} ${authorizedKeyLine(this.#publicHostKey)}\n`;
  }

  /** Stops listening and hangs up on everybody. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.hangUp();
    await closed;
  }

  /** Hangs up on everybody. */
  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Speaks SSH on a new connection. */
  protected accept(socket: Socket): void {
    this.#ssh.injectSocket(socket);
  }

  /** What the server says it takes. */
  protected methods(): AuthenticationType[] {
    return ['publickey', 'password'];
  }

  /** Decides one attempt to log in. */
  protected authenticate(context: AuthContext): void {
    const { sandbox } = this;
    const known = context.username === sandbox.user;
    const offered = this.methods().includes(context.method);
    if (offered && known && context.method === 'password' && sandbox.admits(context.password)) {
      return context.accept();
    }
    if (offered && known && context.method === 'publickey' && this.#isAuthorized(context)) {
      return context.accept();
    }
    context.reject(this.methods());
  }

  /** Decides whether a session may be opened; `open` is how many this connection has. */
  protected admitSession(_open: number): boolean {
    return true;
  }

  /** Runs a command of the client's. */
  protected exec(channel: ServerChannel, command: string, asked: Asked): void {
    const child = this.sandbox.run(this.sandbox.translate(command), asked.env);
    const translate = this.sandbox.translation();
    channel.on('data', (data: Buffer) => child.stdin.write(translate(data)));
    channel.on('end', () => child.stdin.end());
    child.stdin.on('error', () => undefined);
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(asked.pty ? channel : channel.stderr, { end: false });
    const hangUp = (): void => void (child.exitCode === null && killGroup(child.pid));
    channel.on('close', hangUp).on('error', () => undefined);
    child.on('error', () => finish(channel, 126, null));
    child.on('close', (code, signal) => finish(channel, code, signal));
  }

  /** Serves SFTP; false where there is none. */
  protected sftp(accept: () => ServerChannel, info: ClientInfo): boolean {
    const { home } = this.sandbox;
    const own = (path: Buffer): void => this.sandbox.own(path.toString());
    // ssh2 goes by the protocol unless it believes to speak to OpenSSH; OpenSSH's own client never does.
    const targetFirst = !info.header.versions.software.startsWith('ssh2js');
    serveSftp(accept(), { home, own, targetFirst });
    return true;
  }

  #welcome(client: Connection, info: ClientInfo): void {
    let tries = 0;
    let open = 0;
    client.on('error', () => undefined);
    client.on('authentication', (context) => {
      if (context.method !== 'none' && ++tries > MAX_TRIES) return void client.end();
      this.#note(context);
      this.authenticate(context);
    });
    client.on('session', (accept, reject) => {
      if (!this.admitSession(open)) return reject();
      open++;
      const session = accept();
      session.on('close', () => open--);
      this.#serve(session, info);
    });
  }

  /** Remembers the method of an attempt that is accepted in earnest. */
  #note(context: AuthContext): void {
    const accept = context.accept.bind(context);
    context.accept = (): void => {
      if (context.method !== 'publickey' || context.signature) this.logins.push(context.method);
      accept();
    };
  }

  #serve(session: Session, info: ClientInfo): void {
    const asked: Asked = {
      pty: false,
      env: { SSH_CLIENT: `${info.ip} ${info.port} ${this.port}` },
    };
    session.on('pty', (accept) => {
      asked.pty = true;
      accept?.();
    });
    session.on('env', (accept, _reject, { key, val }) => {
      if (ACCEPTED_ENVIRONMENT.test(key)) asked.env[key] = val;
      accept?.();
    });
    session.on('exec', (accept, _reject, { command }) => this.exec(accept(), command, asked));
    session.on('subsystem', (accept, reject, { name }) => {
      if (name !== 'sftp' || !this.sftp(accept, info)) reject();
    });
  }

  #isAuthorized(context: PublicKeyAuthContext): boolean {
    const blob = context.key.data.toString('base64');
    if (!authorizedKeys(this.sandbox).some((key) => key.blob === blob)) return false;
    if (context.signature === undefined) return true;
    const key = ssh2.utils.parseKey(`${context.key.algo} ${blob}`);
    if (key instanceof Error || context.blob === undefined) return false;
    return key.verify(context.blob, context.signature, context.hashAlgo) === true;
  }
}

/** What a session asked for before its command. */
export interface Asked {
  pty: boolean;
  readonly env: Record<string, string>;
}

/** A server's host key. */
export interface HostKey {
  readonly publicKey: AuthorizedKey;
  readonly privateText: Secret;
}

/** Makes an ed25519 host key. */
export function makeHostKey(): Promise<HostKey> {
  return makeKeyPair(new Secret(''), 'a throw-away server');
}

/** Starts a server for a sandbox. */
export async function startEmbedded(sandbox: Sandbox): Promise<EmbeddedServer> {
  const server = new EmbeddedServer(sandbox, await makeHostKey());
  await server.listen();
  return server;
}

/** The keys that may log in: none where others could have written them, as with sshd's StrictModes. */
function authorizedKeys({ home, uid }: Sandbox): AuthorizedKey[] {
  const file = join(home, '.ssh', 'authorized_keys');
  const paths = [home, join(home, '.ssh'), file];
  const safe = (stats: Stats | undefined): boolean =>
    stats !== undefined && [0, uid].includes(stats.uid) && (stats.mode & 0o022) === 0;
  if (!paths.every((path) => safe(lstatSync(path, { throwIfNoEntry: false })))) return [];
  const lines = readFileSync(file, 'latin1').split(/\r?\n/);
  return lines.map(parseAuthorizedKey).filter((key) => key !== undefined);
}

/** Ends a channel as sshd does: how the command ended, then the end of it all. */
function finish(channel: ServerChannel, code: number | null, signal: string | null): void {
  if (channel.destroyed) return;
  if (signal === null) channel.exit(code ?? 255);
  else channel.exit(signal.replace(/^SIG/, ''));
  channel.end();
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGHUP');
  } catch {
    // It has ended in the meantime.
  }
}
