import { BlockList, isIPv6 } from 'node:net';
import type { Reading } from '../core/facts.ts';
import { matchesPatterns, matchesWildcards } from '../core/patterns.ts';
import { parentOf, type RemotePath } from '../core/remote-path.ts';
import { directives } from '../core/ssh-config-text.ts';
import type { Answer } from './answer.ts';

/** Where OpenSSH looks for a user's keys if nobody says otherwise; of its two defaults, the first. */
export const DEFAULT_KEYS_FILE = '.ssh/authorized_keys' as RemotePath;

/** Where Haiku's OpenSSH looks (as ssh-copy-id has it). */
export const HAIKU_KEYS_FILE = 'config/settings/ssh/authorized_keys' as RemotePath;

/** Where sshd's configuration is. */
export const SSHD_CONFIG = '/etc/ssh/sshd_config' as RemotePath;
/** Where a system's own drop-ins are; they count only where `sshd_config` includes them. */
export const DROP_INS = '/etc/ssh/sshd_config.d' as RemotePath;

/** Who logs in, as far as sshd_config(5) speaks of it. */
export interface Visitor {
  readonly user: string;
  /** Empty where nothing tells them (SFTP). */
  readonly groups: readonly string[];
  /** What sshd puts into SSH_CONNECTION: the client's address and port, then the server's. Empty where it is not known. */
  readonly connection: readonly string[];
}

/** What may be read of a server's configuration. */
export interface SshdConfig {
  /** Each file's text, or the lines of it that matter, by path. */
  readonly files: ReadonlyMap<string, string>;
  /** The file that comes first. */
  readonly main: string;
  readonly visitor: Visitor;
}

/**
 * Finds the configuration of the sshd that this shell came from. `d` is the uppermost sshd above it, empty where there is
 * none; its title says whether it was told another file than the usual one (`-f`). `F` is that file; empty where it was
 * another program that let in; the usual one where /proc tells nothing. Then `show_config KEYWORDS` says the lines that
 * matter, with the file that each is from, and whom Match may be about.
 */
export const SHOWING_CONFIG = `
F=${SSHD_CONFIG}; q=$PPID; d=; while l=; { IFS= read -r l <"/proc/$q/stat"; } 2>/dev/null; [ -n "$l" ]; do F=; case $l in *'(sshd'*) d=$q;; esac
set -f; set -- \${l##*') '}; set +f; q=$2; done
if [ -n "$d" ]; then F=${SSHD_CONFIG}; l=$(tr '\\0' ' ' 2>/dev/null <"/proc/$d/cmdline"); case $l in *' -f '/*) l=\${l#* -f }; F=\${l%% *};; esac; fi
show_config() { l=$(grep -iE "^[[:space:]]*(match|include|$1)" /dev/null ${DROP_INS}/*.conf "$F" 2>/dev/null); say sshd-config "$F"; printf '%s\\n' "$l"
case $l in *[Mm][Aa][Tt][Cc][Hh]*) say visitor "$(id -un) $SSH_CONNECTION"; say groups "$(id -Gn)";; esac; }
`;

/** Reads what `show_config` says. */
export function readSshdConfig(answer: Answer): SshdConfig {
  const files = new Map<string, string>();
  const { name: main = '', rest = '' } = answer.all('sshd-config').at(-1) ?? {};
  for (const line of rest.split('\n')) {
    const [, file, text] = /^([^:]+):(.*)$/s.exec(line) ?? [];
    if (file !== undefined) files.set(file, `${files.get(file) ?? ''}${text}\n`);
  }
  const [user = '', ...connection] = answer.word('visitor').split(' ');
  const groups = answer.word('groups').split(' ');
  return { files, main, visitor: { user, groups, connection } };
}

/**
 * The values of a keyword (in lower case) for a visitor; undefined where it is not set. The first value counts, one
 * in a Match block that is about the visitor before one that is for everybody (sshd_config(5), servconf.c).
 */
export function settingOf(
  { files, main, visitor }: SshdConfig,
  keyword: string,
): readonly string[] | undefined {
  const found = [...settings(files, main, visitor, 'everybody', 0)].filter(
    (one) => one.keyword === keyword,
  );
  const [first] = [...found.filter(({ scope }) => scope === 'visitor'), ...found];
  return first?.values;
}

/**
 * The file that the server reads keys from, by its configuration: of several, the first. Undefined where that says
 * nothing, or something that cannot be told from here.
 */
export function keysFileOf(config: SshdConfig, account: TokenValues): RemotePath | undefined {
  const first = settingOf(config, 'authorizedkeysfile')?.[0];
  return first === undefined || /^none$/i.test(first) ? undefined : expanded(first, account);
}

