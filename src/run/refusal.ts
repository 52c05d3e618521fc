import { keyFingerprint, type AuthorizedKey } from '../core/authorized-key.ts';
import { entryAt, realPath, type Facts } from '../core/facts.ts';
import { printable, printablePath } from '../core/printable.ts';
import { problemOf, type Problem } from '../core/problem.ts';
import { parentOf, remotePath } from '../core/remote-path.ts';
import type { Evidence } from '../remote/evidence.ts';
import { DEFAULT_KEYS_FILE } from '../remote/sshd-config.ts';
import type { LoginKey } from '../ssh/login-key.ts';
import { optionsOf } from './key-lines.ts';

/** Turns a failed trial login into the reason that can be seen. */
export function refusal(error: unknown, facts: Facts, evidence: Evidence, key: LoginKey): Problem {
  const problem = problemOf(error);
  if (problem.code !== 'password-not-offered') return problem;
  const because =
    firstReason(facts, evidence, problem.offers, key.key) ??
    `look for ${keyFingerprint(key.key)} in the server's log`;
  return { code: 'key-refused', because };
}

function firstReason(
  facts: Facts,
  evidence: Evidence,
  offers: readonly string[],
  key: AuthorizedKey,
): string | undefined {
  const { settings, context } = evidence;
  const setting = (keyword: string): string => settings.get(keyword.toLowerCase()) ?? '';
  if (/^no$/i.test(setting('PubkeyAuthentication')) || !offers.includes('publickey')) {
    return 'it has PubkeyAuthentication off in sshd_config; ask its administrator to turn it on';
  }
  const files = setting('AuthorizedKeysFile');
  if (/^none$/i.test(files)) {
    return 'it reads keys from no file (AuthorizedKeysFile none); ask its administrator';
  }
  if (files !== '' && facts.keysFile === DEFAULT_KEYS_FILE && !DEFAULT.test(files)) {
    return `it looks for keys in ${files} (AuthorizedKeysFile), not in ~/.ssh/authorized_keys; put the key there`;
  }
  if (context !== '' && !/ssh_home_t/.test(context)) {
    return `its SELinux context is wrong (${context}); run restorecon -RF ~/.ssh there`;
  }
  return (
    wrongStanding(facts) ?? restricted(facts, key) ?? outOfSight(facts) ?? unknown(evidence, key)
  );
}

/** A line of authorized_keys may be for some clients only, or for some time (sshd(8), AUTHORIZED_KEYS FILE FORMAT). */
function restricted(facts: Facts, key: AuthorizedKey): string | undefined {
  const options = optionsOf(facts, key) ?? '';
  const found = /(?:^|,)(from|expiry-time)="([^"]*)"/i.exec(options);
  if (found === null) return undefined;
  const [, name = '', value = ''] = found;
  return `its line in authorized_keys has ${name.toLowerCase()}="${printable(value)}"; change it there if that leaves you out`;
}

/** RHEL's sshd_config, for one, is root's alone to read. */
function unknown({ unread }: Evidence, key: AuthorizedKey): string | undefined {
  if (unread === '') return undefined;
  return `${unread} may not be read, and may have it look for keys elsewhere (AuthorizedKeysFile); ask its administrator, whose log has ${keyFingerprint(key)}`;
}

/** Over SFTP neither sshd's configuration nor, from within a chroot, the folders that StrictModes looks at need be visible. */
function outOfSight({ account }: Facts): string | undefined {
  if (account.access === 'shell') return undefined;
  return 'SFTP shows only part of the server: it may look for keys elsewhere (outside of a chroot), or object to folders above; ask its administrator';
}

/** The default file, among those that AuthorizedKeysFile names. */
const DEFAULT = /(^|[ /])\.ssh\/authorized_keys( |$)/;

/** What StrictModes may object to. */
function wrongStanding(facts: Facts): string | undefined {
  const { keysFile } = facts;
  const paths = [remotePath('.'), parentOf(keysFile) ?? remotePath('.'), keysFile];
  const { uid } = facts.account;
  for (const path of paths) {
    const entry = entryAt(facts, realPath(facts, path));
    if (entry.kind !== 'file' && entry.kind !== 'directory') continue;
    const name = path === '.' ? 'the home directory' : printablePath(path);
    const known = entry.owner !== undefined && uid !== undefined;
    if (known && entry.owner !== uid && entry.owner !== 0) {
      return `${name} belongs to user ${entry.owner}; have its owner changed`;
    }
    if ((entry.mode & 0o022) !== 0) {
      return `others may write ${name} (${entry.mode.toString(8).padStart(4, '0')}); run chmod go-w on it`;
    }
  }
  return undefined;
}
