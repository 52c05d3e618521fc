import { build, type BuildOptions, type Plugin } from 'esbuild';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeCodeCache } from './code-cache.ts';

const PROGRAM = resolve('dist/program.cjs');
const TRAIN = '--code-cache';

/** ssh2 can carry HTTP, which prep does not do: loading node's own HTTP and TLS for it takes some milliseconds of every run. */
const withoutHttp: Plugin = {
  name: 'without-http',
  setup(now) {
    now.onLoad({ filter: /ssh2[/\\]lib[/\\]http-agents\.js$/ }, () => ({ contents: '' }));
  },
};

const COMMON: BuildOptions = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
  external: ['*.node', 'cpu-features', 'jiti'],
  alias: { '@inquirer/editor': './src/terminal/no-editor.ts' },
  plugins: [withoutHttp],
};

/** `import()` becomes `require()`, and `import.meta.url` the file's own. */
const COMMONJS: BuildOptions = {
  ...COMMON,
  format: 'cjs',
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': 'MODULE_URL' },
};

/** In dist/, the program is a file of its own beside main.cjs, run with its code cache. */
const apart: Plugin = {
  name: 'program-apart',
  setup(now) {
    now.onResolve({ filter: /^\.\/program\.ts$/ }, ({ path }) => ({ path, namespace: 'apart' }));
    now.onLoad({ filter: /.*/, namespace: 'apart' }, () => ({
      contents: `import { runCompiled } from './src/compiled.ts';
        export const { runProgram } = runCompiled(__dirname + '/program.cjs').exports;`,
      resolveDir: resolve('.'),
    }));
  },
};

if (process.argv[2] === TRAIN) await writeCodeCache(PROGRAM);
else await buildAll();

/** Makes dist/: the command (main.cjs, program.cjs and its code cache) and what programs import (index.js). */
async function buildAll(): Promise<void> {
  rmSync('dist', { recursive: true, force: true });
  mkdirSync('dist');
  await Promise.all([
    build({
      ...COMMONJS,
      entryPoints: ['src/main.ts'],
      outfile: 'dist/main.cjs',
      plugins: [apart],
    }),
    build({
      ...COMMONJS,
      entryPoints: ['src/program.ts'],
      outfile: PROGRAM,
      banner: { js: "const MODULE_URL=require('node:url').pathToFileURL(__filename).href;" },
    }),
    build({
      ...COMMON,
      entryPoints: ['src/index.ts'],
      outdir: 'dist',
      format: 'esm',
      splitting: true,
      banner: {
        js: 'const require=i=>{const m=process.getBuiltinModule(i);if(m)return m;throw new Error(i)},__filename=import.meta.filename,__dirname=import.meta.dirname;',
      },
    }),
  ]);
  train();
}

/** A run of its own, in a place of its own: prep does without a code cache where this fails. */
function train(): void {
  const folder = mkdtempSync(join(tmpdir(), 'prep-build-'));
  try {
    const env = { PATH: process.env['PATH'], HOME: folder, TMPDIR: folder };
    execFileSync(process.execPath, [process.argv[1]!, TRAIN], { env, stdio: 'pipe' });
  } catch (error) {
    process.stderr.write(`build: no code cache, so prep starts more slowly: ${String(error)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
