import { INLINE_LIMIT, type Reading } from '../core/facts.ts';
import { RUNS } from '../core/records.ts';
import { parentOf, remotePath } from '../core/remote-path.ts';
import { LOCK } from './lock.ts';
import { pathWord, quote, SUMS } from './shell-text.ts';
import { SHOWING_CONFIG, wantsKeys } from './sshd-config.ts';

/** What a probe is to find out. */
export interface Probe {
  readonly readings: readonly Reading[];
  /** The login shell that is wanted, by name or path: whether it is there, and whether changing it needs a password. */
  readonly loginShell: string;
  /** The name that logs in. A shell tells it by itself; SFTP does not. */
  readonly user?: string;
  /** Programs that steps ask for; where one is missing, whether sudo works without a password is asked as well. */
  readonly programs?: readonly string[];
  /** Whether the server is known to have cksum(1). */
  readonly cksum?: boolean;
}

/** Programs whose presence decides what can be done. */
const TOOLS =
  'chsh usermod sudo getent restorecon timeout touch readlink apt-get dnf apk pacman zypper';

/**
 * stat(1) comes in two dialects (GNU and busybox, BSD), and not at all; each line is
 * `mode(hex or octal) mtime owner device:inode size name`. Solaris' cksum has tabs between its words.
 */
const FUNCTIONS = `
if stat -c %f / >/dev/null 2>&1; then D=hex; meta() { stat -c "
$M s $D %f %Y %u %d:%i %s %n" "$@" 2>/dev/null; }
elif stat -f %p / >/dev/null 2>&1; then D=octal; meta() { stat -f "
$M s $D %p %m %u %d:%i %z %N" "$@" 2>/dev/null; }
else meta() { for p; do [ -e "$p" ] || [ -L "$p" ] || continue; l=$(ls -ldin "$p"); set -f; set -- $l; set +f
say s text "$2" - "$4" "0:$1" "$6" "$p"; done; }
fi
NL='
'
known() { return 1; }
sums() { cksum "$@" 2>/dev/null | while IFS= read -r l; do p=\${l#*[ \t]}; p=\${p#*[ \t]}; set -f; set -- $l; set +f; s=$2; l="$1 $s $p"; say c "$l"
known "$l" && continue
case $W in *"|$p|"*) ;; *) case $S in *"|$p|"*) [ "$s" -le ${INLINE_LIMIT} ] || continue;; *) continue;; esac;; esac
say b "$p"; cat "$p"; done; }
read_all() { meta "$@"; n=$#; for p; do
if [ -L "$p" ]; then say l "$p"; readlink "$p" 2>/dev/null || { l=$(ls -ld "$p"); printf '%s\\n' "\${l#* -> }"; }
elif [ -f "$p" ] && [ -r "$p" ]; then case $p in *"$NL"*) say c $(cksum <"$p") "$p";; *) set -- "$@" "$p";; esac; fi; done
shift $n; [ $# = 0 ] || sums "$@"; }
`;

const ACCOUNT = `
cd 2>/dev/null || say home-missing
u=$(id -un 2>/dev/null); i=$(id -u); e=; f=environment
if has getent; then e=$(getent passwd "$u" 2>/dev/null) && f=getent; fi
o=$(uname -s); case $o$f$(command -v chsh) in Linuxgetent/usr/bin/chsh|Linuxgetent/bin/chsh) f=elsewhere;; esac
case $f in getent) ;; *) while IFS= read -r l; do case $l in "$u":*) e=\${e:-$l}; case $f in elsewhere) f=getent;; *) f=passwd;; esac;; esac; done;; esac 2>/dev/null </etc/passwd
if [ -n "$e" ]; then L=\${e##*:}; elif has dscl; then L=$(dscl . -read "/Users/$u" UserShell); L=\${L##* }; f=dscl
else L=$SHELL; fi
say user "$u"; say uid "$i"; say home "$HOME"; say cwd "$(pwd -P)"; say shell $f "$L"
say os "$o"
[ -z "\${PREP_SUMS-}" ] || { has awk && { has od || has hexdump; }; } || say no-sums
while IFS= read -r l || [ -n "$l" ]; do case $l in /*) if [ -x "$l" ]; then say listed x "$l"; else say listed - "$l"; fi;; esac; done 2>/dev/null </etc/shells
t=; for p in ${TOOLS}; do has $p && t="$t $p"; done; [ -n "\${PREP_SUMS-}" ] || t="$t cksum"; say tools $t; q=
for p in $Q; do if has "$p"; then say program "$p"; else q=1; fi; done
w=$(command -v "$N"); case $w in /*) ;; *) w=; for d in .local/bin bin; do [ ! -f "$d/$N" ] || [ ! -x "$d/$N" ] || w=\${w:-$HOME/$d/$N}; done;; esac; say found "$w"
case $L in "$N"|*/"$N") ;; *) q=1;; esac
[ -z "$q" ] || [ "$i" = 0 ] || if has sudo && sudo -k -n true </dev/null >/dev/null 2>&1; then say sudo; fi
case $(ls -ldn .) in ?????w*) set -- $(ls -ldn .); g=$4; m=$(getent group "$g" 2>/dev/null || while IFS= read -r l; do case $l in *:*:"$g":*) printf %s "$l";; esac; done </etc/group)
{ getent passwd 2>/dev/null || cat /etc/passwd; } | { o=; while IFS=: read -r a _ _ b _; do [ "$b" != "$g" ] || [ "$a" = "$u" ] || o=1; done
case \${m##*:} in ''|"$u") [ -n "$o" ] || [ "$(id -g)" != "$g" ] || say own-group;; esac; };; esac
p=${RUNS}; while [ ! -e "$p" ] && [ ! -L "$p" ]; do case $p in */*) p=\${p%/*};; *) p=.; break;; esac; done
if [ ! -d "$p" ]; then say barred file "$p"; elif [ "$p" = ${RUNS} ] || { [ -w "$p" ] && [ -x "$p" ]; }; then :; else say barred closed "$p"; fi
{ [ ! -L ${LOCK} ] && [ ! -f ${LOCK} ]; } || say locked
for p in ${RUNS}/*/owner; do [ ! -L "$p" ] || { say owned; break; }; done
for p in ${RUNS}/*/journal; do [ -f "$p" ] && { p=\${p%/journal}; say run "\${p##*/}"; }; done
set --; B="$NL$(find .ssh/* -prune -type f -size +256 2>/dev/null)$NL"; for p in .ssh/*; do case $B in *"$NL$p$NL"*) continue;; esac; [ -f "$p" ] && [ -r "$p" ] && [ ! -L "$p" ] && { IFS= read -r l; } <"$p" 2>/dev/null && case $l in *'PRIVATE KEY'*) say key "$p"; set -- "$@" "./$p";; esac; done
[ $# = 0 ] || { W=; S=; read_all "$@"; }
`;