/** The account, as far as tokens of sshd_config(5) speak of it. */
export interface TokenValues {
  readonly user: string;
  readonly home: string;
  readonly uid: number | undefined;
}

/** How deep Include may lead (servconf.c allows 16; nobody needs more than a few). */
const DEPTH = 4;

/** For whom a line is: for everybody, for a visitor whom the Match above it is about, or for others. */
type Scope = 'everybody' | 'visitor' | 'others';

interface Setting {
  readonly keyword: string;
  readonly values: readonly string[];
  readonly scope: Scope;
}

function* settings(
  files: ReadonlyMap<string, string>,
  name: string,
  visitor: Visitor,
  outer: Scope,
  depth: number,
): Generator<Setting> {
  let scope = outer;
  for (const { keyword, values } of directives(files.get(name) ?? '')) {
    if (keyword === 'match') {
      // A file that is included for others stays so.
      if (outer !== 'others') scope = isAbout(visitor, values) ? 'visitor' : 'others';
    } else if (keyword === 'include') {
      if (depth === DEPTH) continue;
      for (const included of values.flatMap((pattern) => matching(files, pattern)))
        yield* settings(files, included, visitor, scope, depth + 1);
    } else if (scope !== 'others' && values.length > 0) yield { keyword, values, scope };
  }
}

/** Whether a Match line is about a visitor. Of what cannot be told from here (Host by name, RDomain), none is. */
function isAbout({ user, groups, connection }: Visitor, words: readonly string[]): boolean {
  const [client = '', , server = '', port = ''] = connection;
  const criteria: Readonly<Record<string, (patterns: readonly string[]) => boolean>> = {
    user: (patterns) => matchesPatterns(patterns, [user]),
    group: (patterns) => matchesPatterns(patterns, groups),
    address: (patterns) => matchesPatterns(patterns, [client], isInNetwork),
    host: (patterns) => matchesPatterns(patterns, [client]),
    localaddress: (patterns) => matchesPatterns(patterns, [server], isInNetwork),
    localport: (ports) => ports.length === 1 && ports[0] === port,
  };
  if (words.length === 1) return words[0]!.toLowerCase() === 'all';
  for (let at = 0; at < words.length; at += 2) {
    const holds = criteria[words[at]!.toLowerCase()];
    if (holds?.((words[at + 1] ?? '').split(',')) !== true) return false;
  }
  return words.length > 0;
}

/** An address or a pattern of one, or a network with the length of its prefix (addr_match_list in OpenSSH's addrmatch.c). */
function isInNetwork(pattern: string, address: string): boolean {
  const [network = '', length] = pattern.split('/');
  if (length === undefined) return matchesWildcards(pattern, address);
  const list = new BlockList();
  try {
    list.addSubnet(network, Number(length), isIPv6(network) ? 'ipv6' : 'ipv4');
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  } catch {
    return false;
  }
}

function matching(files: ReadonlyMap<string, string>, pattern: string): readonly string[] {
  const parts = (pattern.startsWith('/') ? pattern : `/etc/ssh/${pattern}`).split('/');
  const matches = (name: string): boolean => {
    const folders = name.split('/');
    return (
      folders.length === parts.length &&
      parts.every((part, index) => matchesWildcards(part, folders[index]!))
    );
  };
  return [...files.keys()].filter(matches).sort();
}

/** A path with %h, %u, %U and %% filled in, relative to the home directory where it is inside; undefined for other tokens. */
function expanded(text: string, { user, home, uid }: TokenValues): RemotePath | undefined {
  const tokens: Readonly<Record<string, string | undefined>> = {
    '%h': home,
    '%u': user,
    '%U': uid?.toString(),
    '%%': '%',
  };
  let unknown = false;
  const path = text.replace(/%./g, (token) => {
    unknown ||= tokens[token] === undefined;
    return tokens[token] ?? '';
  });
  if (unknown) return undefined;
  const inside = home === '/' ? '/' : `${home}/`;
  const relative = path.startsWith(inside) ? path.slice(inside.length) : path;
  return relative.replace(/^(\.\/+)+/, '').replace(/\/{2,}/g, '/') as RemotePath;
}

/** Whether readings are about keys, so that it matters where the server looks for them. */
export function wantsKeys(readings: readonly Reading[]): boolean {
  return readings.some(({ path }) => path === DEFAULT_KEYS_FILE);
}

/** What must be known of a file that holds keys: itself, and the folders from the home directory down to it. */
export function keysFileReadings(keysFile: RemotePath): readonly Reading[] {
  const readings: Reading[] = [{ path: keysFile, bytes: 'all', follow: true }];
  for (let at = parentOf(keysFile); at !== undefined && at !== '/'; at = parentOf(at)) {
    readings.unshift({ path: at, follow: true });
  }
  return readings;
}
