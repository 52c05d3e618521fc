import type { Wishes } from './world.ts';

/** What the choice between the two ways of speaking SSH depends on. */
export interface TransportChoice {
  readonly wanted: Wishes['transport'];
  /** What ssh_config asks for that OpenSSH alone can do, as `Settings` names it. */
  readonly opensshOnly: readonly string[];
  /** The type of the key to log in with, such as `ssh-ed25519`; undefined where there is none. */
  readonly keyType: string | undefined;
  /** Whether the user holds a Kerberos ticket, without which GSSAPI lets nobody in. */
  readonly ticket: boolean;
}

/** Who speaks SSH, and what speaks for OpenSSH. */
export interface Transport {
  readonly speaker: 'ssh2' | 'openssh';
  readonly because: readonly string[];
}

const GSSAPI = /gssapi/i;

/** Allowed, but nothing that the login depends on: another method lets the user in as well. */
const OPTIONAL = /^HostbasedAuthentication$/;

/** Whether it depends on a Kerberos ticket who is to speak SSH. */
export function dependsOnTicket({
  wanted,
  opensshOnly,
}: Pick<TransportChoice, 'wanted' | 'opensshOnly'>): boolean {
  return wanted === 'auto' && opensshOnly.some((name) => GSSAPI.test(name));
}

/** Chooses between ssh2, which is quicker, and OpenSSH, which can do everything. */
export function chooseTransport(choice: TransportChoice): Transport {
  const { wanted, opensshOnly, keyType, ticket } = choice;
  if (wanted !== 'auto') return { speaker: wanted, because: [] };
  const because = opensshOnly
    .filter((name) => ticket || !GSSAPI.test(name))
    .filter((name) => !OPTIONAL.test(name));
  if (keyType?.startsWith('sk-')) because.push(`a security key (${keyType})`);
  return { speaker: because.length > 0 ? 'openssh' : 'ssh2', because };
}
