import { createHash } from 'node:crypto';

/** How many length-prefixed strings a key's blob consists of (RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4, PROTOCOL.u2f). */
const STRINGS: ReadonlyMap<string, number> = new Map([
  ['ssh-ed25519', 2],
  ['ssh-rsa', 3],
  ['ssh-dss', 5],
  ['ecdsa-sha2-nistp256', 3],
  ['ecdsa-sha2-nistp384', 3],
  ['ecdsa-sha2-nistp521', 3],
  ['sk-ssh-ed25519@openssh.com', 3],
  ['sk-ecdsa-sha2-nistp256@openssh.com', 4],
]);

const CERTIFICATE =
  /^(ssh-(rsa|dss|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519|sk-ecdsa-sha2-nistp256)-cert-v01@openssh\.com$/;

/** 4 + `ssh-ed25519` + 4 + 32. ssh2 makes shorter ones now and then, which sshd refuses. */
const ED25519_BLOB_SIZE = 51;

/** Whether sshd knows keys of that type, certificates included. */
export function isKeyType(type: string): boolean {
  return STRINGS.has(type) || isCertificateType(type);
}

/** Whether it is the type of a certificate. */
export function isCertificateType(type: string): boolean {
  return CERTIFICATE.test(type);
}

/** The fingerprint of a key blob as `ssh-keygen -l` prints it: `SHA256:` and unpadded base64. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace('=', '')}`;
}

/** The type that a key blob begins with, such as `ssh-ed25519`; empty where it begins with none. */
export function keyTypeOf(blob: Buffer): string {
  const type = stringAt(blob, 0)?.toString('latin1') ?? '';
  return /^[\w@.-]+$/.test(type) ? type : '';
}

/** Whether a key blob, of whatever type, begins with that type and consists of fields (a length and that many bytes each). */
export function isWhole(blob: Buffer, type: string): boolean {
  return type !== '' && keyTypeOf(blob) === type && (countStrings(blob) ?? 0) > 1;
}

/** Whether the base64 text is a whole key of that type: as strict as sshd about base64, its own type name, its length. */
export function isBlobOf(type: string, blob: string): boolean {
  const bytes = Buffer.from(blob, 'base64');
  if (bytes.toString('base64') !== blob) return false;
  if (stringAt(bytes, 0)?.toString('latin1') !== type) return false;
  if (type === 'ssh-ed25519') return bytes.length === ED25519_BLOB_SIZE;
  return isCertificateType(type) || countStrings(bytes) === STRINGS.get(type);
}

function stringAt(bytes: Buffer, at: number): Buffer | undefined {
  if (at + 4 > bytes.length) return undefined;
  const end = at + 4 + bytes.readUInt32BE(at);
  return end > bytes.length ? undefined : bytes.subarray(at + 4, end);
}

/** Undefined where the strings do not fill the bytes exactly. */
function countStrings(bytes: Buffer): number | undefined {
  let count = 0;
  for (let at = 0; at < bytes.length; count++) {
    const string = stringAt(bytes, at);
    if (string === undefined) return undefined;
    at += 4 + string.length;
  }
  return count;
}
