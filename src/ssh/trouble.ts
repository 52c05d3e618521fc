import type { ClientErrorExtensions } from 'ssh2';
import { printable } from '../core/printable.ts';
import type { Problem } from '../core/problem.ts';
import { noCommonAlgorithm } from './algorithms.ts';
import { offeredAlgorithms } from './offers.ts';
import type { Settings } from './settings.ts';

/** How far a connection came. */
export type Phase = 'dialling' | 'key exchange' | 'login' | 'open';

/** What there is to see of a connection that broke. */
export interface Scene {
  readonly settings: Settings;
  readonly phase: Phase;
  /** The server's first bytes, its identification and its offer of algorithms among them. */
  readonly heard: Buffer;
  /** Its reason for disconnecting. */
  readonly disconnect: string;
  /** Its last banner, which may be why it hung up. */
  readonly banner: string;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network is unreachable',
  ETIMEDOUT: 'timed out',
  ECONNRESET: 'connection reset',
  EADDRNOTAVAIL: 'this machine has no such address as BindAddress',
};

/** What an error of the socket or of ssh2 means at this point. */
export function troubleOf(error: Error & ClientErrorExtensions, scene: Scene): Problem {
  const { phase, heard, disconnect, banner } = scene;
  const { code = '' } = error as NodeJS.ErrnoException;
  const { address: host, addressFamily: family, algorithms } = scene.settings;
  if (/^(ENOTFOUND|EAI_)/.test(code))
    return { code: 'cannot-resolve', host, ...(family && { family }) };
  const mismatch = noCommonAlgorithm(error.message, algorithms, offeredAlgorithms(heard));
  if (mismatch !== undefined) return mismatch;
  if (phase === 'dialling') return noServer(code || error.message, scene);
  const during = phase === 'key exchange' ? 'the key exchange' : 'login';
  const lost = /close|lost|reset|EPIPE/i.test(`${error.message}${code}`);
  const words = /^.{1,200}$/.test(banner) ? banner : '';
  return { code: 'hung-up', during, said: disconnect || (lost ? words : error.message) };
}

/** What newer sshd say before their identification to those whom they do not let in (MaxStartups, PerSourcePenalties). */
const TURNED_AWAY = /^(Exceeded MaxStartups|Not allowed at this time)/;

function noServer(cause: string, { settings, heard }: Scene): Problem {
  const { address: host, port } = settings;
  const said = printable(heard.toString('latin1').split(/\r?\n/)[0] ?? '').slice(0, 80);
  if (TURNED_AWAY.test(said)) return { code: 'hung-up', during: 'the greeting', said };
  if (heard.length > 0) return { code: 'not-ssh', host, port, said };
  // As sshd does with too many at once (MaxStartups), and with addresses it has had enough of.
  if (!/^E[A-Z]+$/.test(cause)) return { code: 'hung-up', during: 'the greeting', said: '' };
  return { code: 'cannot-connect', host, port, cause: REASONS[cause] ?? cause };
}
