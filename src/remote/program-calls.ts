import type { CommandChange, LoginShellChange } from '../core/plan.ts';
import { quote } from './shell-text.ts';

/** How often a command that runs on says that it does, in seconds. */
const HEARTBEAT = 15;

/**
 * How long a word from prep is waited for that needs one round trip, and how long one behind chsh, in seconds: a
 * laptop that vanished sends none, and sshd may take hours to notice. Whoever waits for the lock waits a bit longer.
 */
const [ONE_WORD, CONVERSATION] = [30, 60];

/**
 * The password for chsh is asked for while the changes are made, and kept from chsh until the new shell
 * is proven to start: it lies unread on descriptor 3, and then in a variable of this shell, which hands
 * it on by a printf of its own. Where printf is a program, whose words anybody can read, chsh's own
 * question is waited for instead. A shell that may have the password in its memory dumps no core.
 */
export const askEarly = `C=$(ulimit -S -c); { ulimit -S -c 0; } 2>/dev/null
case $(command -v printf) in printf) H=1; say password;; *) H=;; esac`;

/**
 * chsh(1) speaks for itself: what it asks is heard as it comes, and answered on descriptor 3. Where it failed, an
 * answer may lie there unread, which the shell would run as a command: it is read away, up to a line sent for that.
 */
export function loginShellCall(change: LoginShellChange, number: number, line: string): string {
  return [
    `said=$({ ${starting(change.after)} && note ${line}; } 2>&1); s=$?`,
    `[ -z "$H" ] || { watch ${ONE_WORD}; IFS= read -r P <&3; calm; }`,
    `if [ $s = 0 ]; then say asking ${number}; said=`,
    `if [ -n "$H" ]; then printf '%s\\n' "$P" | ${shellCommand(change)} 2>&1; s=$?; else watch ${CONVERSATION}; ${shellCommand(change)} <&3 2>&1; s=$?`,
    `[ $s = 0 ] || { say unread $M; ( while IFS= read -r l <&3 && [ "$l" != $M ]; do :; done ); }; calm; fi; fi; P=`,
    `say result ${number} $s; printf %s "$said"`,
  ].join('\n');
}

/**
 * A program that may take minutes, and says nothing that anybody waits for: so that the silence is not taken for a
 * dead connection, a second process says from time to time that it is busy. Of what it says, the end counts; it says it
 * into a file, for it may leave behind processes that go on having its output open (a service that it started). In mksh,
 * whose sleep is its own, no other signal ends that process before the sleep is over.
 */
export function commandCall({ argv, as }: CommandChange, number: number, line: string): string {
  const words = [...(as === 'sudo' ? ['sudo', '-n'] : []), ...argv].map(quote).join(' ');
  return [
    `said=$({ note ${line} && { true >"$R/said" || why "$R/said"; }; } 2>&1); s=$?`,
    `if [ $s = 0 ]; then ( while sleep ${HEARTBEAT} >/dev/null 2>&1; do say alive; done ) & h=$!`,
    `( trap - PIPE; umask "$PREP_UMASK"; [ -z "\${C-}" ] || ulimit -S -c "$C"; ${words} ) </dev/null >"$R/said" 2>&1; s=$?; { kill -KILL $h; wait $h; } 2>/dev/null`,
    `said=$(tail -n 5 "$R/said"); rm -f "$R/said"; fi`,
    `say result ${number} $s; printf '%s\\n' "$said"`,
  ].join('\n');
}

/** Proves a shell as an interactive login shell that runs one command; csh cannot be both. */
export function starting(shell: string): string {
  return `starts ${quote(shell)} ${shell.endsWith('csh') ? '-ic' : '-lic'}`;
}

/** The command that changes the login shell, for `sh`. */
export function shellCommand({ by, as, after }: LoginShellChange): string {
  const sudo = as === 'sudo' ? 'sudo -n ' : '';
  const user = as === 'self' ? '' : ' "$(id -un)"';
  return `${sudo}${by} -s ${quote(after)}${user}`;
}
