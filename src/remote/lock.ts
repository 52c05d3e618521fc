import type { Content } from '../core/facts.ts';
import { RUNS } from '../core/records.ts';
import { joinPath, parentOf, remotePath, type RemotePath } from '../core/remote-path.ts';
import { runFolder } from './journal.ts';
import { escapedForAnyShell } from './shell-text.ts';

/** A symbolic link to nowhere whose target names the remote shell at work: made, read and removed in one call each. */
export const LOCK: RemotePath = joinPath(RUNS, 'lock');

/** How often a run looks whether another has ended, once a second. */
export const ROUNDS = 40;

/** What a run says of itself in its links, in words that hold no blank; `-` is what it cannot tell. */
export interface Identity {
  /** The number of the process on the server that does its work. */
  readonly process: string;
  /** When that began, in clock ticks since boot. */
  readonly birth: string;
  /** Its process namespace. */
  readonly namespace: string;
  readonly boot: string;
  /** `HOST/MACHINE-ID`. */
  readonly machine: string;
  /** By the server's clock: `20260102T030405Z`. */
  readonly time: string;
  /** The run's name, of one over SFTP: see `SftpLock`. */
  readonly run?: string;
}

/** Who has the lock, as its link says. */
export interface Holder {
  /** The number of the process at work there; empty where that is not known. */
  readonly process: string;
  readonly host: string;
  /** By the server's clock: `2026-01-02 03:04:05 UTC`; empty where that is not known. */
  readonly since: string;
}

/**
 * `I` names this shell: process number, its birth (clock ticks since boot), its process namespace, the boot, the
 * machine, and the time. `gone ID FILE` says whether whoever left a link is surely no more. On this machine that is
 * known: another boot is over, a process number that has another birth by now was given away again, and a zombie only
 * waits for its parent (a container's first process may never ask). Of another machine (a home directory on several),
 * of births that cannot be told, and of what prep has not written, only the age of FILE speaks, by the server's own
 * clock. A run over SFTP has a seventh word, its name.
 */
export const IDENTITY = `
target() { if [ -f "$1" ] && [ ! -L "$1" ]; then cat "$1"; return; fi; readlink "$1" 2>/dev/null || { l=$(ls -ld "$1" 2>/dev/null) && printf '%s\\n' "\${l#* -> }"; }; }
born() { l=; { IFS= read -r l <"/proc/$1/stat"; } 2>/dev/null; [ -n "$l" ] || { kill -0 "$1" 2>/dev/null && echo -; return; }; set -f; set -- \${l##*')' }; set +f; case $1 in Z) ;; *) echo "\${20}";; esac; }
old() { o=$(find "$1" -prune -mmin +60 2>/dev/null) || o=$(find "$1" -prune -mtime +0 2>/dev/null); [ -n "$o" ]; }
gone() { f=$2; set -f; set -- $1; set +f; [ $# -ge 6 ] || { old "$f"; return; }
if [ "$5" = "$H5" ]; then [ "$4" = "$H4" ] || return 0; [ "$3" != "$H3" ] || case $(born "$1") in -) ;; "$2") return 1;; *) return 0;; esac; fi; old "$f"; }
b=-; { read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null; m=; { read -r m </etc/machine-id; } 2>/dev/null
H3=$(readlink /proc/self/ns/pid 2>/dev/null) || H3=-; H4=$b; H5=$(uname -n | tr -d ' ')/$m
I="$$ $(born $$) $H3 $H4 $H5 $(date -u +%Y%m%dT%H%M%SZ)"
`;

/**
 * `take LINK`: making a link either succeeds or finds one there. One that its owner left behind is only ever removed
 * by whoever has LINKx, itself taken in the same way; so of two that find it, one removes it, and only that one.
 */
const TAKING = `
take() { ln -s "$I" "$1" 2>/dev/null && return; w=$(target "$1"); gone "$w" "$1" || return 1; case $1 in *xxx) return 1;; esac
take "$1x" || return 1; [ "$(target "$1")" != "$w" ] || rm -f "$1"; ln -s "$I" "$1" 2>/dev/null; s=$?; rm -f "$1x"; return $s; }
hold() { n=0; until take ${LOCK}; do
if [ ! -L ${LOCK} ] && [ ! -f ${LOCK} ]; then e=$(ln -s "$I" ${LOCK} 2>&1) && return; case $e in *exists*) ;; *) say refused; printf %s "$e"; return 1;; esac; fi
w=$(target ${LOCK}); [ $n -lt ${ROUNDS} ] || { say busy "$w"; return 1; }; n=$((n+1)); say waiting "$w"; sleep 1; done; }
`;

/**
 * Removes what runs left that did not come to their end: what was sent and not used, and temporary files beside the
 * targets. Only by whoever has the lock, and only from runs whose shell is gone; one over SFTP is at work only while it
 * has the lock itself. A copy that was kept goes only where the journal says nothing and what it is of has its name still:
 * a power cut may have cost the journal its lines, and not the changes.
 */
const SWEEP = `
spared() { set -- $(ls -ldn "$1" 2>/dev/null); [ "\${2:-1}" -gt 1 ]; }
for o in ${RUNS}/*/owner; do r=\${o%/owner}; [ -e "$o" ] || [ -L "$o" ] && [ "$r" != "$R" ] || continue
w=$(target "$o"); case $w in *' '*' '*' '*' '*' '*' '*) ;; *) gone "$w" "$o" || continue;; esac
[ ! -f "$r/beside" ] || while IFS= read -r d; do d=$(printf %b. "$d"); rm -f "\${d%.}.prep-\${r##*/}-"*; done <"$r/beside"
[ -s "$r/journal" ] || { rm -f "$r/journal"; for k in "$r"/[0-9]*; do ! spared "$k" || rm -f "$k"; done; }
rm -f "$r"/sent-* "$r/start" "$r/said" "$r/beside" "$o"; rmdir "$r" 2>/dev/null; done`;

