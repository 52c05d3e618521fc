import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import type { Channel } from './session.ts';
import { execOn } from './ssh2-session.ts';

/* oxlint-disable no-underscore-dangle -- ssh2 names its private parts so */

/*
 * Requests sent a flight before ssh2 would send them, to OpenSSH servers alone: sshd handles packets in the
 * order in which they come, so that by the time it reads one, what the request depends on has happened.
 * ssh2 has no public way to do this; these are the private parts of its release 1.17 that are touched.
 */
interface Protocol {
  readonly _handlers: {
    SERVICE_ACCEPT: (protocol: Protocol, name: string) => void;
    USERAUTH_PK_OK: (protocol: Protocol) => void;
    GLOBAL_REQUEST: (protocol: Protocol, name: string, wantsReply: boolean) => void;
  };
  requestFailure(): void;
  /** Methods of the class, which stand in for a moment as properties of the object. */
  exec?: (channel: number, command: string, wantReply: boolean) => void;
  authPK?: () => void;
}

function protocolOf(client: Client): Protocol {
  return (client as unknown as { readonly _protocol: Protocol })._protocol;
}

/** The number that sshd gives to the first channel of a connection. */
const FIRST_CHANNEL = 0;

/**
 * Begins to log in without waiting for the server's leave (SSH_MSG_SERVICE_ACCEPT, RFC 4253 section 10).
 * To be called when keys were exchanged, once the request for the service is on its way.
 */
export function loginAtOnce(client: Client): void {
  const protocol = protocolOf(client);
  const { SERVICE_ACCEPT: begin } = protocol._handlers;
  protocol._handlers.SERVICE_ACCEPT = () => undefined;
  begin(protocol, 'ssh-userauth');
}

/** Lets the next key be offered with its signature, without asking first whether it would be taken (RFC 4252 section 7). */
export function signAtOnce(client: Client): void {
  const protocol = protocolOf(client);
  protocol.authPK = () => {
    delete protocol.authPK;
    protocol._handlers.USERAUTH_PK_OK(protocol);
  };
}

/** A command under way before the login it depends on was granted. */
export interface Ahead {
  readonly channel: Promise<Channel>;
  /** To be called when the login was not granted: the next command is an ordinary one. */
  withdraw(): void;
}

/** Runs a command as the first of a connection, without waiting for its channel to be confirmed. */
export function execAhead(client: Client, wire: Duplex, command: string): Ahead {
  const protocol = protocolOf(client);
  const withdraw = (): void => void delete protocol.exec;
  withdraw();
  const channel = execOn(client, wire, command);
  channel.catch(() => undefined);
  protocol.exec?.(FIRST_CHANNEL, command, true);
  // ssh2 asks for the command once the channel is confirmed; that was done already.
  protocol.exec = (number, ...request) => {
    withdraw();
    if (number !== FIRST_CHANNEL) protocol.exec?.(number, ...request);
  };
  return { channel, withdraw };
}

/**
 * Takes no notice of the further host keys that sshd announces (OpenSSH's PROTOCOL, section 2.5): ssh2 would have each
 * proven, RSA ones at some cost, and nobody here asks for them.
 */
export function ignoreFurtherHostKeys(client: Client): void {
  protocolOf(client)._handlers.GLOBAL_REQUEST = (protocol, _name, wantsReply) => {
    if (wantsReply) protocol.requestFailure();
  };
}
