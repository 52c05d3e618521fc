import { homedir } from 'node:os';
import type { CustomStep } from './core/configuration.ts';
import type { Observer, Report } from './core/event.ts';
import type { Prompter } from './core/prompter.ts';
import type { Options } from './cli/options.ts';

/** What the flags of the command line say, in a program's words; each may be left out. */
export interface PrepareOptions {
  /** Public keys to install: FILE, or FILE.pub beside it. */
  readonly keys?: readonly string[];
  readonly shell?: string;
  /** A directory. */
  readonly dotfiles?: string;
  readonly only?: readonly string[];
  readonly skip?: readonly string[];
  /** Steps of your own, after prep's or before the one that they name. */
  readonly steps?: readonly CustomStep[];
  readonly password?: string;
  readonly port?: number;
  /** What to do about a host key that is not known; `ask` asks the prompter. */
  readonly hostKey?: 'ask' | 'accept-new' | 'strict';
  readonly knownHosts?: string;
  readonly sshConfig?: string;
  /** Plan only; change nothing on either side. */
  readonly dryRun?: boolean;
  /** Whether to log in once more with the key alone; as a rule, yes. */
  readonly verify?: boolean;
  /** Answers the questions. Without one, those with a safe answer get it (as with `--yes`), and the others are refused. */
  readonly prompter?: Prompter;
  /** Told of everything that happens. */
  readonly observe?: Observer;
}

/**
 * Prepares one account, as `prep DESTINATION` does, and says what came of it. No configuration file is read.
 * @throws PrepError where nothing could be begun, with `problem` saying what is in the way
 */
export async function prepare(destination: string, options: PrepareOptions = {}): Promise<Report> {
  const { keys = [], steps: own = [], hostKey = 'strict', ...rest } = options;
  const { parseDestination } = await import('./core/destination.ts');
  const { Secret } = await import('./core/secret.ts');
  const { stepsOf, wishesFor } = await import('./configured.ts');
  const { unattended } = await import('./core/unattended.ts');
  const { worldOf } = await import('./world-of.ts');
  const { steps, optionalSteps } = await import('../steps/index.ts');
  const { gather } = await import('./run/gather.ts');
  const { prepare: prepareAccount } = await import('./run/prepare.ts');
  const { password, prompter, observe, ...wanted } = rest;
  const place = parseDestination(destination);
  const flags: Options = {
    ...wanted,
    identities: keys,
    skip: wanted.skip ?? [],
    dryRun: wanted.dryRun ?? false,
    verify: wanted.verify ?? true,
    hostKey,
    yes: prompter === undefined,
    jump: [],
    concurrency: 1,
    samePassword: false,
    transport: 'auto',
    shellFallback: false,
    json: false,
    verbosity: 'quiet',
  };
  const all = stepsOf(steps, optionalSteps, { file: 'options', all: {}, hosts: [], steps: own });
  const onlooker = {
    view: { observe: observe ?? ((): void => undefined) },
    prompter: prompter ?? unattended(true),
    attended: prompter !== undefined,
  };
  const given = password === undefined ? {} : { password: new Secret(password) };
  const world = worldOf(wishesFor(flags, undefined), all, onlooker, homedir(), given);
  return prepareAccount(world, place, await gather(world, [place]));
}
