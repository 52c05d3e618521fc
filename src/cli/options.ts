import { parseArgs } from 'node:util';
import { parseDestination, parsePort, type Destination } from '../core/destination.ts';
import { PrepError } from '../core/problem.ts';
import { FLAGS, HOST_KEY_POLICIES, TRANSPORTS } from './help.ts';
import { suggestion } from '../core/nearest.ts';

/** What the flags say, whatever the command. */
export interface Options {
  /** Beats the port of the destination. */
  readonly port?: number;
  readonly identities: readonly string[];
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly only?: readonly string[];
  readonly skip: readonly string[];
  readonly dotfiles?: string;
  /** The wanted login shell, by name or by absolute path. */
  readonly shell?: string;
  readonly passwordFile?: string;
  readonly hostKey: (typeof HOST_KEY_POLICIES)[number];
  readonly knownHosts?: string;
  readonly sshConfig?: string;
  readonly jump: readonly Destination[];
  readonly controlPath?: string;
  readonly hosts?: string;
  readonly concurrency: number;
  readonly samePassword: boolean;
  readonly verify: boolean;
  readonly newPasswordFile?: string;
  readonly transport: (typeof TRANSPORTS)[number];
  readonly shellFallback: boolean;
  readonly saveAs?: string;
  readonly retry?: string;
  readonly config?: string;
  readonly json: boolean;
  readonly verbosity: 'quiet' | 'normal' | 'verbose';
}

/** Flags by name, each with its values in the order given (a switch has none). */
export type Given = ReadonlyMap<string, readonly string[]>;

/** A command line, taken apart. */
export interface Words {
  readonly given: Given;
  readonly before: readonly string[];
  /** What follows `--`; undefined where there is no `--`. */
  readonly after: readonly string[] | undefined;
}

/** Splits argv by the table of flags. */
export function tokenize(argv: readonly string[]): Token[] {
  const options = Object.fromEntries(
    FLAGS.map(({ name, short, value }) => [
      name,
      { type: value ? ('string' as const) : ('boolean' as const), ...(short && { short }) },
    ]),
  );
  return parseArgs({ args: [...argv], options, strict: false, tokens: true }).tokens;
}

type Token =
  | {
      kind: 'option';
      index: number;
      name: string;
      rawName: string;
      value: string | undefined;
      inlineValue: boolean | undefined;
    }
  | { kind: 'positional'; index: number; value: string }
  | { kind: 'option-terminator'; index: number };

/** The words before `--` that are neither a flag nor a flag's value. */
export function wordsOf(tokens: readonly Token[]): string[] {
  const end = tokens.findIndex(({ kind }) => kind === 'option-terminator');
  const before = end < 0 ? tokens : tokens.slice(0, end);
  return before.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
}

/**
 * Sorts the tokens into flags and words.
 * @throws PrepError `usage` for a flag that is not there, or has or lacks a value
 */
export function sortTokens(tokens: readonly Token[], argv: readonly string[]): Words {
  const given = new Map<string, string[]>();
  const before: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'option-terminator')
      return { given, before, after: argv.slice(token.index + 1) };
    if (token.kind === 'positional') before.push(token.value);
    else given.set(token.name, [...(given.get(token.name) ?? []), ...flagValue(token)]);
  }
  return { given, before, after: undefined };
}

/** The value of a flag, checked to be there exactly where one belongs. */
function flagValue({ name, rawName, value, inlineValue }: Token & { kind: 'option' }): string[] {
  const flag = FLAGS.find((known) => known.name === name);
  if (flag === undefined) {
    const near = rawName.startsWith('--')
      ? suggestion(
          name,
          FLAGS.map((f) => f.name),
          '--',
        )
      : '';
    throw usage(`there is no option ${rawName}${near}`);
  }
  if (flag.value === undefined) {
    if (value !== undefined) throw usage(`${rawName} takes no value`);
    return [];
  }
  const looksLikeFlag = !inlineValue && value?.startsWith('-') && value !== '-';
  if (value === undefined || value === '' || looksLikeFlag) throw usage(`${rawName} needs a value`);
  return [value];
}

/** A name that ssh takes on its command line and in a Host line as nothing but itself. */
const HOST_NAME = /^[\p{L}\p{N}_][\p{L}\p{N}_.+-]*$/u;

/**
 * What the flags say, checked.
 * @throws PrepError `usage`, `bad-destination`, `bad-port`
 */
