/** One flag of the command line: what parses it, describes it and completes it. */
export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** What stands for its value in the help text; a flag without one is a switch. */
  readonly value?: string;
  /** What a shell offers as its value; `file` unless said. */
  readonly completes?: 'file' | 'directory' | 'step' | 'host' | 'nothing' | readonly string[];
  /** In words, short enough for one or two lines. */
  readonly about: string;
}

/** What `--host-key` takes. */
export const HOST_KEY_POLICIES = ['ask', 'accept-new', 'strict'] as const;

/** What `--transport` takes. */
export const TRANSPORTS = ['auto', 'ssh2', 'openssh'] as const;

/** The shells that `prep completion` writes a script for. */
export const COMPLETION_SHELLS = ['bash', 'zsh', 'fish'] as const;

/** What `prep export` writes for. */
export const EXPORT_FORMATS = ['ansible', 'cloud-init'] as const;

/** Every flag, in the order of the help text. */
export const FLAGS: readonly Flag[] = [
  { name: 'port', short: 'p', value: 'N', completes: 'nothing', about: 'port to connect to' },
  {
    name: 'identity',
    short: 'i',
    value: 'FILE',
    about:
      'public key to install (FILE, or FILE.pub beside it); repeatable; default: your own keys',
  },
  {
    name: 'dry-run',
    short: 'n',
    about: 'connect, read, print the plan with diffs; change nothing, on either side',
  },
  {
    name: 'yes',
    short: 'y',
    about: 'ask no question that has a safe default; never accepts a changed host key',
  },
  { name: 'only', value: 'STEP,...', completes: 'step', about: 'take only these steps' },
  { name: 'skip', value: 'STEP,...', completes: 'step', about: 'leave these steps out' },
  {
    name: 'dotfiles',
    value: 'DIR',
    completes: 'directory',
    about: 'upload the files of DIR, not the default set',
  },
  {
    name: 'shell',
    value: 'NAME',
    completes: 'nothing',
    about: 'login shell, by name or path (default: zsh)',
  },
  {
    name: 'password-file',
    value: 'FILE',
    about: "password from FILE's first line, - for standard input; PREP_PASSWORD works too",
  },
  {
    name: 'host-key',
    value: 'POLICY',
    completes: HOST_KEY_POLICIES,
    about: 'ask (default), accept-new or strict; a changed key is always refused',
  },
  {
    name: 'known-hosts',
    value: 'FILE',
    about: 'where host keys are looked up and remembered (default: as OpenSSH)',
  },
  {
    name: 'ssh-config',
    short: 'F',
    value: 'FILE',
    about: 'OpenSSH client configuration to honour',
  },
  {
    name: 'jump',
    short: 'J',
    value: 'DEST,...',
    completes: 'host',
    about: 'go through these hosts, in order',
  },
  {
    name: 'control-path',
    short: 'S',
    value: 'SOCK',
    about: "use a live OpenSSH control master's connection",
  },
  { name: 'hosts', value: 'FILE', about: 'more destinations, one per line' },
  {
    name: 'concurrency',
    value: 'N',
    completes: 'nothing',
    about: 'accounts at the same time (default: 10)',
  },
  { name: 'same-password', about: 'one password for all accounts' },
  { name: 'no-verify', about: 'skip the trial login with the new key' },
  {
    name: 'new-password-file',
    value: 'FILE',
    about: 'the new password, if the server demands one',
  },
  {
    name: 'transport',
    value: 'NAME',
    completes: TRANSPORTS,
    about: 'who speaks SSH: auto (default), ssh2 or openssh',
  },
  {
    name: 'shell-fallback',
    about: 'where the login shell cannot be changed, start zsh from its rc file',
  },
  {
    name: 'save-as',
    value: 'NAME',
    completes: 'nothing',
    about: 'remember the account as a Host block in your ssh_config',
  },
  {
    name: 'retry',
    value: 'FILE',
    about: 'write the failed destinations, for --hosts',
  },
  { name: 'remove', about: 'with mastering: take it out again' },
  { name: 'list', about: 'with open: the connections that are open for sharing' },
  { name: 'exit', about: 'with open: end the one to DEST, or all' },
  { name: 'config', value: 'FILE', about: 'configuration file (default: in ~/.config/prep)' },
  { name: 'json', about: 'newline-delimited JSON events on standard output' },
  { name: 'verbose', short: 'v', about: 'say in words what is done' },
  { name: 'quiet', short: 'q', about: 'only problems' },
  { name: 'version', short: 'V', about: 'print the version' },
  { name: 'help', short: 'h', about: 'print this' },
];

