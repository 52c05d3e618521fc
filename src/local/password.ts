import { open } from 'node:fs/promises';
import { Secret } from '../core/secret.ts';
import { PrepError } from '../core/problem.ts';
import { cannotRead } from '../core/system-error.ts';

/** Longer than any password that PAM takes (PAM_MAX_RESP_SIZE is 512). */
const LIMIT = 4096;

let fromEnvironment: Secret | undefined;

/** Takes PREP_PASSWORD out of the environment, for `givenPassword`: to be called before anything runs that would inherit it. */
export function takePassword(): void {
  const text = process.env['PREP_PASSWORD'] ?? '';
  delete process.env['PREP_PASSWORD'];
  if (text !== '') fromEnvironment = new Secret(text);
}

/**
 * The password given beforehand: the first line of `--password-file` (`-`: of standard input), else that of
 * PREP_PASSWORD. @throws PrepError `cannot-read`
 */
export async function givenPassword(file: string | undefined): Promise<Secret | undefined> {
  return file === undefined ? fromEnvironment : passwordIn(file);
}

/** The new password, from the first line of `--new-password-file`. @throws PrepError `cannot-read` */
export async function givenNewPassword(file: string | undefined): Promise<Secret | undefined> {
  return file === undefined ? undefined : passwordIn(file);
}

async function passwordIn(file: string): Promise<Secret> {
  const line = file === '-' ? await lineFrom(process.stdin) : await firstLine(file);
  if (line !== '') return new Secret(line);
  const name = file === '-' ? 'standard input' : file;
  throw new PrepError({
    code: 'cannot-read',
    file: name,
    what: 'password file',
    cause: 'its first line is empty',
    next: 'write the password there',
  });
}

async function firstLine(file: string): Promise<string> {
  const handle = await open(file).catch((error: unknown) => {
    throw cannotRead(file, 'password file', error);
  });
  try {
    return await lineFrom(handle.createReadStream({ autoClose: false }));
  } catch (error) {
    throw cannotRead(file, 'password file', error);
  } finally {
    await handle.close();
  }
}

/** A pipe gives a line in as many pieces as it likes. */
async function lineFrom(input: AsyncIterable<unknown>): Promise<string> {
  let bytes = Buffer.alloc(0);
  for await (const chunk of input) {
    bytes = Buffer.concat([bytes, Buffer.from(chunk as Buffer)]);
    if (bytes.includes(0x0a) || bytes.length > LIMIT) break;
  }
  return bytes.toString('utf8').split(/\r?\n/, 1)[0] ?? '';
}
