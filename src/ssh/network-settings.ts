import type { SshConfig } from './ssh-config.ts';

/** What ssh_config says about reaching a host and staying there. */
export interface NetworkSettings {
  /** Milliseconds until a silent host counts as absent. */
  readonly connectTimeout: number;
  /** How often a host that cannot be reached is dialled, a second apart. */
  readonly connectionAttempts: number;
  /** Of IP; undefined for either. */
  readonly addressFamily?: 4 | 6;
  /** Where to dial from: an address or name of this machine, or one of its interfaces. */
  readonly bindAddress?: string;
  readonly bindInterface?: string;
  /** A connection that is silent for `count` times `interval` milliseconds counts as broken. */
  readonly keepAlive: { readonly interval: number; readonly count: number };
}

/** How long a host may stay silent where nobody says otherwise, in milliseconds. */
const CONNECT_TIMEOUT = 10_000;

/** Where ssh_config does not say: a run that hangs helps nobody. */
const KEEP_ALIVE = { interval: 15_000, count: 3 };

/** Makes sense of what ssh_config says about the network. */
export function networkSettings({ first }: SshConfig): NetworkSettings {
  const number = (keyword: string): number => Number(first(keyword)) || 0;
  const family = { inet: 4, inet6: 6 }[first('addressfamily') ?? 'any'] as 4 | 6 | undefined;
  const [bindAddress, bindInterface] = [first('bindaddress'), first('bindinterface')];
  return {
    connectTimeout: number('connecttimeout') * 1000 || CONNECT_TIMEOUT,
    connectionAttempts: number('connectionattempts') || 1,
    ...(family !== undefined && { addressFamily: family }),
    ...(bindAddress !== undefined && { bindAddress }),
    ...(bindInterface !== undefined && { bindInterface }),
    keepAlive: {
      interval: number('serveraliveinterval') * 1000 || KEEP_ALIVE.interval,
      count: number('serveralivecountmax') || KEEP_ALIVE.count,
    },
  };
}
