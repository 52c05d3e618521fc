import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';

/**
 * Lets any word of the server show that it is there, as ServerAliveInterval in ssh_config(5) has it. To ssh2 only the
 * answer to its own question does, which on a slow line stands behind all that is on its way there.
 */
export function heedAnyWord(client: Client, wire: Duplex): void {
  // oxlint-disable-next-line no-underscore-dangle -- ssh2 names its private parts so
  wire.on('data', () => (client as unknown as { readonly _resetKA?: () => void })._resetKA?.());
}
