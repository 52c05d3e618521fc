import { DESTINATION, EXAMPLES, EXITS, FLAGS, PURPOSE, USAGES, type Flag } from './help.ts';

/** What a manual page says beyond the help text. */
export interface ManualFacts {
  readonly version: string;
  /** In order, each with one sentence. */
  readonly steps: readonly { readonly name: string; readonly title: string }[];
}

/** The manual page prep(1), in the man macros of groff and mandoc (man(7)); made from what `prep --help` is made of. */
export function manualPage({ version, steps }: ManualFacts): string {
  const synopsis = USAGES.flatMap(([call]) => [usage(call), '.br']).slice(0, -1);
  const sections: readonly (readonly [title: string, lines: readonly string[]])[] = [
    ['NAME', [`prep \\- ${text(PURPOSE)}`]],
    ['SYNOPSIS', synopsis],
    ['DESCRIPTION', DESCRIPTION.flatMap((paragraph) => ['.PP', text(paragraph)])],
    ['COMMANDS', list(USAGES)],
    ['OPTIONS', FLAGS.flatMap((flag) => item(spelling(flag), flag.about))],
    ['STEPS', list(steps.map(({ name, title }) => [name, title]))],
    ['EXIT STATUS', list(EXITS)],
    ['ENVIRONMENT', list(ENVIRONMENT)],
    ['FILES', FILES.flatMap(([file, about]) => item(italic(file), about))],
    ['EXAMPLES', list(EXAMPLES)],
    ['SEE ALSO', ['.BR ssh (1),', '.BR ssh\\-copy\\-id (1),', '.BR ssh_config (5)']],
  ];
  const head = `.TH PREP 1 "" "prep ${text(version)}" "User Commands"`;
  const body = sections.flatMap(([title, lines]) => [`.SH "${title}"`, ...lines]);
  return [head, ...body, ''].join('\n');
}

const DESCRIPTION = [
  'prep logs in once, reads what it needs to know, shows what it would change, and makes those changes: a public key in authorized_keys, permissions as sshd wants them, the dotfiles, and zsh as the login shell. What is replaced is kept on the server, and prep undo puts it back. In the end it logs in once more with the key alone, to prove that it works.',
  'What is as wanted already is left alone, so that prep can be run again at any time. With -n nothing is changed on either side.',
  DESTINATION,
  "prep mastering edits the user's own ssh_config: a block at the end of the file makes ssh share one connection per host (ControlMaster), through sockets in a directory that nobody else may enter. Host blocks that are there keep winning. --remove takes the block out again.",
];

const ENVIRONMENT = [
  ['PREP_PASSWORD', 'the password, where --password-file is not given'],
  ['XDG_CONFIG_HOME', 'where the configuration lies, instead of ~/.config'],
  ['SSH_AUTH_SOCK', 'the agent that may hold the key'],
  ['NO_COLOR', 'no colours, if set'],
  ['DEBUG', 'with a problem, what raised it, if set'],
] as const;

const FILES = [
  ['~/.ssh/id_*.pub', "the user's own keys; the newest is installed unless -i names another"],
  ['~/.ssh/config', 'read as ssh reads it; written by prep mastering and --save-as alone'],
  ['~/.ssh/known_hosts', 'the host keys that are known'],
  [
    '~/.config/prep/prep.config.ts',
    'what holds unless a flag says otherwise; also .mts, .js, .mjs and .json',
  ],
  ['~/.local/state/prep/', 'on the server: what each run replaced'],
] as const;

function list(items: readonly (readonly [tag: string | number, about: string])[]): string[] {
  return items.flatMap(([tag, about]) => item(bold(String(tag)), about));
}

function item(tag: string, about: string): string[] {
  return ['.TP', tag, text(about)];
}

/** `prep` in bold, what is typed as it is, in roman. */
function usage(synopsis: string): string {
  return text(synopsis).replace(/^prep/, '\\fBprep\\fR');
}

function spelling({ name, short, value }: Flag): string {
  const names = [...(short === undefined ? [] : [`-${short}`]), `--${name}`].map(bold).join(', ');
  return value === undefined ? names : `${names} ${italic(value)}`;
}

function bold(words: string): string {
  return `\\fB${text(words)}\\fR`;
}

function italic(words: string): string {
  return `\\fI${text(words)}\\fR`;
}

/** Text in which groff finds nothing to obey: hyphens that can be copied, no request at the start of a line. */
function text(words: string): string {
  return words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replace(/^[.']/gm, '\\&$&');
}
