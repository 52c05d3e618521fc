import { parseDestination, type Destination } from '../core/destination.ts';
import { readOptions, sortTokens, tokenize, usage, type Options } from './options.ts';

/** Options that a line of a hosts file may have, by their flags. */
const OWN = {
  port: 'port',
  identity: 'identities',
  jump: 'jump',
  shell: 'shell',
  only: 'only',
  skip: 'skip',
  'password-file': 'passwordFile',
} as const;

/** What a line says about its own account; it wins over the command line. */
export type OwnOptions = Partial<Pick<Options, (typeof OWN)[keyof typeof OWN]>>;

/** An account and what was said about it alone. */
export interface HostLine {
  readonly destination: Destination;
  readonly options: OwnOptions;
}

/**
 * Reads a line of a hosts file: a destination, and options in the command line's own words.
 * @throws PrepError `usage`, `bad-destination`, `bad-port`
 */
export function parseHostLine(words: readonly string[], stepNames: readonly string[]): HostLine {
  const { given, before, after = [] } = sortTokens(tokenize(words), words);
  const foreign = [...given.keys()].find((name) => !(name in OWN));
  if (foreign !== undefined) {
    const own = Object.keys(OWN).map((name) => `--${name}`);
    throw usage(`--${foreign} goes on the command line; a line takes ${own.join(', ')}`);
  }
  const [place, extra] = [...before, ...after];
  if (place === undefined) throw usage('no destination stands there');
  if (extra !== undefined) {
    throw usage(`"${extra}" is one word too many: one destination a line`);
  }
  const said = readOptions(given, stepNames);
  if (said.passwordFile === '-') throw usage('--password-file - goes on the command line');
  const options = Object.fromEntries(
    Object.entries(OWN).flatMap(([flag, key]) => (given.has(flag) ? [[key, said[key]]] : [])),
  ) as OwnOptions;
  const { port } = options;
  const destination = { ...parseDestination(place), ...(port !== undefined && { port }) };
  return { destination, options };
}
