#!/usr/bin/env node
import { homedir } from 'node:os';
import { inspect } from 'node:util';
import { version } from '../package.json';
import { helpOrVersion, parseArguments } from './cli/arguments.ts';
import { HOSTS_COMMAND, hostPrefix, sshConfigIn } from './cli/host-completion.ts';
import { helpText } from './cli/help.ts';
import { configNamed } from './cli/options.ts';
import type { Configuration } from './core/configuration.ts';
import type { Step } from './core/plan.ts';
import { explain, problemOf } from './core/problem.ts';

/** Commands that have nothing to do with any account of the user's. */
const UNCONFIGURED = ['demo', 'init', 'mastering', 'open', 'run', 'completion'];

// No top-level await: the single executable is a CommonJS module. What ends before `main` does has failed.
process.exitCode = 1;
void main(process.argv.slice(2))
  .catch((error: unknown) => {
    const { sentence, exit } = explain(problemOf(error));
    process.stderr.write(`prep: ${sentence}\n`);
    if (process.env['DEBUG']) process.stderr.write(`${inspect(error)}\n`);
    return exit;
  })
  .then((status) => (process.exitCode = status));

/** Runs one command line, and gives its exit status. What a command needs is loaded only by that command. */
async function main(argv: readonly string[]): Promise<number> {
  // ssh runs prep as its SSH_ASKPASS: then this is all there is to do.
  const { PREP_ASKPASS: asked } = process.env;
  if (asked !== undefined && asked !== '') {
    return (await import('./ssh/askpass-program.ts')).askPrep(asked, argv[0] ?? '');
  }
  process.stdout.on('error', endWithReader);
  if (argv[0] === HOSTS_COMMAND) return offerHosts(argv.slice(1));
  const wish = helpOrVersion(argv);
  if (wish === 'help') return print(helpText());
  if (wish === 'version') return print(`prep ${version}\n`);
  const { steps, configuration } = await stepsAndConfiguration(argv);
  const names = steps.map(({ name }) => name);
  const invocation = parseArguments(argv, names);
  switch (invocation.command) {
    case 'steps':
      return print(steps.map(({ name, title }) => `${name.padEnd(16)}${title}\n`).join(''));
    case 'completion':
      return print((await import('./cli/completion.ts')).completionScript(invocation.shell, names));
    default:
      return (await import('./wiring.ts')).run(invocation, { steps, configuration });
  }
}

/** For the completion scripts: the hosts that may stand where the last of these words does, one a line. */
async function offerHosts(words: readonly string[]): Promise<number> {
  const { hostsToOffer } = await import('./local/ssh-hosts.ts');
  const prefix = hostPrefix(words.at(-1) ?? '');
  const hosts = await hostsToOffer(homedir(), sshConfigIn(words));
  return print(hosts.map((host) => `${prefix}${host}\n`).join(''));
}

/** Every step that may run. Without a configuration this costs the look whether there is one. */
async function stepsAndConfiguration(
  argv: readonly string[],
): Promise<{ steps: readonly Step[]; configuration: Configuration | undefined }> {
  const { steps, optionalSteps } = await import('../steps/index.ts');
  const [first = ''] = argv.filter((word) => !word.startsWith('-'));
  if (UNCONFIGURED.includes(first)) return { steps, configuration: undefined };
  const { findConfig, loadConfig } = await import('./config/load.ts');
  const home = homedir();
  const file = await findConfig({ named: configNamed(argv), home, env: process.env });
  if (file === undefined) return { steps, configuration: undefined };
  const configuration = await loadConfig(file, home, () => import('./index.ts'));
  const { stepsOf } = await import('./configured.ts');
  return { steps: stepsOf(steps, optionalSteps, configuration), configuration };
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

/** Whoever read our output (`prep steps | head -1`) has had enough. */
function endWithReader(error: NodeJS.ErrnoException): void {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
}
