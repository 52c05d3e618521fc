import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileLibrary, noCompiler } from './compiled-library.ts';
import type { Laptop } from './laptop.ts';

const MODULE = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm.so',
  '/usr/lib/pkcs11/libsofthsm2.so',
].find((path) => existsSync(path));

/** Why there can be no PKCS#11 token here; undefined where there can. */
export const noToken: string | undefined =
  MODULE === undefined
    ? 'softhsm2 is not installed'
    : (missing('softhsm2-util') ?? missing('pkcs11-tool'));

/** A PKCS#11 token with one key, as a smart card would be. */
export interface Token {
  /** For `PKCS11Provider`. */
  readonly module: string;
  readonly pin: string;
  /** The public key that it holds, as `type blob`. */
  readonly publicKey: string;
  /** The environment in which the module finds the token. */
  readonly env: Readonly<Record<string, string>>;
}

/** Makes a token that lies on a laptop. */
export function makeToken(laptop: Laptop): Token {
  const pin = '471108';
  const module = MODULE!;
  const conf = laptop.path('softhsm2.conf');
  mkdirSync(laptop.path('tokens'), { recursive: true });
  laptop.write(
    'softhsm2.conf',
    `directories.tokendir = ${laptop.path('tokens')}\nobjectstore.backend = file\n`,
  );
  const env = { SOFTHSM2_CONF: conf };
  const run = (file: string, ...args: string[]): string =>
    execFileSync(file, args, { env: { ...laptop.env(), ...env }, encoding: 'utf8', stdio: 'pipe' });
  run('softhsm2-util', '--init-token', '--free', '--label', 'card', '--pin', pin, '--so-pin', pin);
  const making = ['--keypairgen', '--key-type', 'EC:prime256v1', '--id', '01', '--label', 'key'];
  run('pkcs11-tool', '--module', module, '--login', '--pin', pin, ...making);
  const [type = '', blob = ''] = run('ssh-keygen', '-D', module).split(' ');
  return { module, pin, publicKey: `${type} ${blob.trim()}`, env };
}

/** Why there can be no security key here; undefined where there can. */
export const noSecurityKey: string | undefined =
  noCompiler ??
  (existsSync('/usr/include/openssl/ec.h') ? undefined : 'libssl-dev is not installed');

/** Compiles the security key of software-key.c; gives the file for `SecurityKeyProvider`, once a process. */
export function securityKeyProvider(): string {
  if (provider !== undefined) return provider;
  const folder = mkdtempSync(join(tmpdir(), 'prep-security-key-'));
  const file = join(folder, 'software-key.so');
  // OpenSSL calls its functions for elliptic curves old; OpenSSH itself uses them.
  compileLibrary('software-key', file, ['-Wno-deprecated-declarations', '-lcrypto']);
  process.on('exit', () => spawnSync('rm', ['-rf', folder]));
  return (provider = file);
}
let provider: string | undefined;

function missing(tool: string): string | undefined {
  const found = spawnSync('sh', ['-c', `command -v ${tool}`]).status === 0;
  return found ? undefined : `${tool} is not installed`;
}
