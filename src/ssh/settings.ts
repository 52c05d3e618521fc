import { join } from 'node:path';
import { label, parseDestination, type Destination } from '../core/destination.ts';
import { loginSettings, type LoginSettings } from './login-settings.ts';
import { algorithmSettings, beyondReach, type AlgorithmSettings } from './algorithms.ts';
import { networkSettings, type NetworkSettings } from './network-settings.ts';
import { expandFile, inHome, passwdEntry } from './tokens.ts';
import { beyondSsh2, type Beyond } from './beyond-ssh2.ts';
import { readSshConfig, type ConfigFlags, type SshConfig } from './ssh-config.ts';

/** How unknown host keys are treated; a changed one is refused whatever this says. */
export type HostKeyPolicy = 'ask' | 'accept-new' | 'strict';

/** A destination resolved through ssh_config and flags: all that dialling and logging in needs to know. */
export interface Settings extends Beyond, LoginSettings, NetworkSettings {
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
  /** A file of host keys that are never to be accepted. */
  readonly revokedHostKeys?: string;
  readonly hashKnownHosts: boolean;
  /** The hosts to go through, in order; they are resolved in turn. */
  readonly jump: readonly Destination[];
  /** A command to go through instead. */
  readonly proxyCommand?: string;
  /** Where there is no OpenSSH: what of ssh_config could not be understood without it. */
  readonly ignored?: SshConfig['ignored'];
  /** The socket of a control master that may be alive, and whether it must be (it was named with -S). */
  readonly controlPath?: { readonly socket: string; readonly required: boolean };
  readonly algorithms: AlgorithmSettings;
  /** What `ssh` itself is to be called with, before the host as typed, so that it means the same (-F, -l, -p). */
  readonly sshArguments: readonly string[];
}

/** What the command line says about reaching hosts. */
export interface SettingsFlags extends ConfigFlags {
  readonly hostKey: HostKeyPolicy;
  readonly knownHosts?: string;
  readonly controlPath?: string;
  readonly jump?: readonly Destination[];
}

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
  const config = await readSshConfig(destination, flags, home);
  const { first } = config;
  const user = destination.user ?? first('user') ?? passwdEntry().username;
  const port = flags.port ?? destination.port ?? Number(first('port') ?? 22);
  const alias = first('hostkeyalias');
  const address = first('hostname') ?? destination.host;
  const tokens = { address, host: destination.host, port, user, hostKeyAlias: alias, home };
  const login = loginSettings(config, tokens);
  const algorithms = algorithmSettings(config);
  const revoked = first('revokedhostkeys');
  const { opensshOnly, unused } = await beyondSsh2(config, login.identityFiles);
  return {
    destination,
    label: label({ user, host: destination.host }),
    user,
    address,
    port,
    ...(alias !== undefined && { hostKeyAlias: alias }),
    hostKeyPolicy: policy(flags.hostKey, first('stricthostkeychecking')),
    knownHosts: flags.knownHosts === undefined ? configured(config, home) : [flags.knownHosts],
    ...(revoked !== undefined &&
      revoked !== 'none' && { revokedHostKeys: expandFile(revoked, tokens) }),
    hashKnownHosts: first('hashknownhosts') === 'yes',
    ...wayThere(flags, first('proxyjump'), first('proxycommand')),
    ...login,
    ...networkSettings(config),
    algorithms,
    opensshOnly: [...opensshOnly, ...beyondReach(algorithms)],
    unused,
    ...(config.ignored !== undefined && { ignored: config.ignored }),
    ...controlPathOf(flags, first('controlpath')),
    sshArguments: config.sshArguments,
  };
}

/** `StrictHostKeyChecking` of ssh_config counts where the flag was left at its default; `no` is never honoured beyond accept-new. */
function policy(flag: HostKeyPolicy, configuredAs: string | undefined): HostKeyPolicy {
  if (flag !== 'ask' || configuredAs === undefined) return flag;
  if (configuredAs === 'true' || configuredAs === 'yes') return 'strict';
  return configuredAs === 'ask' ? 'ask' : 'accept-new';
}

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

function configured({ first }: SshConfig, home: string): string[] {
  const files = ['userknownhostsfile', 'globalknownhostsfile']
    .flatMap((name) => filesIn(first(name)))
    .filter((file) => file !== '' && file !== 'none')
    .map((file) => inHome(file, home));
  return files.length > 0 ? files : [join(home, '.ssh', 'known_hosts'), '/etc/ssh/ssh_known_hosts'];
}

/**
 * The names in what `ssh -G` prints of UserKnownHostsFile, which has lost their quotes. They are absolute, so a
 * piece that is not goes on with the name before it; a name with a blank before a slash cannot be told from two.
 */
function filesIn(text = ''): readonly string[] {
  const names: string[] = [];
  for (const piece of text.split(' ')) {
    if (/^(\/|~|none$)/.test(piece) || names.length === 0) names.push(piece);
    else names.push(`${names.pop()!} ${piece}`);
  }
  return names;
}
