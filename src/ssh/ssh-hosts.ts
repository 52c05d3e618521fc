import path from 'node:path';
import { absoluteName, decoded, directivesIn, type FoundDirective } from './config-files.ts';
import { readKnownHosts } from './known-hosts-file.ts';

/** A name that a Host line of ssh_config gives to a host. */
export interface NamedHost {
  readonly name: string;
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** The hosts that an ssh_config file and what it includes give names to (patterns are not names), in order. */
export async function namedHosts(
  file: string,
  home: string,
  folder = path.join(home, '.ssh'),
): Promise<NamedHost[]> {
  const found = await directivesIn(file, { folder, home });
  return found.filter(({ keyword }) => keyword === 'host').flatMap(namesIn);
}

function namesIn({ values, file, line }: FoundDirective): NamedHost[] {
  return values
    .filter((value) => !/[*?!]/.test(value))
    .map((value) => ({ name: decoded(value), file, line }));
}

/**
 * The names that a host can be reached under, as far as this machine knows: those of ssh_config, and those of
 * known_hosts that are not hashed (`host`, `host:port`). Sorted, each once.
 */
export async function hostsToOffer(home: string, sshConfig?: string): Promise<string[]> {
  const folder = path.join(home, '.ssh');
  const configs =
    sshConfig === undefined
      ? [namedHosts(path.join(folder, 'config'), home), namedHosts(SYSTEM, home, '/etc/ssh')]
      : [namedHosts(absoluteName(sshConfig, { folder: '.', home }), home)];
  const known = [path.join(folder, 'known_hosts'), '/etc/ssh/ssh_known_hosts'];
  const [named, remembered] = await Promise.all([
    Promise.all(configs),
    Promise.all(known.map(rememberedIn)),
  ]);
  const names = [...named.flat().map(({ name }) => name), ...remembered.flat()];
  return [...new Set(names)].filter((name) => /^[\p{L}\p{N}_.:[\]%-]+$/u.test(name)).sort();
}

const SYSTEM = '/etc/ssh/ssh_config';

async function rememberedIn(file: string): Promise<string[]> {
  const lines = await readKnownHosts([file]).catch(() => []);
  return lines
    .filter(({ marker, hostnames }) => marker !== 'revoked' && !hostnames.startsWith('|'))
    .flatMap(({ hostnames }) => hostnames.split(','))
    .filter((name) => name !== '' && !/[*?!]/.test(name))
    .map((name) => name.replace(/^\[([^\]:]+)\]:(\d+)$/, '$1:$2'));
}
