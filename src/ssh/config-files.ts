import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { directives, type Directive } from '../core/ssh-config-text.ts';

/** What the names in ssh_config count from. */
export interface ConfigPlace {
  /** Of included files: `~/.ssh` for the user's own file, `/etc/ssh` for the machine's. */
  readonly folder: string;
  readonly home: string;
}

/** A directive, and the file that it stands in. */
export interface FoundDirective extends Directive {
  readonly file: string;
}

/** How deep files may include each other (READCONF_MAX_DEPTH in OpenSSH's readconf.c). */
const DEPTH = 16;

/** Every directive of an ssh_config(5) file and of what it includes, in order; as with ssh, files that cannot be read are passed over. */
export async function directivesIn(
  file: string,
  place: ConfigPlace,
  depth = 0,
): Promise<FoundDirective[]> {
  const text = await readFile(file, 'latin1').catch(() => '');
  const found = await Promise.all(
    directives(text).map(async (directive): Promise<FoundDirective[]> => {
      const own = { ...directive, file };
      if (directive.keyword !== 'include' || depth === DEPTH) return [own];
      const files = await Promise.all(directive.values.map((value) => included(value, place)));
      const more = await Promise.all(
        files.flat().map((name) => directivesIn(name, place, depth + 1)),
      );
      return [own, ...more.flat()];
    }),
  );
  return found.flat();
}

/** A value of ssh_config as text: its bytes are UTF-8. */
export function decoded(value: string): string {
  return Buffer.from(value, 'latin1').toString('utf8');
}

/** The absolute name of a file as ssh_config writes it. */
export function absoluteName(name: string, { folder, home }: ConfigPlace): string {
  return path.resolve(folder, name.startsWith('~/') ? path.join(home, name.slice(2)) : name);
}

/** The files that a value of Include stands for (glob(7)). */
function included(value: string, place: ConfigPlace): Promise<string[]> {
  const parts = absoluteName(decoded(value), place).split('/');
  return matching(
    '/',
    parts.filter((part) => part !== ''),
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
