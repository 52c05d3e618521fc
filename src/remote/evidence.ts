import { printable } from '../core/printable.ts';
import type { Answer } from './answer.ts';

/** What can be seen of why sshd refuses a key: its readable configuration, and the security contexts. */
export interface Evidence {
  /** Values of AuthorizedKeysFile, PubkeyAuthentication and the like, as the configuration has them. */
  readonly settings: ReadonlyMap<string, string>;
  /** The SELinux context of authorized_keys; empty where there is none. */
  readonly context: string;
}

/** Reads what a plain user may read; says nothing where that is nothing. Includes usually stand first in sshd_config. */
export const evidenceScript = `
for f in /etc/ssh/sshd_config.d/*.conf /etc/ssh/sshd_config; do [ -r "$f" ] && while IFS= read -r l || [ -n "$l" ]; do
set -f; set -- $l; set +f
case $1 in [Mm][Aa][Tt][Cc][Hh]) break;;
[Aa]uthorized[Kk]eys[Ff]ile|[Pp]ubkey[Aa]uthentication|[Aa]llow[Uu]sers|[Aa]llow[Gg]roups|[Dd]eny[Uu]sers|[Aa]uthentication[Mm]ethods|[Pp]ubkey[Aa]cceptedAlgorithms) say setting "$*";; esac
done <"$f"; done
if has getenforce; then case $(getenforce) in Enforcing) say context "$(ls -dZ .ssh/authorized_keys 2>/dev/null)";; esac; fi
`;

/** Reads the answer to `evidenceScript`. The first value of a keyword counts, as in sshd_config(5). */
export function readEvidence(answer: Answer): Evidence {
  const settings = new Map<string, string>();
  for (const { name } of answer.all('setting')) {
    const [keyword = '', ...values] = name.split(' ');
    if (!settings.has(keyword.toLowerCase()))
      settings.set(keyword.toLowerCase(), printable(values.join(' ')));
  }
  return { settings, context: printable(answer.word('context')) };
}
