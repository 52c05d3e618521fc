import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Why nothing written in C can be compiled here; undefined where it can. */
export const noCompiler: string | undefined =
  spawnSync('sh', ['-c', 'command -v cc']).status === 0 ? undefined : 'cc is missing';

/** Compiles the `.c` file of that name, beside this one, to a shared library. @throws Error with the compiler's words */
export function compileLibrary(name: string, file: string, flags: readonly string[] = []): void {
  const source = join(import.meta.dirname, `${name}.c`);
  const usual = ['-shared', '-fPIC', '-O1', '-Wall'];
  execFileSync('cc', [...usual, '-o', file, source, ...flags], { stdio: 'pipe' });
}
