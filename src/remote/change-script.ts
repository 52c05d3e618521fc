import type { Entry } from '../core/facts.ts';
import type { Change, EntryChange } from '../core/plan.ts';
import type { RemotePath } from '../core/remote-path.ts';
import type { Applying } from './account.ts';
import { journalLine, keepsCopy, keptAt, runFolder, sentTo, temporaryAt } from './journal.ts';
import { beginning, LEAVING } from './lock.ts';
import { askEarly, commandCall, loginShellCall, starting } from './program-calls.ts';
import { pathWord, quote, SUMS } from './shell-text.ts';

/** How many bytes one shell word may hold: some shells run printf(1) as a program, whose words are limited. */
const WORD = 32 * 1024;

/**
 * How much a shell on trial may print, in blocks of 512 bytes (bash takes twice that): its start-up files may have no
 * end, and would fill the disk.
 */
const PRINTED = 128 * 1024;

/** Exit statuses of one change within the script. */
export const STALE = 10;
/** The wanted login shell does not start. */
export const NO_START = 11;
/** Another run has brought it about in the meantime. */
export const ALREADY = 12;

/**
 * What a change is made of. `ready FILE MODE TIME SUM SIZE` checks what was written beside its place, and gives it mode
 * and time; `is PATH BEFORE AFTER` compares what stands there with what was shown, and with what is wanted; `keep`
 * gives it a second name, which costs nothing and still has what others write into it until it is replaced;
 * `note` puts the change into the run's journal, before it is made, on a line of its own even after one that a full
 * disk cut off; `place` renames, a link from elsewhere where it would lead to what it replaces, which GNU's mv takes for
 * the same file. `why` makes cat(1) say why a file cannot be written, of which dash only says "I/O
 * error"; `starts SHELL OPTIONS` proves a shell, and ends one that hangs with a signal that it cannot ignore;
 * `watch SECONDS` ends this shell itself after a time, unless `calm` comes before.
 */
const FUNCTIONS = `
trap '' HUP PIPE
octal() { m=$1; while [ \${#m} -gt 4 ]; do m=\${m#?}; done; while :; do case $m in 0?*) m=\${m#0};; *) break;; esac; done; echo "$m"; }
if stat -c %a / >/dev/null 2>&1; then mode() { stat -c %a "$1"; }
elif stat -f %p / >/dev/null 2>&1; then mode() { octal "$(stat -f %p "$1")"; }
else mode() { m=$(ls -ldn "$1"); h=0; o=; for k in 4 2 1; do m=\${m#?}; b=0
case $m in r*) b=4;; esac; m=\${m#?}; case $m in w*) b=$((b+2));; esac; m=\${m#?}; case $m in [xst]*) b=$((b+1));; esac
case $m in [sStT]*) h=$((h+k));; esac; o=$o$b; done; octal $h$o; }
fi
look() { if [ -L "$1" ]; then found="symlink $(readlink "$1" || { l=$(ls -ld "$1"); printf %s "\${l#* -> }"; })"
elif [ -d "$1" ]; then found="directory $(mode "$1")"
elif [ -f "$1" ]; then p=$1; set -- $(cksum <"$p"); found="file $(mode "$p") $2 $1"
elif [ -e "$1" ]; then found=special; else found=absent; fi; }
is() { look "$1"; [ "$found" != "$2" ] || return 0; [ "$found" != "$3" ] || return ${ALREADY}; printf %s "$found"; return ${STALE}; }
why() { echo | cat >>"$1"; return 1; }
note() { printf '\\n%s\\n' "$1" >>"$R/journal" || why "$R/journal"; }
keep() { ln "$1" "$2" 2>/dev/null || cp -p "$1" "$2" || { rm -f "$2"; return 1; }; }
place() { mv -fT "$1" "$2" 2>/dev/null && return
if [ -d "$2" ]; then [ -L "$2" ] || { echo "a directory stands there"; return 1; }; rm -f "$2"; fi; mv -f "$1" "$2" 2>/dev/null && return
[ ! -L "$1" ] || { mv -f "$1" "$R/sent-link" && set -- "$R/sent-link" "$2"; }; mv -f "$1" "$2"; }
ready() { p=$1; m=$2; t=$3; c="$4 $5"; set -- $(cksum <"$p")
[ "$1 $2" = "$c" ] || { echo "what was written is not what was sent"; return 1; }
chmod "$m" "$p" && { [ "$t" = - ] || TZ=UTC0 touch -t "$t" "$p"; }; }
watch() { ( s=; trap '[ -z "$s" ] || kill $s; exit' TERM; sleep "$1" & s=$!; wait $s && kill -KILL $$ ) </dev/null >/dev/null 2>&1 3<&- & h=$!; }
calm() { kill $h; wait $h; } 2>/dev/null
do_one() { said=$($1 2>&1); s=$?; say result "\${1#c}" $s; printf %s "$said"; }
starts() { o=$R/start; true >"$o" || { why "$o"; return; }; l='timeout -s KILL 20'; $l true 2>/dev/null || l=
{ ( trap - PIPE; umask "$PREP_UMASK"; ulimit -S -c 0; ulimit -S -f ${PRINTED}; unset LC_ALL; TERM=\${TERM:-dumb}; export TERM; exec 2>&1; $l "$1" "$2" 'echo prep-it-starts' ) </dev/null >"$o"; s=$?; } 2>/dev/null
case $(cat "$o") in *prep-it-starts*) rm -f "$o"; return 0;; esac
w=$(tail -c 500 "$o" | tr -d '\\0' | sed -n '$p'); rm -f "$o"; [ $s != 137 ] || [ -z "$l" ] || w="it was not ready after 20 s\${w:+, and had said: $w}"
printf '%s\\n' "\${w:-it ended with status $s before running a command}"; return ${NO_START}; }
`;

