import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { contentOf } from '../core/facts.ts';
import type { TerminalType } from '../core/plan.ts';

/** What terminfo(5) allows as a name, as far as it can be the name of a file. */
const NAME = /^[A-Za-z0-9][\w.+-]*$/;

/** Where descriptions lie, in the order in which ncurses looks (terminfo(5), "Fetching Compiled Descriptions"). */
function folders({ env, home }: TerminalPlace): readonly string[] {
  const listed = (env['TERMINFO_DIRS'] ?? '').split(':');
  const usual = [
    '/etc/terminfo',
    '/lib/terminfo',
    '/usr/lib/terminfo',
    '/usr/share/terminfo',
    '/usr/local/share/terminfo',
    '/opt/homebrew/share/terminfo',
  ];
  const all = [env['TERMINFO'] ?? '', path.join(home, '.terminfo'), ...listed, ...usual];
  return all.filter((folder) => path.isAbsolute(folder));
}

/** Where to look for the description of a terminal. */
export interface TerminalPlace {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly home: string;
}

/**
 * The terminal that prep runs at, with its compiled description (term(5)): it is the same on every system, and is
 * sent as it is. Undefined where there is no terminal, or none that anything could be said of.
 */
export async function terminalType(place: TerminalPlace): Promise<TerminalType | undefined> {
  const name = place.env['TERM'] ?? '';
  if (!NAME.test(name) || name === 'dumb' || name === 'unknown') return undefined;
  const letters = [name[0]!, name.charCodeAt(0).toString(16)];
  for (const folder of folders(place)) {
    for (const letter of letters) {
      const bytes = await readFile(path.join(folder, letter, name)).catch(() => undefined);
      if (bytes !== undefined && isCompiled(bytes)) {
        return { name, description: contentOf(bytes) };
      }
    }
  }
  return { name };
}

/** term(5): the magic number, 0432 octal, or 01036 with numbers of 32 bits. */
function isCompiled(bytes: Buffer): boolean {
  return bytes.length > 12 && [0o432, 0o1036].includes(bytes.readUInt16LE(0));
}
