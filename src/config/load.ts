import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { inspect } from 'node:util';
import type {
  AccountConfig,
  AccountSettings,
  Configuration,
  DotfileSource,
} from '../core/configuration.ts';
import type { PackageWish } from '../core/plan.ts';
import { PrepError } from '../core/problem.ts';
import { cannotRead, systemCause } from '../core/system-error.ts';
import { expandTilde } from '../local/files.ts';

const WHAT = 'configuration file';

/** What the file may be called. */
export const CONFIG_NAMES = ['ts', 'mts', 'js', 'mjs', 'json'].map((end) => `prep.config.${end}`);

/** Where a configuration is looked for. */
export interface ConfigPlace {
  /** The file named with `--config`. */
  readonly named?: string | undefined;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The folder of the user's configuration (XDG Base Directory Specification 0.8: a relative one counts as none). */
export function configFolder({ home, env }: ConfigPlace): string {
  const xdg = env['XDG_CONFIG_HOME'] ?? '';
  return path.join(path.isAbsolute(xdg) ? xdg : path.join(home, '.config'), 'prep');
}

/** The configuration file: the one that was named, else the one in the user's folder, if any. @throws PrepError `bad-config` where there are two */
export async function findConfig(place: ConfigPlace): Promise<string | undefined> {
  const { named, home } = place;
  if (named !== undefined) return path.resolve(expandTilde(named, home));
  const folder = configFolder(place);
  const names = await readdir(folder).catch((): string[] => []);
  const [first, second] = CONFIG_NAMES.filter((name) => names.includes(name));
  if (first === undefined) return undefined;
  const file = path.join(folder, first);
  if (second === undefined) return file;
  const cause = `stands beside ${second}, and only one can hold; remove one of the two`;
  throw new PrepError({ code: 'bad-config', file, where: '', cause });
}

/**
 * Reads a configuration file; of one that is a program, `api` is what it may import as `prep`.
 * @throws PrepError `cannot-read`, `bad-config`
 */
export async function loadConfig(
  file: string,
  home: string,
  api: () => Promise<object>,
): Promise<Configuration> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw cannotRead(file, WHAT, error);
  });
  const found = file.endsWith('.json') ? parsed(file, text) : await executed(file, api);
  const { checked } = await import('./schema.ts');
  const { guarded } = await import('./guarded-step.ts');
  const { hosts = {}, steps = [], ...all } = checked(file, found);
  const resolved = resolver(path.dirname(file), home);
  return {
    file,
    all: resolved(all as AccountConfig),
    hosts: Object.entries(hosts).map(([pattern, own]) => [pattern, resolved(own as AccountConfig)]),
    steps: steps.map((step) => guarded(step)),
  };
}

function parsed(file: string, text: string): unknown {
  try {
    return JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (error) {
    throw unusable(file, `is not JSON (${(error as Error).message})`, error);
  }
}

/** Node 20 reads no TypeScript, and a file in the user's folder finds no package: jiti gives it both. */
async function executed(file: string, api: () => Promise<object>): Promise<unknown> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(path.dirname(file), {
    fsCache: false,
    moduleCache: false,
    virtualModules: { prep: await api() },
  });
  try {
    const found = await jiti.import<Record<string, unknown>>(file);
    return 'default' in found ? found['default'] : found;
  } catch (error) {
    throw unusable(file, `does not run (${firstLine(error)})`, error);
  }
}

/** Of what cannot be parsed, the second line says where. */
function firstLine(error: unknown): string {
  const text = error instanceof Error ? systemCause(error) : inspect(error);
  const [first = '', second = ''] = text.split('\n').map((line) => line.trim());
  return first.startsWith('ParseError') ? `${first} at ${second}` : first;
}

function unusable(file: string, cause: string, error: unknown): PrepError {
  return new PrepError({ code: 'bad-config', file, where: '', cause }, error);
}

/** Names of files count from the configuration's own folder. */
function resolver(folder: string, home: string): (config: AccountConfig) => AccountSettings {
  const absolute = (name: string): string => path.resolve(folder, expandTilde(name, home));
  const source = (one: string | DotfileSource): DotfileSource => {
    if (typeof one === 'string') return { path: absolute(one) };
    if ('template' in one) return { ...one, template: absolute(one.template) };
    return 'path' in one ? { ...one, path: absolute(one.path) } : one;
  };
  return ({ keys, dotfiles, packages, ...rest }) => ({
    ...rest,
    ...(keys !== undefined && { keys: keys.map(absolute) }),
    ...(dotfiles !== undefined && {
      dotfiles: typeof dotfiles === 'string' ? absolute(dotfiles) : dotfiles.map(source),
    }),
    ...(packages !== undefined && { packages: packages.map(wish) }),
  });
}

function wish(one: string | PackageWish): PackageWish {
  return typeof one === 'string' ? { name: one, provides: [one] } : one;
}
