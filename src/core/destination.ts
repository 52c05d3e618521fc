import { PrepError } from './problem.ts';

/** Where the user wants to go, as typed: `[user@]host[:port]`, `[user@][v6addr]:port`, `ssh://...`, or an ssh_config alias. */
export interface Destination {
  readonly user?: string;
  readonly host: string;
  readonly port?: number;
}

const HOST = /^[^\s@/[\]:-][^\s@/[\]:]*$/;

/**
 * Reads a destination. The user is everything before the last `@`, as in ssh(1); a bare IPv6 address
 * (two colons or more) needs no brackets when there is no port.
 * @throws PrepError `bad-destination`
 */
export function parseDestination(text: string): Destination {
  const bad = (): PrepError => new PrepError({ code: 'bad-destination', text });
  const url = /^ssh:\/\/(.*?)\/?$/i.exec(text);
  if (!url && /^[a-z]+:\/\//i.test(text)) throw bad();
  const rest = url ? url[1]! : text;
  const at = rest.lastIndexOf('@');
  const user = at >= 0 ? (url ? decodeUser(rest.slice(0, at)) : rest.slice(0, at)) : undefined;
  const place = rest.slice(at + 1);
  const match =
    /^\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\](?::(.*))?$/.exec(place) ??
    /^((?:[^:]*:){2,}[^:]*)$/.exec(place) ??
    /^([^:]*)(?::(.*))?$/.exec(place);
  const host = match?.[1] ?? '';
  const v6 = host.includes(':');
  if (user === '' || user?.startsWith('-') || (user && /[\s\p{Cc}]/u.test(user))) throw bad();
  if (v6 ? !/^[0-9a-fA-F:.]+(%[\w.-]+)?$/.test(host) : !HOST.test(host)) throw bad();
  const port = match?.[2] === undefined ? undefined : parsePort(match[2]);
  return { host, ...(user !== undefined && { user }), ...(port !== undefined && { port }) };
}

/**
 * Reads a port number, 1 to 65535.
 * @throws PrepError `bad-port`
 */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw new PrepError({ code: 'bad-port', text });
  return port;
}

/** The destination as a label: `alice@web1`, `alice@web1:2222`, `alice@[::1]:2222`. */
export function label(destination: Destination): string {
  const { user, host, port } = destination;
  const place = port === undefined ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return user === undefined ? place : `${user}@${place}`;
}

function decodeUser(text: string): string {
  try {
    return decodeURIComponent(text.replace(/;.*/, ''));
  } catch {
    return '';
  }
}