export function readOptions(given: Given, stepNames: readonly string[]): Options {
  const on = (name: string): boolean => given.has(name);
  if (on('quiet') && on('verbose')) throw usage('--quiet and --verbose exclude each other');
  if (last(given, 'password-file') === '-' && last(given, 'new-password-file') === '-') {
    throw usage('only one password can come from standard input');
  }
  const name = last(given, 'save-as');
  if (name !== undefined && !HOST_NAME.test(name)) {
    throw usage(`--save-as takes a plain name such as web1, not "${name}"`);
  }
  return {
    ...steps(given, stepNames),
    ...plainValues(given),
    ...choices(given),
    identities: given.get('identity') ?? [],
    jump: list(given, 'jump').map(parseDestination),
    dryRun: on('dry-run'),
    yes: on('yes'),
    samePassword: on('same-password'),
    verify: !on('no-verify'),
    shellFallback: on('shell-fallback'),
    json: on('json'),
    verbosity: on('quiet') ? 'quiet' : on('verbose') ? 'verbose' : 'normal',
  };
}

function choices(
  given: Given,
): Pick<Options, 'port' | 'shell' | 'hostKey' | 'concurrency' | 'transport'> {
  const port = last(given, 'port');
  const shell = last(given, 'shell');
  if (shell !== undefined && !/^(\/[\w.+/-]+|[\w.+][\w.+-]*)$/.test(shell)) {
    throw usage(`"${shell}" is neither the name of a shell nor an absolute path`);
  }
  const concurrency = last(given, 'concurrency') ?? '10';
  if (!/^[1-9]\d{0,5}$/.test(concurrency)) {
    throw usage(`--concurrency takes a number from 1 up, not "${concurrency}"`);
  }
  return {
    ...(port !== undefined && { port: parsePort(port) }),
    ...(shell !== undefined && { shell }),
    concurrency: Number(concurrency),
    hostKey: oneOf(last(given, 'host-key') ?? 'ask', HOST_KEY_POLICIES, '--host-key'),
    transport: oneOf(last(given, 'transport') ?? 'auto', TRANSPORTS, '--transport'),
  };
}

const PLAIN = {
  dotfiles: 'dotfiles',
  'password-file': 'passwordFile',
  'known-hosts': 'knownHosts',
  'ssh-config': 'sshConfig',
  'control-path': 'controlPath',
  hosts: 'hosts',
  'new-password-file': 'newPasswordFile',
  'save-as': 'saveAs',
  retry: 'retry',
  config: 'config',
} as const;

type PlainValues = { readonly [Key in (typeof PLAIN)[keyof typeof PLAIN]]?: string };

function plainValues(given: Given): PlainValues {
  const values: Record<string, string> = {};
  for (const [name, key] of Object.entries(PLAIN)) {
    const value = last(given, name);
    if (value !== undefined) values[key] = value;
  }
  return values;
}

function steps(given: Given, names: readonly string[]): Pick<Options, 'only' | 'skip'> {
  const only = given.has('only') ? stepList(given, 'only', names) : undefined;
  const skip = stepList(given, 'skip', names);
  if (names.length > 0 && (only ?? names).every((name) => skip.includes(name))) {
    throw usage('--only and --skip leave no step to take');
  }
  return { ...(only && { only }), skip };
}

function stepList(given: Given, flag: 'only' | 'skip', names: readonly string[]): string[] {
  return list(given, flag).map((name) => {
    if (names.includes(name)) return name;
    throw usage(
      `--${flag}: there is no step "${name}"${suggestion(name, names) || ` (the steps: ${names.join(', ')})`}`,
    );
  });
}

function list(given: Given, flag: string): string[] {
  return (given.get(flag) ?? []).flatMap((value) => {
    const parts = value.split(',').map((part) => part.trim());
    if (parts.includes('')) throw usage(`--${flag} has an empty place in "${value}"`);
    return parts;
  });
}

function last(given: Given, name: string): string | undefined {
  return given.get(name)?.at(-1);
}

/** The value of a flag, wherever it stands, of a command line that is not understood as yet. */
export function lastValue(argv: readonly string[], flag: string): string | undefined {
  return tokenize(argv)
    .flatMap((token) => (token.kind === 'option' && token.name === flag ? [token.value] : []))
    .at(-1);
}

/** The one of the allowed words that was typed. @throws PrepError `usage` */
export function oneOf<T extends string>(
  text: string | undefined,
  allowed: readonly T[],
  what: string,
): T {
  const found = allowed.find((value) => value === text);
  if (found !== undefined) return found;
  const said = text === undefined ? '' : `, not "${text}"`;
  throw usage(`${what} takes ${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1)}${said}`);
}

/** A mistake on the command line. */
export function usage(text: string): PrepError {
  return new PrepError({ code: 'usage', text });
}
