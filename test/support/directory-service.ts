import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { accountEntries, knownBy } from './account-entries.ts';
import { sharedLibrary } from './shared-library.ts';
import type { SshdOptions } from './sshd.ts';

/** Why no directory service can be started here; undefined where one can. */
export const noDirectoryService: string | undefined =
  process.getuid?.() !== 0
    ? 'not root'
    : ['/usr/sbin/slapd', '/usr/sbin/nslcd'].every((path) => existsSync(path)) &&
        sharedLibrary('libnss_ldap.so.2') !== undefined
      ? undefined
      : 'slapd, nslcd or libnss-ldapd is not installed';

/** An LDAP server (slapd) that has some accounts of this machine, and how a server asks it for them (nslcd, NSS). */
export interface DirectoryService {
  /** What a server's own machine must be like: it knows the accounts from LDAP, and from nowhere else. */
  readonly options: Required<Pick<SshdOptions, 'files' | 'mounts'>>;
  stop(): void;
}

/** Moves an account's entries of passwd, shadow and group into a directory, for whoever is started with its `options`. */
export async function startDirectoryService(name: string): Promise<DirectoryService> {
  const folder = mkdtempSync(join(tmpdir(), 'prep-ldap-'));
  const at = (file: string): string => join(folder, file);
  const socket = at('ldapi');
  const url = `ldapi://${encodeURIComponent(socket)}`;
  for (const one of ['db', 'run']) mkdirSync(at(one), { mode: 0o755 });
  const schemas = ['core', 'cosine', 'nis'].map((one) => `include /etc/ldap/schema/${one}.schema`);
  const database = ['database mdb', 'suffix dc=example', `directory ${at('db')}`];
  const modules = ['modulepath /usr/lib/ldap', 'moduleload back_mdb'];
  write(at('slapd.conf'), [...modules, ...schemas, ...database]);
  write(at('ldif'), ldifOf(name));
  // So that pam_unix asks for the shadow entry and is given a password; without that, only pam_ldap could judge one.
  const mapped = [
    'nss_min_uid 0',
    'map passwd userPassword "x"',
    'map shadow userPassword userPassword',
  ];
  write(at('nslcd.conf'), ['uid 0', 'gid 0', `uri ${url}`, 'base dc=example', ...mapped]);
  execFileSync('slapadd', ['-f', at('slapd.conf'), '-l', at('ldif')], { stdio: 'pipe' });
  const running = [start(['slapd', '-f', at('slapd.conf'), '-h', url, '-d', '0'])];
  const stop = (): void => {
    running.forEach((one) => one.kill('SIGKILL'));
    rmSync(folder, { recursive: true, force: true });
  };
  mkdirSync('/run/nslcd', { recursive: true, mode: 0o755 });
  const mounted = `mount --bind ${at('nslcd.conf')} /etc/nslcd.conf && mount --bind ${at('run')} /run/nslcd`;
  const place = ['unshare', '--mount', 'sh', '-c', `${mounted} && exec nslcd -n`];
  try {
    await appears(socket);
    running.push(start(place));
    await appears(at('run/socket'));
  } catch (error) {
    stop();
    throw error;
  }
  return { options: { files: knownBy('ldap', name), mounts: [[at('run'), '/run/nslcd']] }, stop };
}

function start([command = '', ...args]: readonly string[]): ChildProcess {
  return spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], { stdio: 'ignore' });
}

async function appears(socket: string): Promise<void> {
  for (let waited = 0; waited < 10_000; waited += 10) {
    if (existsSync(socket)) return;
    await sleep(10);
  }
  throw new Error(`nobody listens at ${socket}`);
}

/** An account's entries as LDIF (RFC 2849, RFC 2307). */
function ldifOf(name: string): string[] {
  const { passwd, shadow } = accountEntries(name);
  const [, , uid, gid, gecos, home, shell] = passwd.own.split(':');
  const [, password] = shadow.own.split(':');
  const classes = ['account', 'posixAccount', 'shadowAccount'].map((one) => `objectClass: ${one}`);
  const top = [
    'dn: dc=example',
    'objectClass: dcObject',
    'objectClass: organization',
    'dc: example',
    'o: Example',
  ];
  const account = [
    `dn: uid=${name},dc=example`,
    ...classes,
    `uid: ${name}`,
    `cn: ${gecos}`,
    `uidNumber: ${uid}`,
    `gidNumber: ${gid}`,
    `homeDirectory: ${home}`,
    `loginShell: ${shell}`,
    `userPassword: {CRYPT}${password}`,
  ];
  const group = [
    `dn: cn=${name},dc=example`,
    'objectClass: posixGroup',
    `cn: ${name}`,
    `gidNumber: ${gid}`,
  ];
  return [...top, '', ...account, '', ...group];
}

function write(file: string, lines: readonly string[]): void {
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
}
