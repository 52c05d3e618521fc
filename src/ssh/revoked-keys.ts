import { readFile } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { parseAuthorizedKey } from '../core/authorized-key.ts';
import { PrepError } from '../core/problem.ts';
import type { KnownHostsLine } from './known-hosts-file.ts';

/** How a key revocation list begins (PROTOCOL.krl). */
const KRL = 'SSHKRL\n\0';

/**
 * The keys of a RevokedHostKeys file (ssh_config(5)), one a line, as @revoked lines for every host. As with
 * ssh(1), a file that cannot be read keeps everybody out; that goes for the binary lists of ssh-keygen -k.
 * @throws PrepError `cannot-read`
 */
export async function readRevokedKeys(file: string): Promise<readonly KnownHostsLine[]> {
  const text = await readFile(file, 'latin1').catch((error: NodeJS.ErrnoException) => {
    throw cannotRead(file, getSystemErrorMap().get(error.errno ?? 0)?.[1] ?? error.message);
  });
  if (text.startsWith(KRL)) {
    throw cannotRead(file, 'prep reads only lists of public keys, not those of ssh-keygen -k');
  }
  return text.split('\n').flatMap((line, index) => {
    const key = parseAuthorizedKey(line);
    if (key === undefined) return [];
    const { type: keyType, blob } = key;
    const place = { file, line: index + 1, marker: 'revoked', hostnames: '*' } as const;
    return [{ ...place, keyType, key: Buffer.from(blob, 'base64') }];
  });
}

function cannotRead(file: string, cause: string): PrepError {
  return new PrepError({
    code: 'cannot-read',
    file,
    what: 'list of revoked host keys (RevokedHostKeys)',
    cause,
  });
}
