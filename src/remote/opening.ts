import { randomBytes } from 'node:crypto';
import { COMMAND_LIMIT, openingCommand, preamble } from './shell-text.ts';

/** Shells to speak to: by its usual path, and by name where the login shell forbids paths (rbash). */
export const SHELLS = ['/bin/sh', 'sh'];

/** The first words of a conversation, fixed before there is a connection so that they can go out with the login. */
export interface Opening {
  readonly marker: string;
  readonly script: string;
  /** The whole command. */
  readonly command: string;
  /** Whether the script fits into the command; otherwise it follows on standard input. */
  readonly inline: boolean;
}

/** Prepares a conversation that begins with `script`. */
export function prepareOpening(script: string): Opening {
  return openingFor(SHELLS[0]!, randomBytes(8).toString('hex'), script);
}

/** The same for one of `SHELLS`, framed by a marker (hexadecimal). */
export function openingFor(shell: string, marker: string, script: string): Opening {
  const ready = `${preamble(marker)}say ready\n`;
  const whole = openingCommand(shell, `${ready}${script}\nsay end\n`);
  const inline = whole.length <= COMMAND_LIMIT;
  return { marker, script, inline, command: inline ? whole : openingCommand(shell, ready) };
}
