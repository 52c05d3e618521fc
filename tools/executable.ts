import { build } from 'esbuild';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

const require = createRequire(import.meta.url);

/** Where node looks for a program within itself; see its documentation, "Single executable applications". */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** ssh2's optional native parts stay outside, and are not there; `require` as node has it here would warn of that. */
const REQUIRE =
  'require=i=>{const m=process.getBuiltinModule(i);if(m)return m;throw new Error(i)};';

/** Why no single executable can be made here; undefined where one can. */
export const noExecutable: string | undefined = whyNot();

/**
 * Makes prep one file: a copy of the node that runs this, with prep and its dotfiles within. It runs on
 * machines of the same system and processor. Takes the sources from the working directory.
 * @throws Error with what a tool said
 */
export async function buildExecutable(file: string): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  const folder = mkdtempSync(join(resolve(dirname(file)), '.prep-'));
  try {
    const program = join(folder, 'prep');
    const blob = await makeBlob(folder);
    copyFileSync(process.execPath, program);
    prepareToInject(program);
    inject(program, blob);
    renameSync(program, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * prep as one CommonJS file, which is what node takes; every module in it still runs only when it is needed. So does
 * what reads configurations in TypeScript, which is 1.6 MB of it.
 */
async function makeBlob(folder: string): Promise<string> {
  const [main, output, config] = ['prep.cjs', 'blob', 'sea.json'].map((name) => join(folder, name));
  await build({
    entryPoints: ['src/main.ts'],
    outfile: main!,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    external: ['*.node', 'cpu-features'],
    alias: { '@inquirer/editor': './src/terminal/no-editor.ts', jiti: 'jiti/static' },
    define: { 'import.meta.url': 'undefined' },
    supported: { 'dynamic-import': false },
    banner: { js: REQUIRE },
  });
  const assets = readdirSync('dotfiles').map((name) => [`dotfiles/${name}`, `dotfiles/${name}`]);
  const manner = { disableExperimentalSEAWarning: true, useCodeCache: true };
  const sea = { main, output, ...manner, assets: Object.fromEntries(assets) as object };
  writeFileSync(config!, JSON.stringify(sea));
  execFileSync(process.execPath, ['--experimental-sea-config', config!], { stdio: 'pipe' });
  return output!;
}

/** Without the names of node's own functions the file is a tenth smaller. A Mac's signature would not be true any more. */
function prepareToInject(program: string): void {
  if (process.platform === 'darwin') execFileSync('codesign', ['--remove-signature', program]);
  else spawnSync('strip', [program]);
}

function inject(program: string, blob: string): void {
  const postject = require.resolve('postject/dist/cli.js');
  const mac = process.platform === 'darwin';
  const words = [program, 'NODE_SEA_BLOB', blob, '--sentinel-fuse', FUSE];
  if (mac) words.push('--macho-segment-name', 'NODE_SEA');
  execFileSync(process.execPath, [postject, ...words], { stdio: 'pipe' });
  if (mac) execFileSync('codesign', ['--sign', '-', program]);
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux' && process.platform !== 'darwin') return 'not Linux or macOS';
  const fit = readFileSync(process.execPath).includes(FUSE);
  return fit ? undefined : `${process.execPath} cannot hold a program within itself`;
}
