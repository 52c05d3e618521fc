import { homedir, userInfo } from 'node:os';
import { openTerminal } from './at-terminal.ts';
import type { ExportFormat, Invocation } from './cli/arguments.ts';
import { wishesFor, type Setup } from './configured.ts';
import type { Destination } from './core/destination.ts';
import type { Desired } from './core/plan.ts';
import { PrepError } from './core/problem.ts';
import { worldOf } from './world-of.ts';

/** The steps that other tools can do. */
const EXPORTABLE = [
  'ssh-dir',
  'authorized-keys',
  'permissions',
  'packages',
  'dotfiles',
  'zlogin',
  'login-shell',
];

/** Writes down what prepare would bring about, for tools that do it without prep. */
export async function exported(
  { options, format, destinations }: Extract<Invocation, { command: 'export' }>,
  { steps, configuration }: Setup,
): Promise<number> {
  const terminal = await openTerminal(options);
  try {
    const [destination, ...others] = destinations;
    const one = others.length === 0 ? destination : undefined;
    const world = worldOf(wishesFor(options, configuration, one), steps, terminal, homedir());
    const { gather } = await import('./run/gather.ts');
    const { desired, keysAreNew } = await gather(world, destinations);
    if (keysAreNew) throw new PrepError({ code: 'no-key' });
    const names = new Set(world.steps.map(({ name }) => name));
    const own = [...names].filter((name) => !EXPORTABLE.includes(name));
    if (own.length > 0) process.stderr.write(`prep: ${own.join(', ')}: not written down\n`);
    process.stdout.write(await description(format, desired, names, destinations));
    return 0;
  } finally {
    terminal.close();
  }
}

async function description(
  format: ExportFormat,
  desired: Desired,
  names: ReadonlySet<string>,
  destinations: readonly Destination[],
): Promise<string> {
  if (format === 'ansible') {
    const { ansiblePlaybook } = await import('./export/ansible.ts');
    return ansiblePlaybook(desired, names, destinations);
  }
  const { cloudConfig } = await import('./export/cloud-init.ts');
  return cloudConfig(desired, names, destinations[0]?.user ?? userInfo().username);
}
