import { execFile } from 'node:child_process';
import { access } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { label, parseDestination, type Destination } from '../core/destination.ts';
import { PrepError } from '../core/problem.ts';

/** How unknown host keys are treated; a changed one is refused whatever this says. */
export type HostKeyPolicy = 'ask' | 'accept-new' | 'strict';

/** A destination resolved through ssh_config and flags: all that dialling and logging in needs to know. */
export interface Settings {
  readonly destination: Destination;
  /** `alice@web1`, as prompts name the account: without a port, as ssh(1) does. */
  readonly label: string;
  readonly user: string;
  /** The name or address to dial. */
  readonly address: string;
  readonly port: number;
  /** The name under which known_hosts has the host: HostKeyAlias if there is one, which then stands without a port. */
  readonly hostKeyAlias?: string;
  readonly hostKeyPolicy: HostKeyPolicy;
  /** Where host keys are looked up; the first is where new ones are remembered. */
  readonly knownHosts: readonly string[];
  readonly hashKnownHosts: boolean;
  /** The hosts to go through, in order; they are resolved in turn. */
  readonly jump: readonly Destination[];
  /** A command to go through instead. */
  readonly proxyCommand?: string;
  /** Private keys that ssh_config names for this host; OpenSSH's default ones are not among them. */
  readonly identityFiles: readonly string[];
  /** The socket of a control master that may be alive, and whether it must be (it was named with -S). */
  readonly controlPath?: { readonly socket: string; readonly required: boolean };
  /** Milliseconds until a silent host counts as absent. */
  readonly connectTimeout: number;
}

/** What the command line says about reaching hosts. */
export interface SettingsFlags {
  readonly port?: number;
  readonly hostKey: HostKeyPolicy;
  readonly knownHosts?: string;
  readonly sshConfig?: string;
  readonly controlPath?: string;
  readonly jump?: readonly Destination[];
}

/** How long a host may stay silent where nobody says otherwise, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;

/**
 * Resolves a destination. `ssh -G` is the truth where OpenSSH is installed (Host, Match, Include, tokens);
 * flags beat it; plain defaults stand in where there is no OpenSSH.
 * @throws PrepError `usage` where ssh rejects the configuration
 */
export async function resolveSettings(
  destination: Destination,
  flags: SettingsFlags,
  home: string,
): Promise<Settings> {
  const config = await askSsh(destination, { ...flags, ...(await configOf(home, flags)) });
  const first = (name: string): string | undefined => config.get(name)?.[0];
  const user = destination.user ?? first('user') ?? userInfo().username;
  const port = flags.port ?? destination.port ?? Number(first('port') ?? 22);
  const alias = first('hostkeyalias');
  const seconds = Number(first('connecttimeout'));
  return {
    destination,
    label: label({ user, host: destination.host }),
    user,
    address: first('hostname') ?? destination.host,
    port,
    ...(alias !== undefined && { hostKeyAlias: alias }),
    hostKeyPolicy: policy(flags.hostKey, first('stricthostkeychecking')),
    knownHosts: flags.knownHosts === undefined ? configured(config, home) : [flags.knownHosts],
    hashKnownHosts: first('hashknownhosts') === 'yes',
    ...wayThere(flags, first('proxyjump'), first('proxycommand')),
    identityFiles: (config.get('identityfile') ?? [])
      .filter((file) => !DEFAULT_IDENTITY.test(file))
      .map((file) => inHome(file, home)),
    ...controlPathOf(flags, first('controlpath')),
    connectTimeout: seconds > 0 ? seconds * 1000 : CONNECT_TIMEOUT,
  };
}

/** `StrictHostKeyChecking` of ssh_config counts where the flag was left at its default; `no` is never honoured beyond accept-new. */
function policy(flag: HostKeyPolicy, configuredAs: string | undefined): HostKeyPolicy {
  if (flag !== 'ask' || configuredAs === undefined) return flag;
  if (configuredAs === 'true' || configuredAs === 'yes') return 'strict';
  return configuredAs === 'ask' ? 'ask' : 'accept-new';
}

/** What OpenSSH tries where no IdentityFile is configured. */
const DEFAULT_IDENTITY = /^~\/\.ssh\/id_(rsa|ecdsa|ecdsa_sk|ed25519|ed25519_sk|xmss|dsa)$/;

function wayThere(
  { jump = [] }: SettingsFlags,
  proxyJump: string | undefined,
  proxyCommand: string | undefined,
): Pick<Settings, 'jump' | 'proxyCommand'> {
  if (jump.length > 0) return { jump };
  if (proxyJump !== undefined && proxyJump !== 'none') {
    return { jump: proxyJump.split(',').map(parseDestination) };
  }
  if (proxyCommand === undefined || proxyCommand === 'none') return { jump: [] };
  return { jump: [], proxyCommand };
}

function controlPathOf(
  { controlPath }: SettingsFlags,
  configuredAs: string | undefined,
): Pick<Settings, 'controlPath'> {
  if (controlPath !== undefined) return { controlPath: { socket: controlPath, required: true } };
  if (configuredAs === undefined || configuredAs === 'none') return {};
  return { controlPath: { socket: configuredAs, required: false } };
}

function configured(config: ReadonlyMap<string, readonly string[]>, home: string): string[] {
  const files = ['userknownhostsfile', 'globalknownhostsfile']
    .flatMap((name) => config.get(name)?.[0]?.split(' ') ?? [])
    .filter((file) => file !== '' && file !== 'none')
    .map((file) => inHome(file, home));
  return files.length > 0 ? files : [join(home, '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'];
}

/** OpenSSH takes the home directory from the passwd entry; whoever sets HOME to another means that one. */
function inHome(file: string, home: string): string {
  const real = userInfo().homedir;
  if (file.startsWith('~/')) return join(home, file.slice(2));
  return file.startsWith(`${real}/`) ? join(home, file.slice(real.length)) : file;
}

async function configOf(
  home: string,
  { sshConfig }: SettingsFlags,
): Promise<{ sshConfig?: string }> {
  if (sshConfig !== undefined || home === userInfo().homedir) return {};
  const own = join(home, '.ssh', 'config');
  const system = '/etc/ssh/ssh_config';
  for (const file of [own, system]) {
    const readable = await access(file).then(
      () => true,
      () => false,
    );
    if (readable) return { sshConfig: file };
  }
  return {};
}

/** Runs `ssh -G`: one `name value` a line, names in lower case. An empty map where there is no ssh. */
async function askSsh(
  destination: Destination,
  flags: SettingsFlags,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const args = ['-G'];
  if (flags.sshConfig !== undefined) args.push('-F', flags.sshConfig);
  if (destination.user !== undefined) args.push('-l', destination.user);
  const port = flags.port ?? destination.port;
  if (port !== undefined) args.push('-p', String(port));
  const { error, stdout, stderr } = await run('ssh', [...args, '--', destination.host]);
  if (error === null) return parseSettings(stdout);
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
  const said = stderr.trim().split('\n').at(-1) ?? '';
  throw new PrepError({ code: 'usage', text: `ssh rejects its configuration: ${said}` }, error);
}

function parseSettings(text: string): Map<string, string[]> {
  const config = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space < 0) continue;
    const name = line.slice(0, space);
    config.set(name, [...(config.get(name) ?? []), line.slice(space + 1)]);
  }
  return config;
}

function run(
  command: string,
  args: readonly string[],
): Promise<{ error: Error | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(command, args, { timeout: 10_000 }, (error, stdout, stderr) => {
      resolve({ error, stdout, stderr });
    });
    child.stdin?.end();
  });
}
