import { printablePath } from '../core/printable.ts';
import { PrepError } from '../core/problem.ts';
import { parentOf, remotePath, type RemotePath } from '../core/remote-path.ts';
import type { SftpRequests } from './sftp-requests.ts';

/** Status codes of the protocol (draft-ietf-secsh-filexfer-02, section 7). */
const [EOF, NO_SUCH_FILE, PERMISSION_DENIED, OP_UNSUPPORTED] = [1, 2, 3, 8];

/** A name that is not UTF-8, which the SFTP library cannot send. */
export class UnsendableName extends Error {
  constructor() {
    super('its name is not UTF-8, which prep cannot send over SFTP');
  }
}

/** A path as the library wants it. @throws UnsendableName */
export function wire(path: RemotePath): string {
  const text = Buffer.from(path, 'latin1').toString('utf8');
  if (remotePath(text) !== path) throw new UnsendableName();
  return text;
}

/** Whether a name came as it is: what is not UTF-8 the library has replaced with U+FFFD. */
export function isWhole(path: RemotePath): boolean {
  return !Buffer.from(path, 'latin1').toString('utf8').includes('\ufffd');
}

/** Whether an error says that a file ends here. */
export function isEnd(error: unknown): boolean {
  return codeOf(error) === EOF;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** Whether an error says that there is nothing at a path, or nothing that this user may see. */
export function isAbsent(error: unknown): boolean {
  return (
    [NO_SUCH_FILE, PERMISSION_DENIED].includes(Number(codeOf(error))) ||
    error instanceof UnsendableName
  );
}

/** Whether an error says that this user may not. */
export function isDenied(error: unknown): boolean {
  return codeOf(error) === PERMISSION_DENIED;
}

/** Whether an error says that the server does not know such a request. */
export function isUnsupported(error: unknown): boolean {
  return codeOf(error) === OP_UNSUPPORTED;
}

/** For stat: nothing there is an answer. */
export function orAbsent(error: unknown): undefined {
  if (isAbsent(error)) return undefined;
  throw error;
}

/** For what is good to know but may be missing; a lost connection is another matter. */
export function orNothing(error: unknown): undefined {
  if (error instanceof PrepError) throw error;
  return undefined;
}

/**
 * What went wrong in words. SFTP says "Failure" of most things, so a full or read-only file system is asked for: that
 * of `written`, where what is to be at the path is written elsewhere first.
 */
export async function explained(
  sftp: SftpRequests,
  path: RemotePath,
  error: unknown,
  written = path,
): Promise<PrepError> {
  if (error instanceof PrepError) return error;
  const said = error instanceof Error ? error.message : String(error);
  const name = printablePath(path);
  if (isDenied(error)) return new PrepError({ code: 'not-writable', path: name, said }, error);
  if (NO_EXTENSION.test(said)) {
    const cause = 'its SFTP server cannot replace a file in one step (posix-rename@openssh.com)';
    return new PrepError({ code: 'write-failed', path: name, said: cause }, error);
  }
  const home = '.' as RemotePath;
  const there = await sftp
    .fileSystem(parentOf(written) ?? home)
    // What holds it may not be there either.
    .then((found) => found ?? sftp.fileSystem(home))
    .catch(() => undefined);
  const code =
    there?.full === true ? 'disk-full' : there?.readOnly === true ? 'not-writable' : 'write-failed';
  return new PrepError({ code, path: name, said }, error);
}

/** What ssh2 says of an extension that the server has not announced. */
const NO_EXTENSION = /does not support this extended request/;
