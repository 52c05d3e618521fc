import { readFile } from 'node:fs/promises';
import { utils } from 'ssh2';
import { parseAuthorizedKey, type AuthorizedKey } from '../core/authorized-key.ts';

const OPENSSH = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+?)-----END/;

/** How OpenSSH's own format begins (PROTOCOL.key). */
const MAGIC = Buffer.from('openssh-key-v1\0', 'latin1');

/**
 * The public half of a private key that has no .pub file beside it. OpenSSH's own format has it in clear, even
 * where the private half is encrypted; of other formats only what needs no passphrase can be read. Raises what
 * reading the file raises, and an Error where there is no such key in it.
 */
export async function publicHalf(file: string): Promise<AuthorizedKey> {
  const text = await readFile(file, 'latin1');
  const [, armoured] = OPENSSH.exec(text) ?? [];
  const blob = armoured === undefined ? parsed(text) : inClear(Buffer.from(armoured, 'base64'));
  const type = blob.subarray(4, 4 + blob.readUInt32BE(0)).toString('latin1');
  const key = parseAuthorizedKey(`${type} ${blob.toString('base64')} ${file.replace(/\s/g, '_')}`);
  if (key === undefined) throw new Error('it holds no key that prep knows');
  return key;
}

function parsed(text: string): Buffer {
  const key = utils.parseKey(text);
  if (!(key instanceof Error)) return key.getPublicSSH();
  if (!/encrypted|passphrase/i.test(key.message)) throw key;
  throw new Error('its public half is not beside it; ssh-keygen -y makes it');
}

/** The first public key: behind the magic, three strings (cipher, kdf, its options) and the number of keys. */
function inClear(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('it is damaged');
  let at = MAGIC.length;
  for (let skipped = 0; skipped < 3; skipped++) at += 4 + bytes.readUInt32BE(at);
  at += 4;
  return bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at));
}
