import type { Options } from './cli/options.ts';
import { settingsFor, type AccountSettings, type Configuration } from './core/configuration.ts';
import type { Destination } from './core/destination.ts';
import { suggestion } from './core/nearest.ts';
import type { Step } from './core/plan.ts';
import { PrepError } from './core/problem.ts';
import type { Wishes } from './run/world.ts';

/** What the user has set up: every step that may run, and what the configuration file says, if there is one. */
export interface Setup {
  readonly steps: readonly Step[];
  readonly configuration: Configuration | undefined;
}

/** Steps that run only where the configuration turns them on, each with the step that it comes before. */
export type OptionalSteps = readonly { readonly step: Step; readonly before: Step }[];

/**
 * Every step that may run, in order: the usual ones, the optional ones that are turned on for some account, and the
 * user's own.
 * @throws PrepError `bad-config` for a step's name that is taken, or a name that no step has
 */
export function stepsOf(
  usual: readonly Step[],
  optional: OptionalSteps,
  configuration: Configuration,
): readonly Step[] {
  const all = [...usual];
  const settings = [configuration.all, ...configuration.hosts.map(([, own]) => own)];
  for (const { step, before } of optional) {
    if (settings.some((own) => turnsOn(own, step.name))) all.splice(all.indexOf(before), 0, step);
  }
  const wrong = (where: string, cause: string): PrepError =>
    new PrepError({ code: 'bad-config', file: configuration.file, where, cause });
  const known = new Set([...usual, ...optional.map(({ step }) => step)].map(({ name }) => name));
  for (const [index, { before, ...step }] of configuration.steps.entries()) {
    if (known.has(step.name)) {
      throw wrong(`steps[${index}].name`, `"${step.name}" is taken by another step`);
    }
    known.add(step.name);
    const at = before === undefined ? all.length : all.findIndex(({ name }) => name === before);
    if (at < 0) throw wrong(`steps[${index}].before`, unknownStep(before!, all));
    all.splice(at, 0, step);
  }
  for (const [where, name] of namedSteps(configuration)) {
    if (!all.some((step) => step.name === name)) throw wrong(where, unknownStep(name, all));
  }
  return all;
}

function unknownStep(name: string, steps: readonly Step[]): string {
  const names = steps.map((step) => step.name);
  const near = suggestion(name, names) || ` (the steps: ${names.join(', ')})`;
  return `names "${name}", and there is no such step${near}`;
}

/** Every place that names a step. */
function namedSteps({ all, hosts }: Configuration): [where: string, name: string][] {
  const sections: [string, AccountSettings][] = [
    ['', all],
    ...hosts.map(([pattern, own]): [string, AccountSettings] => [
      `hosts[${JSON.stringify(pattern)}].`,
      own,
    ]),
  ];
  return sections.flatMap(([where, own]) =>
    (['only', 'skip'] as const).flatMap((key) =>
      (own[key] ?? []).map((name): [string, string] => [where + key, name]),
    ),
  );
}

/** The steps that run only where they are turned on. */
const OPTIONAL = ['terminfo', 'packages'];

function turnsOn({ terminfo = false, packages = [] }: AccountSettings, name: string): boolean {
  return (name === 'terminfo' && terminfo) || (name === 'packages' && packages.length > 0);
}

/** What is wanted of an account: flags beat the configuration, which beats the defaults. */
export function wishesFor(
  options: Options,
  configuration: Configuration | undefined,
  destination?: Destination,
): Wishes {
  const own = configuration === undefined ? {} : settingsFor(configuration, destination);
  const chosen = options.only !== undefined || options.skip.length > 0;
  const only = chosen ? options.only : own.only;
  const dotfiles = options.dotfiles ?? own.dotfiles;
  const { only: _, dotfiles: __, ...flags } = options;
  return {
    ...flags,
    identities: options.identities.length > 0 ? options.identities : (own.keys ?? []),
    shell: options.shell ?? own.shell ?? 'zsh',
    skip: chosen ? options.skip : (own.skip ?? []),
    values: own.values ?? {},
    terminfo: own.terminfo ?? false,
    packages: own.packages ?? [],
    ...(only !== undefined && { only }),
    ...(dotfiles !== undefined && { dotfiles }),
  };
}

/** The steps for an account: those that flags and configuration leave, without the optional ones that are off for it. */
export function stepsFor(all: readonly Step[], wishes: Wishes): readonly Step[] {
  const { only, skip } = wishes;
  return all.filter(
    ({ name }) =>
      (only?.includes(name) ?? true) &&
      !skip.includes(name) &&
      (!OPTIONAL.includes(name) || turnsOn(wishes, name)),
  );
}
