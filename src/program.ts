import { homedir } from 'node:os';
import { parseArguments, wantsEvents, type Invocation } from './cli/arguments.ts';
import { completionScript } from './cli/completion.ts';
import { HOSTS_COMMAND, hostPrefix } from './cli/host-completion.ts';
import { lastValue } from './cli/options.ts';
import { complain, inTheWay } from './complain.ts';
import type { Setup } from './configured.ts';
import type { Step } from './core/plan.ts';
import { keepOutOfCoreDumps } from './local/core-dumps.ts';
import { takePassword } from './local/password.ts';
import { optionalSteps, steps as contractSteps } from '../steps/index.ts';

export { promptAt } from './at-terminal.ts';

/** Commands that have nothing to do with any account of the user's. */
const UNCONFIGURED = ['demo', 'init', 'mastering', 'open', 'run', 'completion', 'help'];

/** Runs one command line other than `--help` and `--version`, says what is in the way, and gives its exit status. */
export function runProgram(argv: readonly string[]): Promise<number> {
  // Not left to the caller, which is another bundle and has a class PrepError of its own.
  return run(argv).catch(complain);
}

async function run(argv: readonly string[]): Promise<number> {
  keepOutOfCoreDumps();
  takePassword();
  if (argv[0] === HOSTS_COMMAND) return offerHosts(argv.slice(1));
  const understood = await understand(argv).catch((error: unknown) => {
    if (wantsEvents(argv)) return notUnderstood(error);
    throw error;
  });
  if (typeof understood === 'number') return understood;
  const { invocation, ...setup } = understood;
  switch (invocation.command) {
    case 'steps':
      return print(setup.steps.map(({ name, title }) => `${name.padEnd(16)}${title}\n`).join(''));
    case 'completion':
      return print(completionScript(invocation.shell, namesOf(setup.steps)));
    default:
      return (await import('./wiring.ts')).run(invocation, setup);
  }
}

/** What is wanted, by the command line and the configuration file. */
async function understand(argv: readonly string[]): Promise<Setup & { invocation: Invocation }> {
  const setup = await stepsAndConfiguration(argv);
  return { ...setup, invocation: parseArguments(argv, namesOf(setup.steps)) };
}

/** Says so in events, the last of which is the summary; no account is known by then. */
async function notUnderstood(error: unknown): Promise<number> {
  const { ndjsonView } = await import('./terminal/ndjson.ts');
  const streams = { out: process.stdout, err: process.stderr };
  const { observe } = ndjsonView(streams, { verbosity: 'normal' });
  return inTheWay(observe, error, () => ({ type: 'summary', reports: [] }));
}

function namesOf(steps: readonly Step[]): string[] {
  return steps.map(({ name }) => name);
}

/** For the completion scripts: the hosts that may stand where the last of these words does, one a line. */
async function offerHosts(words: readonly string[]): Promise<number> {
  const { hostsToOffer } = await import('./ssh/ssh-hosts.ts');
  const prefix = hostPrefix(words.at(-1) ?? '');
  const hosts = await hostsToOffer(homedir(), lastValue(words, 'ssh-config'));
  return print(hosts.map((host) => `${prefix}${host}\n`).join(''));
}

/** Every step that may run. Without a configuration this costs the look whether there is one. */
async function stepsAndConfiguration(argv: readonly string[]): Promise<Setup> {
  const steps = contractSteps;
  const [first = ''] = argv.filter((word) => !word.startsWith('-'));
  if (UNCONFIGURED.includes(first)) return { steps, configuration: undefined };
  const { findConfig, loadConfig } = await import('./config/load.ts');
  const home = homedir();
  const file = await findConfig({ named: lastValue(argv, 'config'), home, env: process.env });
  if (file === undefined) return { steps, configuration: undefined };
  const configuration = await loadConfig(file, home, () => import('./index.ts'));
  const { stepsOf } = await import('./configured.ts');
  return { steps: stepsOf(steps, optionalSteps, configuration), configuration };
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}