/** What prep is, in one line. */
export const PURPOSE = 'prepare a remote account: key, permissions, dotfiles, login shell';

/** Every way to call prep, and what it does. */
export const USAGES: readonly (readonly [synopsis: string, about: string])[] = [
  ['prep [options] <destination>...', 'prepare accounts'],
  ['prep undo [options] <destination>...', 'put back what was replaced last'],
  ['prep open [options] <destination> [-- CMD]', 'open a session (screen -DR)'],
  ['prep open --list | --exit <destination>|all', 'list or end what is open'],
  ['prep run [options] <destination> -- CMD...', 'run one command there'],
  ['prep mastering [--remove] [-F FILE]', 'share connections, by ssh_config'],
  ['prep steps', 'list the steps, in order'],
  ['prep demo', 'prepare a throw-away account here'],
  ['prep export ansible|cloud-init [<dest>...]', 'the same, for other tools'],
  ['prep init [--config FILE]', 'write a configuration file'],
  ['prep completion bash|zsh|fish', 'print a shell completion script'],
  ['prep help', 'the same as --help'],
];

/** What a destination is. */
export const DESTINATION =
  'A destination is [user@]host[:port], [user@][v6addr]:port, ssh://[user@]host[:port], or an ssh_config alias.';

/** What prep's exit status means. */
export const EXITS: readonly (readonly [status: number, about: string])[] = [
  [0, 'done, or nothing to do'],
  [1, 'something failed or was blocked'],
  [2, 'usage error'],
  [130, 'interrupted'],
];

/** Calls of prep, and what they do. */
export const EXAMPLES: readonly (readonly [call: string, about: string])[] = [
  ['prep alice@web1', "prepare alice's account on web1"],
  ['prep -n --only dotfiles web1 web2', 'show what the dotfiles would change'],
];

const ABOUT_COLUMN = 32;
const WIDTH = 80;

/** What `prep --help` prints, 80 columns wide. */
export function helpText(): string {
  return [
    `prep - ${PURPOSE}`,
    '',
    'usage:',
    ...USAGES.map(([synopsis, about]) => `  ${synopsis.padEnd(45)}${about}`),
    '',
    ...wrapped(DESTINATION, WIDTH),
    '',
    'options:',
    ...FLAGS.flatMap(optionLines),
    '',
    'exit status:',
    ...EXITS.map(([status, about]) => `  ${String(status).padEnd(5)}${about}`),
    '',
    'examples:',
    ...EXAMPLES.map(([call, about]) => `  ${call.padEnd(36)}${about}`),
    '',
  ].join('\n');
}

function optionLines({ short, name, value, about }: Flag): string[] {
  const left = `  ${short ? `-${short},` : '   '} --${name}${value ? ` ${value}` : ''}`;
  const [first = '', ...rest] = wrapped(about);
  const indent = ' '.repeat(ABOUT_COLUMN);
  return [left.padEnd(ABOUT_COLUMN) + first, ...rest.map((line) => indent + line)];
}

function wrapped(text: string, width = WIDTH - ABOUT_COLUMN): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    const fits = last !== undefined && last.length + 1 + word.length <= width;
    if (fits) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
