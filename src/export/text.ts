import { readFileSync } from 'node:fs';
import type { Content } from '../core/facts.ts';
import { printablePath } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import { pathBytes, type RemotePath } from '../core/remote-path.ts';

/** The bytes of a dotfile, wherever they are. @throws PrepError `cannot-read` */
export function bytesOf(path: RemotePath, { bytes, localFile = '' }: Content): Uint8Array {
  try {
    return bytes ?? readFileSync(localFile);
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new PrepError({
      code: 'cannot-read',
      file: printablePath(path),
      what: 'dotfile',
      cause: code,
    });
  }
}

/** Bytes as text, if they are UTF-8 that YAML can hold. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    // YAML 1.2, 5.1: what is no printable character, and what its readers fold.
    // oxlint-disable-next-line no-control-regex -- finding control characters is what this is for
    return /[\u0000-\u0008\u000b-\u001f\u007f\u0085\u2028\u2029\ufeff]/.test(text)
      ? undefined
      : text;
  } catch {
    return undefined;
  }
}

/** A path as text. @throws PrepError `usage` where it is none */
export function pathText(path: RemotePath): string {
  const text = textOf(pathBytes(path));
  if (text !== undefined && !text.includes('\n')) return text;
  throw cannotHold(path, 'name');
}

/** What a description cannot say of a dotfile. */
export function cannotHold(path: RemotePath, what: 'name' | 'content'): PrepError {
  return new PrepError({
    code: 'usage',
    text: `the ${what} of ${printablePath(path)} is not plain UTF-8 text, which is all that can be exported; leave it out with --dotfiles or --skip`,
  });
}

/** A mode as both Ansible and cloud-init want it: `"0644"`, in quotes, or YAML reads a number. */
export function modeText(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
