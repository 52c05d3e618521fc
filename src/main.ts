#!/usr/bin/env node
import { version } from '../package.json';
import { helpOrVersion } from './cli/arguments.ts';
import { HOSTS_COMMAND } from './cli/host-completion.ts';
import { helpText } from './cli/help.ts';
import { complain } from './complain.ts';

// No top-level await: this is built as a CommonJS module. What ends before `main` does has failed.
process.exitCode = 1;
void main(process.argv.slice(2))
  .catch(complain)
  .then((status) => (process.exitCode = status));

/** Runs one command line, and gives its exit status. All that help does not need is the program's, and loaded for it. */
async function main(argv: readonly string[]): Promise<number> {
  // ssh runs prep as its SSH_ASKPASS: then this is all there is to do.
  const { PREP_ASKPASS: asked } = process.env;
  if (asked !== undefined && asked !== '') {
    return (await import('./ssh/askpass-program.ts')).askPrep(asked, argv[0] ?? '');
  }
  // Whoever read our output (`prep steps | head -1`) has had enough of it, which is no reason to break off the work.
  process.stdout.on('error', noReader);
  process.stderr.on('error', noReader);
  const wish = argv[0] === HOSTS_COMMAND ? undefined : helpOrVersion(argv);
  if (wish === 'help') return print(helpText());
  if (wish === 'version') return print(`prep ${version}\n`);
  return (await import('./program.ts')).runProgram(argv);
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function noReader({ code }: NodeJS.ErrnoException): void {
  if (code !== 'EPIPE') process.on('exit', () => (process.exitCode ||= 1));
}
