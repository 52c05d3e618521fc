import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './sshd.ts';

const NAME = 'PREP.TEST';

/** Why there can be no Kerberos realm here; undefined where there can. */
export const noRealm: string | undefined = ((): string | undefined => {
  const tools = ['krb5kdc', 'kdb5_util', 'kadmin.local', 'kinit', 'klist'];
  const missing = tools.filter(
    (tool) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0,
  );
  return missing.length > 0 ? `${missing.join(', ')} missing` : undefined;
})();

/** A Kerberos realm of its own on loopback, with one host: 127.0.0.1. */
export class Realm {
  readonly #folder: string;
  #kdc: ChildProcess | undefined;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes the realm and starts its KDC. @throws Error where it does not listen */
  static async start(): Promise<Realm> {
    const realm = new Realm(mkdtempSync(join(tmpdir(), 'prep-realm-')));
    const port = await freePort();
    realm.#configure(port);
    realm.#run('kdb5_util', ['create', '-s', '-r', NAME, '-P', 'master']);
    realm.#makePrincipal('host/127.0.0.1', realm.#path('host.keytab'));
    realm.#kdc = spawn('setpriv', ['--pdeathsig', 'KILL', 'krb5kdc', '-n', '-r', NAME], {
      env: { ...process.env, ...realm.#administration },
      stdio: 'ignore',
    });
    for (let waited = 0; !(await listens(port)); waited += 20) {
      if (waited > 10_000 || realm.#kdc.exitCode !== null) throw new Error('no KDC');
      await sleep(20);
    }
    return realm;
  }

  /** The environment of a program that is to know this realm. */
  get env(): Record<string, string> {
    return { KRB5_CONFIG: this.#path('krb5.conf') };
  }

  /** The environment of the sshd that is the host. */
  get hostEnv(): Record<string, string> {
    return { ...this.env, KRB5_KTNAME: this.#path('host.keytab') };
  }

  /** Gives a user a ticket; the environment that holds it is what is returned. */
  ticketFor(user: string): Record<string, string> {
    const keytab = this.#path(`${user}.keytab`);
    this.#makePrincipal(user, keytab);
    const env = { ...this.env, KRB5CCNAME: `FILE:${this.#path(`${user}.cache`)}` };
    this.#run('kinit', ['-k', '-t', keytab, `${user}@${NAME}`], env);
    return env;
  }

  stop(): void {
    this.#kdc?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  get #administration(): Record<string, string> {
    return { ...this.env, KRB5_KDC_PROFILE: this.#path('kdc.conf') };
  }

  #configure(port: number): void {
    mkdirSync(this.#path('db'));
    const lines = (name: string, text: string): void => writeFileSync(this.#path(name), text);
    lines(
      'krb5.conf',
      `[libdefaults]
 default_realm = ${NAME}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 ${NAME} = {
  kdc = 127.0.0.1:${port}
 }
[domain_realm]
 127.0.0.1 = ${NAME}
`,
    );
    lines(
      'kdc.conf',
      `[kdcdefaults]
 kdc_listen = 127.0.0.1:${port}
 kdc_tcp_listen = 127.0.0.1:${port}
[realms]
 ${NAME} = {
  database_name = ${this.#path('db/principal')}
  key_stash_file = ${this.#path('db/stash')}
 }
[logging]
 kdc = FILE:${this.#path('kdc.log')}
`,
    );
  }

  #makePrincipal(name: string, keytab: string): void {
    this.#run('kadmin.local', ['-r', NAME, 'addprinc', '-randkey', name]);
    this.#run('kadmin.local', ['-r', NAME, 'ktadd', '-k', keytab, name]);
  }

  #run(file: string, args: readonly string[], env = this.#administration): void {
    execFileSync(file, args, { env: { ...process.env, ...env }, stdio: 'pipe' });
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}
