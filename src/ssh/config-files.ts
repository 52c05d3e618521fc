import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

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

/** How deep files may include each other (READCONF_MAX_DEPTH in OpenSSH's readconf.c). */
const DEPTH = 16;

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

function varies({ keyword, words }: ConfigLine): boolean {
  if (keyword === 'host') return words.join(' ') !== '*';
  if (keyword === 'match') return words.join(' ').toLowerCase() !== 'all';
  return /^(hostname|canonical.*)$/.test(keyword) || words.some((word) => /%|\$\{/.test(word));
}

/** Stands for keywords that could not be read. */
const UNKNOWN = '?';

async function keywordsIn(
  file: string | undefined,
  folder: string,
  home: string,
): Promise<ReadonlySet<string>> {
  const words = new Set<string>();
  if (file !== undefined) await collect([file], { words, folder, home }, DEPTH);
  return words;
}

interface Search {
  readonly words: Set<string>;
  /** What the names of included files are relative to. */
  readonly folder: string;
  readonly home: string;
}

async function collect(files: readonly string[], search: Search, depth: number): Promise<void> {
  if (depth === 0) return;
  for (const file of files) {
    // ssh passes over files that it cannot read.
    const text = await readFile(file, 'latin1').catch(() => '');
    for (const line of configLines(text)) {
      const { keyword, words } = line;
      search.words.add(keyword);
      if (varies(line)) search.words.add(VARIES);
      if (keyword !== 'include') continue;
      const included = await Promise.all(words.map((word) => expanded(word, search)));
      await collect(included.flat(), search, depth - 1);
    }
  }
}

/** One line of ssh_config: its keyword in lower case, and its words with their quotes taken away. */
export interface ConfigLine {
  readonly keyword: string;
  readonly words: readonly string[];
}

/** Splits ssh_config into lines and words (ssh_config(5): `Keyword words`, `Keyword=words`, double quotes, comments). */
export function configLines(text: string): readonly ConfigLine[] {
  return text.split('\n').flatMap((line) => {
    const [, keyword, rest = ''] = /^\s*(\w+)\s*=?\s*(.*?)\s*$/.exec(line) ?? [];
    if (keyword === undefined) return [];
    const words = [...rest.matchAll(/"([^"]*)"|(#.*)|(\S+)/g)];
    return [
      {
        keyword: keyword.toLowerCase(),
        words: words.flatMap(([, quoted, comment, plain]) =>
          comment === undefined ? [quoted ?? plain ?? ''] : [],
        ),
      },
    ];
  });
}

/** The files that one word of `Include` names (glob(7) in its last part). */
async function expanded(word: string, { words, folder, home }: Search): Promise<string[]> {
  const file = path.resolve(
    folder,
    word.replace(/^~(?=\/)/, () => home),
  );
  const [parent, name] = [path.dirname(file), path.basename(file)];
  if (/[*?[\]{}$%]/.test(parent) || /[[\]{}$%]/.test(name)) {
    words.add(UNKNOWN);
    return [];
  }
  if (!/[*?]/.test(name)) return [file];
  const escaped = name.replace(/[.+^()|\\]/g, '\\$&');
  const pattern = new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's');
  const found = await readdir(parent).catch(() => []);
  return found
    .filter((entry) => pattern.test(entry) && !(entry.startsWith('.') && !name.startsWith('.')))
    .sort()
    .map((entry) => path.join(parent, entry));
}
