import { homedir } from 'node:os';
import { parseHostLine } from './cli/host-line.ts';
import { usage, type Options } from './cli/options.ts';
import { label, type Destination } from './core/destination.ts';
import type { Secret } from './core/secret.ts';
import { expandTilde } from './local/files.ts';
import { inHostsFile, readHosts } from './local/hosts.ts';
import { givenNewPassword as passwordOf } from './local/password.ts';

/** An account to work on. */
export interface Target {
  readonly destination: Destination;
  /** The command line's options, and over them what its line in a hosts file says. */
  readonly options: Options;
  /** The password that its line names. */
  readonly password?: Secret;
  /** The line of a hosts file that means it. */
  readonly words: readonly string[];
}

/** All accounts that were asked for. */
export interface Targets {
  readonly targets: readonly Target[];
  /** What of the hosts file is no account that prep can reach. */
  readonly leftOut: readonly string[];
}

/**
 * The accounts of the command line and of `--hosts`, each once, in the order given.
 * @throws PrepError `usage`, `cannot-read`, `in-hosts-file`
 */
export async function targetsOf(
  destinations: readonly Destination[],
  options: Options,
  stepNames: readonly string[],
): Promise<Targets> {
  const all = new Distinct();
  for (const destination of destinations) {
    all.add({ destination, options, words: [label(destination)] }, 'the command line');
  }
  if (options.hosts === undefined) return { targets: all.targets, leftOut: [] };
  if (options.hosts === '-' && [options.passwordFile, options.newPasswordFile].includes('-')) {
    throw usage('either the hosts or a password can come from standard input');
  }
  const { name, lines, leftOut } = await readHosts(options.hosts);
  for (const { words, where } of lines) {
    await inHostsFile(name, where, async () => {
      all.add(await lineTarget(words, options, stepNames), `${name} ${where}`);
    });
  }
  if (all.targets.length === 0) throw usage(`${name} names no destination`);
  return { targets: all.targets, leftOut };
}

async function lineTarget(
  words: readonly string[],
  options: Options,
  stepNames: readonly string[],
): Promise<Target> {
  const { destination, options: own } = parseHostLine(words, stepNames);
  const all = { ...options, ...own };
  if ((all.only ?? stepNames).every((name) => all.skip.includes(name))) {
    throw usage('--only and --skip leave no step to take');
  }
  if (own.passwordFile === undefined) return { destination, options: all, words };
  const password = await passwordOf(expandTilde(own.passwordFile, homedir()));
  return { destination, options: all, words, ...(password !== undefined && { password }) };
}

/** Accounts without duplicates. */
class Distinct {
  readonly targets: Target[] = [];
  readonly #known = new Map<string, { readonly target: Target; readonly where: string }>();

  /** One more, unless it is there already. @throws PrepError `usage` where that one has other options */
  add(target: Target, where: string): void {
    const name = label(target.destination);
    const known = this.#known.get(name);
    if (known === undefined) {
      this.#known.set(name, { target, where });
      this.targets.push(target);
    } else if (JSON.stringify(known.target.options) !== JSON.stringify(target.options)) {
      throw usage(`${name} stands in ${known.where} with other options; keep one of the two`);
    }
  }
}
