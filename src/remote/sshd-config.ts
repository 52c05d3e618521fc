import type { Reading } from '../core/facts.ts';
import { matchesWildcards } from '../core/patterns.ts';
import { parentOf, type RemotePath } from '../core/remote-path.ts';
import { directives } from '../core/ssh-config-text.ts';

/** Where OpenSSH looks for a user's keys if nobody says otherwise; of its two defaults, the first. */
export const DEFAULT_KEYS_FILE = '.ssh/authorized_keys' as RemotePath;

/** Where Haiku's OpenSSH looks (as ssh-copy-id has it). */
export const HAIKU_KEYS_FILE = 'config/settings/ssh/authorized_keys' as RemotePath;

/** Where sshd's configuration is. */
export const SSHD_CONFIG = '/etc/ssh/sshd_config' as RemotePath;
/** Where a system's own drop-ins are; they count only where `sshd_config` includes them. */
export const DROP_INS = '/etc/ssh/sshd_config.d' as RemotePath;

/** The account, as far as tokens of sshd_config(5) speak of it. */
export interface TokenValues {
  readonly user: string;
  readonly home: string;
  readonly uid: number | undefined;
}

/**
 * The file that the server reads keys from, by its configuration (each file's text, or the lines of it that
 * matter, by path). Undefined where that says nothing that holds for everybody: only what stands outside of
 * Match is believed, the first value counts, and of several files the first is taken (sshd_config(5)).
 */
export function keysFileOf(
  files: ReadonlyMap<string, string>,
  values: TokenValues,
): RemotePath | undefined {
  const words = firstValue(files, SSHD_CONFIG, 0);
  const first = words?.[0];
  return first === undefined || /^none$/i.test(first) ? undefined : expanded(first, values);
}

/** How deep Include may lead (servconf.c allows 16; nobody needs more than a few). */
const DEPTH = 4;

function firstValue(
  files: ReadonlyMap<string, string>,
  name: string,
  depth: number,
): readonly string[] | undefined {
  for (const { keyword, values } of directives(files.get(name) ?? '')) {
    if (keyword === 'match') return undefined;
    if (keyword === 'authorizedkeysfile' && values.length > 0) return values;
    if (keyword !== 'include' || depth === DEPTH) continue;
    for (const included of values.flatMap((pattern) => matching(files, pattern))) {
      const found = firstValue(files, included, depth + 1);
      if (found !== undefined) return found;
    }
  }
  return undefined;
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
