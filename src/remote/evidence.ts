import { printable } from '../core/printable.ts';
import type { Answer } from './answer.ts';
import { readSshdConfig, settingOf, SHOWING_CONFIG } from './sshd-config.ts';

/** What can be seen of why sshd refuses a key: its readable configuration, and the security contexts. */
export interface Evidence {
  /** Values of AuthorizedKeysFile and PubkeyAuthentication (in lower case), as the configuration has them for the account. */
  readonly settings: ReadonlyMap<string, string>;
  /** The configuration file, where it may not be read; else empty. */
  readonly unread: string;
  /** The SELinux context of authorized_keys; empty where there is none. */
  readonly context: string;
}

/** What may keep a key from being accepted. */
const KEYWORDS = ['authorizedkeysfile', 'pubkeyauthentication'];

/** Reads what a plain user may read; says nothing where that is nothing. */
export const evidenceScript = `${SHOWING_CONFIG}
show_config '${KEYWORDS.join('|')}'
[ -z "$F" ] || [ -r "$F" ] || say unread "$F"
if has getenforce; then case $(getenforce) in Enforcing) say context "$(ls -dZ .ssh/authorized_keys 2>/dev/null)";; esac; fi
`;

/** Reads the answer to `evidenceScript`. */
export function readEvidence(answer: Answer): Evidence {
  const config = readSshdConfig(answer);
  const settings = KEYWORDS.flatMap((keyword): [string, string][] => {
    const values = settingOf(config, keyword);
    return values === undefined ? [] : [[keyword, printable(values.join(' '))]];
  });
  return {
    settings: new Map(settings),
    unread: printable(answer.word('unread')),
    context: printable(answer.word('context')),
  };
}