/**
 * Where the server looks for keys: what sshd's readable configuration says; and that OpenWrt's dropbear reads root's
 * from a place of its own (as ssh-copy-id has it for dropbear).
 */
const KEYS = `${SHOWING_CONFIG}
[ "$i" != 0 ] || [ ! -f /etc/openwrt_release ] || [ -n "$d" ] || say keys-at /etc/dropbear/authorized_keys
show_config authorizedkeysfile
`;

/** The script that finds out what a probe asks. It changes nothing, and spawns few processes however many paths there are. */
export function probeScript(probe: Probe): string {
  const { readings, loginShell, programs = [], cksum = false } = probe;
  const name = quote(loginShell);
  const chunks: string[] = [];
  for (let i = 0; i < readings.length; i += 200) chunks.push(readChunk(readings.slice(i, i + 200)));
  const folders = [...new Set(readings.map(({ path }) => parentOf(path) ?? remotePath('.')))];
  const closed = `for p in ${folders.map(pathWord).join(' ')}; do [ ! -d "$p" ] || [ -w "$p" ] || say closed "$p"; done\n`;
  const asked = `Q=${quote(programs.join(' '))}`;
  const keys = wantsKeys(readings) ? KEYS : '';
  return [
    `N=${name}\n${asked}`,
    cksum ? '' : SUMS,
    FUNCTIONS,
    ACCOUNT,
    keys,
    ...chunks,
    folders.length === 0 ? '' : closed,
  ].join('');
}

/** Names with a line feed are read, but their bytes are not asked for: the tools' answers end a name there. */
function readChunk(readings: readonly Reading[]): string {
  const asked = (bytes: Reading['bytes']): string =>
    readings
      .filter((reading) => reading.bytes === bytes && !reading.path.includes('\n'))
      .map(({ path }) => `${path.startsWith('/') ? '' : './'}${path}|`)
      .join('');
  const known = readings.flatMap(({ path, unless }) =>
    unless === undefined
      ? []
      : [quote(`${unless.checksum} ${unless.size} ${path.startsWith('/') ? '' : './'}${path}`)],
  );
  const words = readings.map(({ path }) => pathWord(path)).join(' ');
  const follow = readings.filter((reading) => reading.follow === true);
  const list = readings.filter((reading) => reading.list === true);
  return [
    `W=${quote(`|${asked('all')}`)}\nS=${quote(`|${asked('some')}`)}\n`,
    `set -- ${words}\n`,
    follow.length === 0 ? '' : followed(follow),
    knownPattern(known),
    'read_all "$@"\n',
    ...list.map(
      ({ path }) =>
        `[ ! -d ${pathWord(path)} ] || { say n ${pathWord(path)}; ls -A1 ${pathWord(path)}; }\n`,
    ),
  ].join('');
}

/** Contents that need no reading back, as a shell function over cksum's line. */
function knownPattern(known: readonly string[]): string {
  if (known.length === 0) return 'known() { return 1; }\n';
  return `known() { case $1 in ${known.join('|')}) return 0;; esac; return 1; }\n`;
}

/** A symbolic link that is to be followed: say where it leads, and read that place like the link itself. */
function followed(readings: readonly Reading[]): string {
  const words = readings.map(({ path }) => pathWord(path)).join(' ');
  return `for p in ${words}; do [ -L "$p" ] || continue
r=$(readlink -f "$p" 2>/dev/null) && [ -n "$r" ] || continue
say r "$p"; printf '%s\\n' "$r"
case $W in *"|$p|"*) W="$W$r|";; esac; case $S in *"|$p|"*) S="$S$r|";; esac
set -- "$@" "$r"; done
`;
}
