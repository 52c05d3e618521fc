import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { directives, type Directive } from '../core/ssh-config-text.ts';
import { expandTilde } from './files.ts';

/** A name that a Host line of ssh_config gives to a host. */
export interface NamedHost {
  readonly name: string;
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** How deep files may include each other (READCONF_MAX_DEPTH in OpenSSH's readconf.c). */
const DEPTH = 16;

/** The hosts that an ssh_config file and what it includes give names to (patterns are not names), in order. */
export async function namedHosts(file: string, home: string, depth = 0): Promise<NamedHost[]> {
  const text = await readFile(file, 'latin1').catch(() => '');
  const found = await Promise.all(
    directives(text).map(async (directive): Promise<NamedHost[]> => {
      if (directive.keyword === 'host') return namesIn(directive, file);
      if (directive.keyword !== 'include' || depth === DEPTH) return [];
      const files = await Promise.all(
        directive.values.map((value) => included(decoded(value), home)),
      );
      const hosts = await Promise.all(files.flat().map((one) => namedHosts(one, home, depth + 1)));
      return hosts.flat();
    }),
  );
  return found.flat();
}

function namesIn({ values, line }: Directive, file: string): NamedHost[] {
  return values
    .filter((value) => !/[*?!]/.test(value))
    .map((value) => ({ name: decoded(value), file, line }));
}

function decoded(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}

/** The files that a value of Include stands for: relative to ~/.ssh, with wildcards. */
function included(value: string, home: string): Promise<string[]> {
  const pattern = path.resolve(path.join(home, '.ssh'), expandTilde(value, home));
  return matching(
    '/',
    pattern.split('/').filter((part) => part !== ''),
  );
}

async function matching(folder: string, [part, ...rest]: readonly string[]): Promise<string[]> {
  if (part === undefined) return [folder];
  if (!/[*?[]/.test(part)) return matching(path.join(folder, part), rest);
  const wanted = globPattern(part);
  const names = await readdir(folder).catch(() => []);
  const hidden = part.startsWith('.');
  const fitting = names.filter((name) => wanted.test(name) && (hidden || !name.startsWith('.')));
  const found = await Promise.all(
    fitting.sort().map((name) => matching(path.join(folder, name), rest)),
  );
  return found.flat();
}

function globPattern(part: string): RegExp {
  const source = part.replace(/\[!?[^\]]+\]|[\s\S]/g, (piece) => {
    if (piece === '*') return '.*';
    if (piece === '?') return '.';
    if (piece.length > 1) return piece.replace('[!', '[^').replaceAll('\\', '\\\\');
    return piece.replace(/[\\^$.|+()[\]{}]/, '\\$&');
  });
  return new RegExp(`^${source}$`, 's');
}

/**
 * The names that a host can be reached under, as far as this machine knows: those of ssh_config, and those of
 * known_hosts that are not hashed (`host`, `host:port`). Sorted, each once.
 */
export async function hostsToOffer(home: string, sshConfig?: string): Promise<string[]> {
  const own = path.join(home, '.ssh', 'config');
  const configs =
    sshConfig === undefined ? [own, '/etc/ssh/ssh_config'] : [expandTilde(sshConfig, home)];
  const known = [path.join(home, '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'];
  const [named, remembered] = await Promise.all([
    Promise.all(configs.map((file) => namedHosts(file, home))),
    Promise.all(known.map(rememberedIn)),
  ]);
  const names = [...named.flat().map(({ name }) => name), ...remembered.flat()];
  return [...new Set(names)].filter((name) => /^[\p{L}\p{N}_.:[\]%-]+$/u.test(name)).sort();
}

async function rememberedIn(file: string): Promise<string[]> {
  const text = await readFile(file, 'latin1').catch(() => '');
  return text.split('\n').flatMap((line) => {
    const [, names = ''] =
      /^[ \t]*(?:@cert-authority[ \t]+)?([^\s#@|][^ \t]*)[ \t]/.exec(line) ?? [];
    return names
      .split(',')
      .filter((name) => name !== '' && !/[*?!]/.test(name))
      .map((name) => name.replace(/^\[([^\]:]+)\]:(\d+)$/, '$1:$2'));
  });
}
