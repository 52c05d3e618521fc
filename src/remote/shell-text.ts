import type { RemotePath } from '../core/remote-path.ts';
import { inQuotes, shellWord } from '../core/shell-word.ts';

/**
 * One word of POSIX shell that stands for these bytes (latin1 text), whatever they are.
 * @throws RangeError for NUL, which no shell word can hold
 */
export function quote(text: string): string {
  if (text.includes('\0')) throw new RangeError('a shell word cannot hold a NUL byte');
  return shellWord(text);
}

/**
 * One word of POSIX shell of which `printf` makes these bytes (latin1 text), NUL included. It begins with
 * nothing that looks like an option, and no digit follows an escape, for ksh93 would count it in.
 */
export function printfFormat(text: string): string {
  const format = text
    .replaceAll('\\', '\\\\')
    .replaceAll('%', '%%')
    // oxlint-disable-next-line no-control-regex -- NUL is what this is for
    .replace(/^-|\0[0-7]*/g, (run) => Array.from(run, octal).join(''));
  return inQuotes(format);
}

function octal(character: string): string {
  return `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`;
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

/** Text of characters that every login shell leaves alone within single quotes; `printf %b` gives it back. */
export function escapedForAnyShell(script: string): string {
  return script.replace(
    // oxlint-disable-next-line no-control-regex -- exactly those must go
    /['\\!\u0000-\u001f\u007f-\u00ff]/g,
    (character) => octal(character).replace('\\', '\\0'),
  );
}

/**
 * The longest command that is sent as such; dropbear takes 9,000 bytes, and everything longer rides
 * on standard input.
 */
export const COMMAND_LIMIT = 8000;

/**
 * What every script begins with: a clean environment, and `say`, which frames each answer by the marker. A start-up
 * file may have exported functions and options (SHELLOPTS, BASHOPTS), which bash takes over as sh too; and one that ends
 * in `exec zsh` leaves a zsh.
 * What prep makes is for the account alone; the account's own umask is kept in PREP_UMASK, for the programs it runs.
 */
export function preamble(marker: string): string {
  return `case \${ZSH_VERSION-} in ?*) emulate sh;; esac
case \${BASH_VERSION-} in ?*) unset -f $(declare -F); shopt -u failglob;; esac
M=${marker}
PATH=\${PATH:-/usr/bin:/bin}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin
LC_ALL=C
PREP_UMASK=\${PREP_UMASK-$(umask)}
export PATH LC_ALL PREP_UMASK
unset CDPATH ENV BASH_ENV POSIXLY_CORRECT QUOTING_STYLE GREP_OPTIONS
umask 077
set +e
set +u
set +f
set +C
set +x
say() { printf '\\n%s %s\\n' $M "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
`;
}

/**
 * cksum(1) where there is none (OpenWrt's busybox): the same checksum, by awk from the bytes that od or hexdump
 * spell out. Slow, some hundred thousand bytes a second, but never wrong. awk has no bitwise operations: a byte
 * is xored by halves, the checksum held in four bytes. PREP_SUMS then says so, for as long as the shell lives.
 */
export const SUMS = `
spell() { if has od; then od -An -v -tu1; else hexdump -v -e '16/1 "%u " "\\n"'; fi; }
sum_one() { spell | awk 'function x(a,b) { return X[int(a/16),int(b/16)]*16+X[a%16,b%16] }
function add(v,  i) { i=x(c3,v); c3=x(c2,T3[i]); c2=x(c1,T2[i]); c1=x(c0,T1[i]); c0=T0[i] }
BEGIN { for (a=0; a<16; a++) for (b=0; b<16; b++) { r=0; for (k=1; k<16; k*=2) if (int(a/k)%2 != int(b/k)%2) r+=k; X[a,b]=r }
for (v=0; v<256; v++) { t3=v; t2=t1=t0=0; for (k=0; k<8; k++) { top=t3>=128; t3=t3%128*2+(t2>=128); t2=t2%128*2+(t1>=128); t1=t1%128*2+(t0>=128); t0=t0%128*2
if (top) { t3=x(t3,4); t2=x(t2,193); t1=x(t1,29); t0=x(t0,183) } } T3[v]=t3; T2[v]=t2; T1[v]=t1; T0[v]=t0 } }
{ for (f=1; f<=NF; f++) add($f); n+=NF }
END { for (r=n; r>0; r=int(r/256)) add(r%256); printf "%.0f %.0f", (255-c3)*16777216+(255-c2)*65536+(255-c1)*256+255-c0, n }'; }
has cksum || { PREP_SUMS=own; cksum() { if [ $# = 0 ]; then sum_one; echo; else for f; do [ -r "$f" ] && { sum_one <"$f"; printf ' %s\\n' "$f"; }; done; fi; }; }
`;
