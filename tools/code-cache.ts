import { writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import type { ReadStream } from 'node:tty';
import type * as Program from '../src/program.ts';
import { codeCacheOf, runCompiled } from '../src/compiled.ts';

/**
 * Has a bundle do its usual work once, the demonstration at a terminal and a question for a password, and writes
 * what V8 compiled on the way beside it. Prints to standard output. @throws Error where that work fails
 */
export async function writeCodeCache(bundle: string): Promise<void> {
  const { exports: program, script } = runCompiled<typeof Program>(bundle);
  Object.assign(process.stdout, { isTTY: true, columns: 100, rows: 30 });
  const status = await program.runProgram(['demo']);
  if (status !== 0) throw new Error(`the demonstration ended with ${status}`);
  await answerPassword(program);
  writeFileSync(codeCacheOf(bundle), script.createCachedData());
}

async function answerPassword({ promptAt }: typeof Program): Promise<void> {
  const input = Object.assign(new PassThrough(), {
    setRawMode: () => input,
    ref: () => input,
    unref: () => input,
  });
  const { prompter, close } = await promptAt(input as unknown as ReadStream, { yes: false });
  // What is typed before the question stands there is dropped.
  const typing = setInterval(() => input.write('secret\r'), 50);
  await prompter.password("alice@web1's password:");
  clearInterval(typing);
  close();
}
