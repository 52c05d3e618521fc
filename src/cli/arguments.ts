import { parseDestination, type Destination } from '../core/destination.ts';
import { COMPLETION_SHELLS, EXPORT_FORMATS } from './help.ts';
import { distance } from '../core/nearest.ts';
import {
  oneOf,
  readOptions,
  sortTokens,
  tokenize,
  usage,
  wordsOf,
  type Options,
  type Words,
} from './options.ts';

/** A shell that there is a completion script for. */
export type CompletionShell = (typeof COMPLETION_SHELLS)[number];

/** A tool that the desired state can be written down for. */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What the user asked for. `destinations` is empty only where `--hosts` names more. */
export type Invocation = { readonly options: Options } & (
  | { readonly command: 'prepare' | 'undo'; readonly destinations: readonly Destination[] }
  | {
      readonly command: 'open' | 'run';
      readonly destination: Destination;
      /** Empty where `open` was given none. */
      readonly remoteCommand: readonly string[];
    }
  | { readonly command: 'masters'; readonly exit?: Destination | 'all' }
  | { readonly command: 'mastering'; readonly remove: boolean }
  | {
      readonly command: 'export';
      readonly format: ExportFormat;
      readonly destinations: readonly Destination[];
    }
  | { readonly command: 'completion'; readonly shell: CompletionShell }
  | { readonly command: 'steps' | 'demo' | 'init' | 'help' | 'version' }
);

/** The subcommands, as typed. */
export const COMMANDS = [
  'undo',
  'open',
  'run',
  'mastering',
  'steps',
  'demo',
  'completion',
  'export',
  'init',
  'help',
] as const;

type Command = (typeof COMMANDS)[number];

/** The subcommands that no host follows. */
export const WITHOUT_HOSTS: readonly Command[] = [
  'mastering',
  'steps',
  'demo',
  'init',
  'completion',
  'help',
];

/**
 * What `-h` or `-V` wish for, wherever they stand before `--`: they win over everything else; or `prep help`, alone
 * or with a command. It is asked first, so that neither needs the steps to be loaded.
 */
export function helpOrVersion(argv: readonly string[]): 'help' | 'version' | undefined {
  const tokens = tokenize(argv);
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (token.name === 'help' || token.name === 'version') return token.name;
  }
  const [first, topic = 'help', ...others] = wordsOf(tokens);
  const known = COMMANDS.some((name) => name === topic) && others.length === 0;
  return first === 'help' && known ? 'help' : undefined;
}

/** The subcommands whose standard output is not for events: it is their result, or another program's. */
const WITHOUT_EVENTS: readonly Command[] = ['open', 'run', 'steps', 'completion', 'export', 'init'];

/** Whether events are wanted on standard output, also of a command line that makes no sense otherwise. */
export function wantsEvents(argv: readonly string[]): boolean {
  const tokens = tokenize(argv);
  const [first] = wordsOf(tokens);
  const json = tokens.some((token) => token.kind === 'option' && token.name === 'json');
  return json && !WITHOUT_EVENTS.some((name) => name === first);
}

/**
 * Reads the command line. Options may stand anywhere before `--`.
 * @throws PrepError `usage`, `bad-destination`, `bad-port`
 */
export function parseArguments(argv: readonly string[], stepNames: readonly string[]): Invocation {
  const wish = helpOrVersion(argv);
  if (wish !== undefined) {
    return { command: wish, options: readOptions(new Map(), stepNames) };
  }
  const words = sortTokens(tokenize(argv), argv);
  const options = readOptions(words.given, stepNames);
  const [first] = words.before;
  const command = COMMANDS.find((name) => name === first);
  if (words.given.has('remove') && command !== 'mastering') {
    throw usage('--remove goes with prep mastering');
  }
  if (words.given.has('save-as') && command !== undefined) {
    throw usage('--save-as goes with preparing an account');
  }
  for (const flag of ['list', 'exit']) {
    if (words.given.has(flag) && command !== 'open') throw usage(`--${flag} goes with prep open`);
  }
  if (command === undefined) return prepare(words, options);
  return subcommand(command, { ...words, before: words.before.slice(1) }, options);
}

function prepare({ before, after = [] }: Words, options: Options): Invocation {
  refuseTypo(before);
  const places = destinations([...before, ...after], options);
  if (options.saveAs !== undefined && (places.length > 1 || options.hosts !== undefined)) {
    throw usage('--save-as gives a name to one destination');
  }
  return { command: 'prepare', destinations: places, options };
}

function subcommand(command: Command, words: Words, options: Options): Invocation {
  const { before, after } = words;
  switch (command) {
    case 'undo':
      return {
        command,
        destinations: destinations([...before, ...(after ?? [])], options),
        options,
      };
    case 'open':
      if (words.given.has('list') || words.given.has('exit')) {
        return { command: 'masters', ...masters(words), options };
      }
      return { command, ...remoteCommand(command, words), options };
    case 'run':
      return { command, ...remoteCommand(command, words), options };
    case 'mastering':
      refuseExtra(command, words, 0);
      return { command, remove: words.given.has('remove'), options };
    case 'completion':
      refuseExtra(command, words, 1);
      return { command, shell: oneOf(before[0], COMPLETION_SHELLS, 'prep completion'), options };
    case 'export':
      return {
        command,
        format: oneOf(before[0], EXPORT_FORMATS, 'prep export'),
        destinations: [...before.slice(1), ...(after ?? [])].map(parseDestination),
        options,
      };
    default:
      refuseExtra(command, words, 0);
      return { command, options };
  }
}

function destinations(words: readonly string[], options: Options): Destination[] {
  if (words.length === 0 && options.hosts === undefined) throw usage('no destination was given');
  return words.map(parseDestination);
}

function remoteCommand(
  command: 'open' | 'run',
  { before, after }: Words,
): { destination: Destination; remoteCommand: readonly string[] } {
  const [place, extra] = before;
  if (place === undefined) throw usage('no destination was given');
  if (extra !== undefined) {
    throw usage(`"${extra}" is one word too many: the command goes after --`);
  }
  const remote = after ?? [];
  if (command === 'run' && remote.length === 0) throw usage('prep run needs a command after --');
  return { destination: parseDestination(place), remoteCommand: remote };
}

/** `prep open --list`, and `prep open --exit` with what to end. */
function masters(words: Words): { readonly exit?: Destination | 'all' } {
  if (!words.given.has('exit')) {
    refuseExtra('open', words, 0);
    return {};
  }
  if (words.given.has('list')) throw usage('--list and --exit exclude each other');
  refuseExtra('open', words, 1);
  const [place] = words.before;
  if (place === undefined) throw usage('--exit needs a destination, or all');
  return { exit: place === 'all' ? 'all' : parseDestination(place) };
}

function refuseExtra(command: Command, { before, after = [] }: Words, wanted: number): void {
  const extra = [...before, ...after][wanted];
  if (extra !== undefined) throw usage(`prep ${command} takes no "${extra}"`);
}

/** A first word that is nearly a subcommand: a slip of the finger rather than a host's name. */
function refuseTypo(words: readonly string[]): void {
  const [first = ''] = words;
  if (!/^[a-z]+$/.test(first)) return;
  const meant = (words.length > 1 ? COMMANDS : WITHOUT_HOSTS)
    // Hosts are called helm and heap.
    .filter((name) => name !== 'help')
    .find((name) => name[0] === first[0] && distance(name, first) <= (name.length > 6 ? 2 : 1));
  if (meant === undefined) return;
  throw usage(
    `"${first}" is not a command, did you mean ${meant} (a host of that name: ssh://${first})`,
  );
}
