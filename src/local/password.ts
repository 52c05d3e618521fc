import { open } from 'node:fs/promises';
import { Secret } from '../core/secret.ts';
import { PrepError } from '../core/problem.ts';
import { cannotRead } from './files.ts';

/** Longer than any password that PAM takes (PAM_MAX_RESP_SIZE is 512). */
const LIMIT = 4096;

/**
 * The password given beforehand: the first line of `--password-file` (`-`: of standard input), else
 * PREP_PASSWORD, which is taken out of the environment so that no child inherits it.
 * @throws PrepError `cannot-read`
 */
export async function givenPassword(file: string | undefined): Promise<Secret | undefined> {
  const fromEnvironment = process.env['PREP_PASSWORD'];
  delete process.env['PREP_PASSWORD'];
  if (file === undefined) {
    return fromEnvironment === undefined || fromEnvironment === ''
      ? undefined
      : new Secret(fromEnvironment);
  }
  return passwordIn(file);
}

/** The new password, from the first line of `--new-password-file`. @throws PrepError `cannot-read` */
export async function givenNewPassword(file: string | undefined): Promise<Secret | undefined> {
  return file === undefined ? undefined : passwordIn(file);
}

async function passwordIn(file: string): Promise<Secret> {
  const line = file === '-' ? await firstLineOfInput() : await firstLine(file);
  if (line !== '') return new Secret(line);
  const name = file === '-' ? 'standard input' : file;
  throw new PrepError({
    code: 'cannot-read',
    file: name,
    what: 'password file',
    cause: 'its first line is empty',
  });
}

async function firstLine(file: string): Promise<string> {
  const handle = await open(file).catch((error: unknown) => {
    throw cannotRead(file, 'password file', error);
  });
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(LIMIT), 0, LIMIT, null);
    return lineOf(buffer.subarray(0, bytesRead));
  } catch (error) {
    throw cannotRead(file, 'password file', error);
  } finally {
    await handle.close();
  }
}

async function firstLineOfInput(): Promise<string> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    bytes = Buffer.concat([bytes, Buffer.from(chunk as Buffer)]);
    if (bytes.includes(0x0a) || bytes.length > LIMIT) break;
  }
  return lineOf(bytes);
}

function lineOf(bytes: Buffer): string {
  return bytes.toString('utf8').split(/\r?\n/, 1)[0] ?? '';
}
