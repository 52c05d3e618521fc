import path from 'node:path';
import type { Directive } from '../core/ssh-config-text.ts';
import { directivesIn } from './config-files.ts';

/** What ssh_config is made of. */
export interface ConfigFiles {
  /** The user's own file, or the one named with `-F`. */
  readonly own?: string;
  /** The machine's, which has defaults of the distribution in it. */
  readonly system?: string;
}

/** Which keywords stand in ssh_config at all, in lower case, whichever hosts they are for. */
export interface Mentioned {
  /** By the user. */
  readonly own: (keyword: string) => boolean;
  /** By the user or by the machine's own configuration. */
  readonly anywhere: (keyword: string) => boolean;
  /** Whether something may hold for one host, user or port and not for another (Host, Match, tokens, ...). */
  readonly varies: boolean;
}

/**
 * Looks for keywords in ssh_config(5) and in what it includes: `ssh -G` says what holds for a host, but
 * not whether anybody asked for it. Where an `Include` cannot be followed, every keyword may be there.
 */
export async function mentionedIn({ own, system }: ConfigFiles, home: string): Promise<Mentioned> {
  const [mine, theirs] = await Promise.all([
    keywordsIn(own, path.join(home, '.ssh'), home),
    keywordsIn(system, '/etc/ssh', home),
  ]);
  const has = (words: ReadonlySet<string>, keyword: string): boolean =>
    words.has(keyword) || words.has(UNKNOWN);
  return {
    own: (keyword) => has(mine, keyword),
    anywhere: (keyword) => has(mine, keyword) || has(theirs, keyword),
    varies: has(mine, VARIES) || has(theirs, VARIES),
  };
}

/** Stands for lines that do not hold for everyone. */
const VARIES = '*';

function varies({ keyword, values }: Directive): boolean {
  if (keyword === 'host') return values.join(' ') !== '*';
  if (keyword === 'match') return values.join(' ').toLowerCase() !== 'all';
  return /^(hostname|canonical.*)$/.test(keyword) || values.some((value) => /%|\$\{/.test(value));
}

/** Stands for keywords that could not be read. */
const UNKNOWN = '?';

/** Tokens, variables and homes of others are expanded by ssh alone. */
function cannotBeFollowed({ keyword, values }: Directive): boolean {
  return keyword === 'include' && values.some((value) => /[$%]|^~[^/]/.test(value));
}

async function keywordsIn(
  file: string | undefined,
  folder: string,
  home: string,
): Promise<ReadonlySet<string>> {
  const found = file === undefined ? [] : await directivesIn(file, { folder, home });
  return new Set([
    ...found.map(({ keyword }) => keyword),
    ...(found.some(varies) ? [VARIES] : []),
    ...(found.some(cannotBeFollowed) ? [UNKNOWN] : []),
  ]);
}