/** Makes a run's folder, whose link `owner` stands for as long as the run is at work. */
const FOLDER = `mkdir -p ${RUNS} && chmod 700 ${RUNS} && { [ -d "$R" ] || mkdir "$R"; } && { [ -L "$R/owner" ] || ln -s "$I" "$R/owner"; }`;

/**
 * Begins a run, or ends the script: says `waiting`, `busy` or `refused`. `beside` are the paths that will have a
 * temporary file beside them for a moment.
 */
export function beginning(beside: readonly RemotePath[]): string {
  const words = besideLines(beside).map((line) => `'${line}'`);
  const noted =
    words.length === 0
      ? ''
      : ` && { printf '%s\\n' ${words.join(' ')} 2>/dev/null >"$R/beside" || why "$R/beside"; }`;
  return `${IDENTITY}${TAKING}
begun=$( { mkdir -p ${RUNS} && chmod 700 ${RUNS}; } 2>&1 ) || { say refused; printf %s "$begun"; return; }
hold || return
begun=$( { ${FOLDER}${noted} && : >>"$R/journal"; } 2>&1 ) || { say refused; printf %s "$begun"; leave; return; }
${SWEEP}`;
}

/** Functions that end a run: one that changed nothing leaves nothing. */
export const LEAVING = `
leave() { rm -f "$R"/sent-* "$R/beside" "$R/owner"; [ -s "$R/journal" ] || rm -f "$R/journal" "$R"/[0-9]*; rmdir "$R" 2>/dev/null
[ "$(target ${LOCK})" != "$I" ] || rm -f ${LOCK}; }
`;

/** A content that is about to be sent. */
interface Wanted {
  readonly number: number;
  readonly content: Content;
  /** Where to. */
  readonly to: RemotePath;
}

/**
 * Makes a run's folder for what is sent ahead, and takes over what an interrupted run has sent already of the same
 * contents: `have NUMBER CHECKSUM SIZE`. The folders of old runs are looked through once, not for each content.
 */
export function sendingScript(run: string, wanted: readonly Wanted[]): string {
  const calls = wanted.map(
    ({ number, content, to }) => `adopt ${number} ${content.checksum}-${content.size} ${to}`,
  );
  return `R=${runFolder(run)}
${IDENTITY}${FOLDER} || return
A=; d=; for p in ${RUNS}/*/sent-*; do [ -f "$p" ] || continue; k=\${p%/*}/owner
[ "$k" = "$d" ] || { d=$k; g=; [ ! -L "$k" ] || ! gone "$(target "$k")" "$k" || g=1; }
[ -z "$g" ] || A="$A$p "; done
adopt() { case $A in *"-$2 "*) ;; *) return;; esac
for p in $A; do case $p in *-"$2") mv "$p" "$3" 2>/dev/null && { say have "$1" $(cksum <"$3"); return; };; esac; done; }
${calls.join('\n')}`;
}

/** Waits for another run to end, without a trace: says `waiting`, and `busy` where it did not. */
export const waitingScript = `${IDENTITY}
n=0; while w=$(target ${LOCK}) && [ -n "$w" ] && ! gone "$w" ${LOCK}; do
[ $n -lt ${ROUNDS} ] || { say busy "$w"; return; }; n=$((n+1)); say waiting "$w"; sleep 1; done`;

/** Reads what a link says; undefined for what is no run's. */
export function readIdentity(text: string): Identity | undefined {
  const words = text.trim().split(' ');
  const [process = '', birth = '', namespace = '', boot = '', machine = '', time, run] = words;
  if (time === undefined || words.length > 7) return undefined;
  return { process, birth, namespace, boot, machine, time, ...(run !== undefined && { run }) };
}

/** What `readIdentity` reads. */
export function identityText(identity: Identity): string {
  const { process, birth, namespace, boot, machine, time, run } = identity;
  return [process, birth, namespace, boot, machine, time, run ?? []].flat().join(' ');
}

/** Reads what stands in the lock. */
export function readHolder(text: string): Holder {
  const { process = '', machine = '', time = '' } = readIdentity(text) ?? {};
  const [, date = '', hour = ''] = /^(\d{8})T(\d{6})Z$/.exec(time) ?? [];
  const since =
    date === ''
      ? ''
      : `${date.replace(/(....)(..)(..)/, '$1-$2-$3')} ${hour.replace(/(..)(..)(..)/, '$1:$2:$3')} UTC`;
  return { process: known(process), host: known(machine.replace(/\/.*$/, '')), since };
}

function known(word: string): string {
  return word === '-' ? '' : word;
}

/** The folders of some paths as lines that `printf %b` makes the beginnings of paths of. */
export function besideLines(paths: readonly RemotePath[]): readonly string[] {
  const folders = new Set(paths.map((path) => parentOf(path) ?? remotePath('.')));
  return [...folders].map((folder) => escapedForAnyShell(inFolder(folder)));
}

/** The beginnings of paths that such lines stand for. */
export function readBeside(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) =>
    line.replace(/\\0([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    ),
  );
}

/** A folder as the beginning of a path that no command takes for an option. */
function inFolder(folder: RemotePath): string {
  if (folder === '/') return '/';
  return folder.startsWith('/') ? `${folder}/` : `./${folder}/`;
}
