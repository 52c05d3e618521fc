import { readFileSync } from 'node:fs';

/** The files that have accounts, below /etc. */
export const ACCOUNT_FILES = ['passwd', 'shadow', 'group'] as const;

/** The lines of one of those files: an account's own (one, as useradd makes it), and all others. */
export interface Entries {
  readonly own: string;
  readonly others: readonly string[];
}

/** What each of those files has of an account. */
export function accountEntries(name: string): Record<(typeof ACCOUNT_FILES)[number], Entries> {
  return {
    passwd: entriesIn('passwd', name),
    shadow: entriesIn('shadow', name),
    group: entriesIn('group', name),
  };
}

function entriesIn(file: string, name: string): Entries {
  const lines = readFileSync(`/etc/${file}`, 'utf8').trimEnd().split('\n');
  const isOwn = (line: string): boolean => line.startsWith(`${name}:`);
  const own = lines.find(isOwn);
  if (own === undefined) throw new Error(`/etc/${file} does not have ${name}`);
  return { own, others: lines.filter((line) => !isOwn(line)) };
}

/** Files of a server that knows an account not from /etc, but from another service of NSS (nsswitch.conf(5)). */
export function knownBy(service: string, name: string): Record<string, readonly string[]> {
  const entries = accountEntries(name);
  return {
    '/etc/nsswitch.conf': ACCOUNT_FILES.map((file) => `${file}: files ${service}`),
    ...Object.fromEntries(ACCOUNT_FILES.map((file) => [`/etc/${file}`, entries[file].others])),
  };
}