/** What is known of a server by the time its account is changed. */
export interface Known {
  readonly keysFile: RemotePath;
  /** Whether it has cksum(1). */
  readonly cksum: boolean;
}

/** One script that makes all changes, in order, each on its own: a change that fails stops none that follow. */
export function changeScript(
  changes: readonly Change[],
  { run, stepOf, made = 0 }: Pick<Applying, 'run' | 'stepOf' | 'made'>,
  { keysFile, cksum }: Known,
): string {
  const bodies = changes.map((change, index) => {
    const number = made + index + 1;
    const line = quote(journalLine({ number, step: stepOf(change), change }));
    if (change.what === 'login-shell') return loginShellCall(change, number, line);
    if (change.what === 'command') return commandCall(change, number, line);
    return `c${number}() {\n${entryBody(change, number, run, line)}\n}\ndo_one c${number}`;
  });
  const early = changes.some((change) => change.what === 'login-shell' && change.as === 'self');
  const beside = changes.flatMap((change) => (change.what === 'entry' ? [change.path] : []));
  const sums = cksum ? '' : SUMS;
  const head = [`R=${runFolder(run)}`, FUNCTIONS, sums, LEAVING, beginning(beside)];
  // What a change said is known to be all of it once something else is said.
  const making = [...bodies, 'say made', ...labelled(changes, keysFile)];
  return [...head, early ? askEarly : 'H=', ...making, 'leave'].join('\n');
}

/** What sshd reads gets the label that SELinux's policy has for it, as ssh-copy-id sees to it. */
function labelled(changes: readonly Change[], keysFile: RemotePath): readonly string[] {
  const paths = changes.flatMap((change) =>
    change.what === 'entry' &&
    change.after.kind !== 'absent' &&
    (change.path === keysFile || /^\.ssh(\/|$)/.test(change.path))
      ? [pathWord(change.path)]
      : [],
  );
  if (paths.length === 0) return [];
  return [`! has restorecon || restorecon -F ${paths.join(' ')} >/dev/null 2>&1`];
}

/**
 * Whatever is written is written beside its place first, so that hardly any time passes between comparing what stands
 * there, keeping it, and replacing it.
 */
