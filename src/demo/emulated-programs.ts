import { quote } from '../remote/shell-text.ts';

/** What the emulated programs have to know of the sandbox. */
export interface Surroundings {
  /** The account's name. */
  readonly user: string;
  /** Folder of the sandbox's own passwd, group, shells and password hash. */
  readonly etc: string;
  /** Where this machine's own programs are, by name; empty where there is none. */
  readonly real: (program: string) => string;
}

/**
 * The programs that stand first on the search path of a sandbox account, by name: they know the account,
 * which this machine's passwd file does not, and keep the real chsh and sudo out of reach.
 */
export function emulatedPrograms(around: Surroundings): Readonly<Record<string, string>> {
  const head = `#!/bin/sh
# Stands in for the program of its name, for an account that this machine's own databases do not have.
etc=${quote(around.etc)} user=${quote(around.user)}
`;
  const programs = {
    getent: getent(around.real('getent')),
    id: id(around.real('id')),
    chsh: CHSH + CHANGE_SHELL,
    usermod: USERMOD + CHANGE_SHELL,
    sudo: SUDO,
  };
  return Object.fromEntries(
    Object.entries(programs).map(([name, script]) => [name, head + script]),
  );
}

/** A shell that stands in for a missing zsh. */
export const ZSH_STAND_IN = `#!/bin/sh
# There is no zsh on this machine: sh answers in its place.
exec /bin/sh "$@"
`;

/** The account's own entries come first; all entries together leave out whom it shares its number with. */
function getent(real: string): string {
  const other = real === '' ? 'cat "/etc/$1"' : `exec ${quote(real)} "$@"`;
  return `
case $1 in passwd|group) ;; *) ${other}; exit ;; esac
IFS= read -r line <"$etc/$1"
name=\${line%%:*} number=\${line#*:*:} number=\${number%%:*}
if [ $# = 1 ]; then
  printf '%s\\n' "$line"
  ${other.replace('exec ', '')} | while IFS= read -r other; do
    rest=\${other#*:*:}
    [ "\${rest%%:*}" = "$number" ] || printf '%s\\n' "$other"
  done
  exit 0
fi
case $2 in "$name"|"$number") printf '%s\\n' "$line"; exit 0 ;; esac
${real === '' ? 'grep "^$2:\\|^[^:]*:[^:]*:$2:" "/etc/$1" || exit 2' : other}
`;
}

function id(real: string): string {
  return `
case $* in
  -un|-nu|'-u -n'|'-n -u'|-gn|-ng|'-g -n'|'-n -g') printf '%s\\n' "$user" ;;
  *) exec ${quote(real)} "$@" ;;
esac
`;
}

const CHSH = `
shell=
while getopts s: option; do
  case $option in s) shell=$OPTARG ;; *) exit 2 ;; esac
done
shift $((OPTIND - 1))
[ "\${1:-$user}" = "$user" ] || { echo "You may not change the shell for '$1'." >&2; exit 1; }
printf 'Password: ' >&2
IFS= read -r password || password=
IFS=' ' read -r salt hash <"$etc/shadow"
digest() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi
}
# printf is part of the shell: the password is on no command line.
given=$(printf '%s%s' "$salt" "$password" | digest)
[ "\${given%% *}" = "$hash" ] || { echo 'chsh: PAM: Authentication failure' >&2; exit 1; }
`;

const USERMOD = `
[ "$(id -u)" = 0 ] || { echo 'usermod: Permission denied.' >&2; exit 1; }
shell=
while getopts s: option; do
  case $option in s) shell=$OPTARG ;; *) exit 2 ;; esac
done
`;

const CHANGE_SHELL = `
grep -qxF -e "$shell" "$etc/shells" || { echo "chsh: $shell is an invalid shell" >&2; exit 1; }
IFS= read -r line <"$etc/passwd"
printf '%s:%s\\n' "\${line%:*}" "$shell" >"$etc/passwd+" && mv "$etc/passwd+" "$etc/passwd"
`;

const SUDO = `
echo 'sudo: a password is required' >&2
exit 1
`;
