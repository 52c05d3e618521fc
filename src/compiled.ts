import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

/** Packages that are not in the bundle. ssh2's optional native parts are neither: it does without. */
const OUTSIDE = ['jiti'];

/** A CommonJS bundle that has run. */
export interface Compiled<T> {
  readonly exports: T;
  readonly script: Script;
}

/**
 * Runs a bundle (a CommonJS module, in ASCII) with V8's code cache, if the build left one for this very node beside
 * it: nearly half of the CPU time of a short run is otherwise spent on compiling. V8 ignores a cache that does
 * not fit. @throws Error where there is no such file
 */
export function runCompiled<T>(file: string): Compiled<T> {
  const source = readFileSync(file, 'latin1');
  const cachedData = ifThere(codeCacheOf(file));
  const script = new Script(
    `(function(exports,require,module,__filename,__dirname){${source}\n})`,
    { filename: file, ...(cachedData !== undefined && { cachedData }) },
  );
  const module = { exports: {} as T };
  const body = script.runInThisContext() as (...scope: unknown[]) => void;
  body(module.exports, requireFor(file), module, file, dirname(file));
  return { exports: module.exports, script };
}

/** Where the code cache of a bundle lies. */
export function codeCacheOf(file: string): string {
  return `${file}.${process.version}-${process.platform}-${process.arch}.cache`;
}

function requireFor(file: string): (name: string) => unknown {
  return (name) => {
    const builtin: unknown = process.getBuiltinModule(name);
    if (builtin !== undefined) return builtin;
    if (OUTSIDE.includes(name)) return createRequire(file)(name);
    throw new Error(`${name} is not part of prep`);
  };
}

function ifThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
