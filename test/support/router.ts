import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomPassword } from './account.ts';
import { makeBusyboxRoot, noBusyboxRoot } from './busybox-root.ts';
import { compileLibrary, noCompiler } from './compiled-library.ts';
import { freePort } from './sshd.ts';

const DROPBEAR = '/usr/sbin/dropbear';

/** Why there can be no such router here; undefined where there can. */
export const noRouter: string | undefined =
  noBusyboxRoot ??
  (existsSync(DROPBEAR) ? undefined : 'dropbear is not installed') ??
  noCompiler ??
  (spawnSync('sh', ['-c', 'command -v openssl']).status === 0 ? undefined : 'openssl is missing');

/** A router as OpenWrt makes one: busybox, dropbear, and root as the only user. */
export interface Router {
  readonly destination: string;
  readonly password: string;
  /** Its root directory. */
  readonly root: string;
  /** root's. */
  readonly home: string;
  stop(): void;
}

/** Starts one. @throws Error with dropbear's own words */
export async function startRouter(): Promise<Router> {
  // What OpenWrt's busybox is built without.
  const root = makeBusyboxRoot(['cksum', 'od', 'stat', 'getent', 'timeout']);
  const port = await freePort();
  const password = randomPassword();
  furnish(root, password);
  const mounts = `mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc"`;
  const inRoot = 'exec chroot "$0" /bin/env LD_PRELOAD=/lib/keys.so "$@"';
  const command = ['/usr/sbin/dropbear', '-F', '-E', '-R', '-p', `127.0.0.1:${port}`];
  const own = ['unshare', '--mount', 'sh', '-c', `${mounts} && ${inRoot}`, root, ...command];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...own], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const stop = (): void => {
    child.kill('SIGKILL');
    rmSync(root, { recursive: true, force: true });
  };
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString('utf8')));
  for (let waited = 0; !/Not backgrounding/.test(said); waited += 20) {
    if (waited > 10_000 || child.exitCode !== null) {
      stop();
      throw new Error(`dropbear did not start: ${said}`);
    }
    await sleep(20);
  }
  return { destination: `root@127.0.0.1:${port}`, password, root, home: join(root, 'root'), stop };
}

function furnish(root: string, password: string): void {
  const at = (name: string): string => join(root, name);
  for (const name of ['root', 'etc/dropbear', 'usr/sbin', 'var/log', 'var/run'])
    mkdirSync(at(name), { recursive: true, mode: 0o755 });
  copyFileSync(DROPBEAR, at(DROPBEAR));
  const linked = execFileSync('ldd', [DROPBEAR], { encoding: 'utf8' });
  for (const [file] of linked.matchAll(/\/[^\s]+/g)) {
    mkdirSync(dirname(at(file)), { recursive: true });
    copyFileSync(file, at(file));
  }
  compileLibrary('openwrt-keys', at('lib/keys.so'));
  const hash = execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: password });
  const files = {
    passwd: 'root:x:0:0:root:/root:/bin/ash\n',
    group: 'root:x:0:\n',
    shadow: `root:${String(hash).trim()}:0:0:99999:7:::\n`,
    shells: '/bin/ash\n',
    openwrt_release: "DISTRIB_ID='OpenWrt'\n",
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(at(`etc/${name}`), text);
}