function entryBody(change: EntryChange, number: number, run: string, line: string): string {
  const { before, after, starts } = change;
  const path = pathWord(change.path);
  const beside = pathWord(temporaryAt(change.path, run, number));
  const laying = layingOf(change, beside, number, run);
  const steps = [
    ...laying,
    `is ${path} ${quote(standing(before))} ${quote(standing(after))}`,
    ...(starts === undefined ? [] : [starting(starts)]),
    ...(keepsCopy(change) ? [`keep ${path} ${pathWord(keptAt(run, number))}`] : []),
    `note ${line}`,
    laying.length > 0 ? `place ${beside} ${path}` : altering(change, path),
  ].join(' &&\n');
  return laying.length === 0 ? steps : `${steps} || { s=$?; rm -f ${beside}; return $s; }`;
}

/** What `look` says of an entry. */
function standing(entry: Entry): string {
  const mode = 'mode' in entry ? entry.mode.toString(8) : '';
  if (entry.kind === 'file') return `file ${mode} ${entry.content.size} ${entry.content.checksum}`;
  if (entry.kind === 'directory') return `directory ${mode}`;
  // As a command substitution gives it: final line feeds go.
  if (entry.kind === 'symlink') return `symlink ${entry.target.replace(/\n+$/, '')}`;
  return entry.kind;
}

/** What writes a file or a link beside its place; nothing, where what stands there is altered. */
function layingOf(change: EntryChange, beside: string, number: number, run: string): string[] {
  const { before, after } = change;
  if (after.kind === 'symlink') return [`ln -s -- ${quote(after.target)} ${beside}`];
  if (after.kind !== 'file' || hasBytesOf(after, before)) return [];
  const { size, checksum, keptAt: kept } = after.content;
  // A kept copy has its time already, to the nanosecond.
  const stamp = kept === undefined && after.mtime !== undefined ? stampOf(after.mtime) : '-';
  return [
    bytesInto(after, beside, number, run),
    `ready ${beside} ${after.mode.toString(8)} ${stamp} ${checksum} ${size}`,
  ];
}

/** Alters what stands there, or removes it, or makes a directory. */
function altering({ before, after }: EntryChange, path: string): string {
  switch (after.kind) {
    case 'absent':
      return before.kind === 'directory' ? `rmdir ${path}` : `rm -f ${path}`;
    case 'directory': {
      // Of a directory, GNU's chmod takes the bit that a group's folder hands down away for five digits alone.
      const chmod = `chmod ${after.mode.toString(8).padStart(5, '0')} ${path}`;
      return before.kind === 'directory' ? chmod : `mkdir ${path} && ${chmod}`;
    }
    case 'file': {
      const same = before.kind !== 'file' || before.mtime === after.mtime;
      const touch =
        after.mtime === undefined || same
          ? ''
          : ` && TZ=UTC0 touch -t ${stampOf(after.mtime)} ${path}`;
      return `chmod ${after.mode.toString(8)} ${path}${touch}`;
    }
    default:
      return '{ echo "prep cannot make such a file"; return 1; }';
  }
}

type File = Entry & { readonly kind: 'file' };

function hasBytesOf({ content }: File, before: Entry): boolean {
  if (before.kind !== 'file') return false;
  return before.content.size === content.size && before.content.checksum === content.checksum;
}

function bytesInto({ content }: File, beside: string, number: number, run: string): string {
  if (content.keptAt !== undefined) return `cp -p ${pathWord(content.keptAt)} ${beside}`;
  if (content.bytes === undefined || !inline(content.bytes)) {
    // The run's folder is closed to others, the one beside need not be.
    const sent = pathWord(sentTo(run, number, content));
    return `chmod 600 ${sent} && mv -f ${sent} ${beside}`;
  }
  const text = Buffer.from(content.bytes).toString('latin1');
  const words: string[] = [];
  for (let i = 0; i < text.length; i += WORD)
    words.push(`printf %s ${quote(text.slice(i, i + WORD))}`);
  return words.length === 0
    ? `true >${beside}`
    : `{ { ${words.join(' && ')}; } >${beside} || why ${beside}; }`;
}

/** Whether bytes can travel in a script: shell words hold everything but NUL. */
export function inline(bytes: Uint8Array): boolean {
  return !bytes.includes(0);
}

/** Whole seconds since 1970 as touch -t wants them, in UTC. */
function stampOf(seconds: number): string {
  const digits = new Date(seconds * 1000).toISOString().replace(/[-:T]|\.\d+Z/g, '');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
