import { readFile } from 'node:fs/promises';
import { parseAuthorizedKey } from '../core/authorized-key.ts';
import { cannotRead } from '../core/system-error.ts';
import type { KnownHostsLine } from './known-hosts-file.ts';

const WHAT = 'list of revoked host keys (RevokedHostKeys)';

/** How a key revocation list begins (PROTOCOL.krl). */
const KRL = 'SSHKRL\n\0';

/**
 * The keys of a RevokedHostKeys file (ssh_config(5)), one a line, as @revoked lines for every host. As with
 * ssh(1), a file that cannot be read keeps everybody out; that goes for the binary lists of ssh-keygen -k.
 * @throws PrepError `cannot-read`
 */
export async function readRevokedKeys(file: string): Promise<readonly KnownHostsLine[]> {
  const text = await readFile(file, 'latin1').catch((error: unknown) => {
    throw cannotRead(file, WHAT, error);
  });
  if (text.startsWith(KRL)) {
    throw cannotRead(
      file,
      WHAT,
      'prep reads only lists of public keys, not those of ssh-keygen -k',
    );
  }
  return text.split('\n').flatMap((line, index) => {
    const key = parseAuthorizedKey(line);
    if (key === undefined) return [];
    const { type: keyType, blob } = key;
    const place = { file, line: index + 1, marker: 'revoked', hostnames: '*' } as const;
    return [{ ...place, keyType, key: Buffer.from(blob, 'base64') }];
  });
}
