import type { RemotePath } from '../core/remote-path.ts';

/**
 * One word of POSIX shell that stands for these bytes (latin1 text), whatever they are.
 * @throws RangeError for NUL, which no shell word can hold
 */
export function quote(text: string): string {
  if (text.includes('\0')) throw new RangeError('a shell word cannot hold a NUL byte');
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A path as a shell word that no command takes for an option, read from the home directory. */
export function pathWord(path: RemotePath): string {
  return quote(path.startsWith('/') ? path : `./${path}`);
}

/**
 * A command that runs `script` in a POSIX shell and then leaves another one reading standard input,
 * whatever the login shell is. bash, zsh, fish, csh and their kin agree only on words in single
 * quotes that hold no quote, backslash pair, `!` or line feed; everything else travels as the octal
 * escapes of printf's %b.
 */
export function openingCommand(shell: string, script: string): string {
  const exec = shell.startsWith('/') ? 'exec ' : '';
  return `${exec}${shell} -c 'eval "$(command printf %b "$1")"; exec ${shell}' ${shell} '${escapedForAnyShell(script)}'`;
}

/** Characters that every login shell leaves alone within single quotes. */
function escapedForAnyShell(script: string): string {
  return script.replace(
    // oxlint-disable-next-line no-control-regex -- exactly those must go
    /['\\!\u0000-\u001f\u007f-\u00ff]/g,
    (character) => `\\0${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}

/**
 * The longest command that is sent as such; dropbear takes 9,000 bytes, and everything longer rides
 * on standard input.
 */
export const COMMAND_LIMIT = 8000;

/**
 * What every script begins with: a clean environment, and `say`, which frames each answer by the marker. A start-up
 * file may have exported functions, which bash takes over as sh too; and one that ends in `exec zsh` leaves a zsh.
 */
export function preamble(marker: string): string {
  return `case \${ZSH_VERSION-} in ?*) emulate sh;; esac
case \${BASH_VERSION-} in ?*) unset -f $(declare -F);; esac
M=${marker}
PATH=\${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
unset CDPATH ENV BASH_ENV POSIXLY_CORRECT
umask 077
set +e
set +u
set +f
say() { printf '\\n%s %s\\n' $M "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
`;
}
