import { markedBlock } from '../src/core/marked-block.ts';

/** The language of a start-up file. */
export type Dialect = 'sh' | 'csh' | 'fish';

/** What tells that a shell went through all its start-up files. */
const PROOF = 'prep-it-starts';

const COMMENTS = [
  '# At interactive logins on a terminal alone: ssh HOST COMMAND, scp, sftp and rsync pass by here.',
  '# NAME is tried first with all its start-up files, so whatever is wrong with it, this shell is left.',
];

/**
 * The lines that start `shell` from a login shell's rc file: at interactive logins on a terminal alone, never
 * where a command was given, never within itself, and only once a trial of it has come through its start-up
 * files, for `exec` cannot be taken back. Undefined where the path holds what not every shell can quote.
 */
export function startBlock(dialect: Dialect, shell: string): readonly string[] | undefined {
  const path = quoted(shell);
  const name = shell.slice(shell.lastIndexOf('/') + 1);
  if (path === undefined || !/^[\w.+-]+$/.test(name)) return undefined;
  const lines = { sh: inSh, csh: inCsh, fish: inFish }[dialect](path, name, trial(path, name));
  const comments = COMMENTS.map((line) => line.replace('NAME', name));
  return markedBlock(`start ${name}, as the login shell could not be changed`, [
    ...comments,
    ...lines,
  ]);
}

/** One word for sh, csh and fish alike, whose single quotes differ in what they leave alone. */
function quoted(path: string): string | undefined {
  if (/^[\w/.+-]+$/.test(path)) return path;
  return /^[^\n'\\!]+$/.test(path) ? `'${path}'` : undefined;
}

/** Monitor mode off, so that a trial never takes hold of the terminal. */
function trial(path: string, name: string): string {
  const monitor = name === 'fish' || name.endsWith('csh') ? '' : '+m ';
  return `${path} ${monitor}${name.endsWith('csh') ? '-ic' : '-lic'} 'echo ${PROOF}'`;
}

/** `$-` has `c` where a command was given, but for dash, where `s` is missing then; bash sets that one too late. */
function inSh(path: string, name: string, tried: string): readonly string[] {
  return [
    'case $-${BASH_VERSION:+s} in',
    '*c*) ;;',
    '*i*s* | *s*i*)',
    `  if [ -z "\${PREP_SHELL-}" ] && [ -t 0 ] && [ -t 1 ] && [ -x ${path} ]; then`,
    `    PREP_SHELL=${name}`,
    '    export PREP_SHELL',
    `    case $(${tried} </dev/null 2>/dev/null) in`,
    `    *${PROOF}*)`,
    `      SHELL=${path}`,
    '      export SHELL',
    `      exec ${path} -l`,
    '      ;;',
    '    esac',
    '    unset PREP_SHELL',
    `    echo "prep: ${name} does not start; this is the shell from before" >&2`,
    '  fi',
    '  ;;',
    'esac',
  ];
}

/** csh redirects nothing within braces, and cannot redirect its errors alone: sh does both. */
function inCsh(path: string, name: string, tried: string): readonly string[] {
  return [
    'if ( $?prompt && ! $?PREP_SHELL ) then',
    `  if ( -x ${path} && { tty -s } ) then`,
    `    setenv PREP_SHELL ${name}`,
    `    if ( { sh -c 'case $("$@" </dev/null 2>/dev/null) in *${PROOF}*) exit 0;; esac; exit 1' sh ${tried} } ) then`,
    `      setenv SHELL ${path}`,
    `      exec ${path} -l`,
    '    endif',
    '    unsetenv PREP_SHELL',
    `    echo "prep: ${name} does not start; this is the shell from before"`,
    '  endif',
    'endif',
  ];
}

function inFish(path: string, name: string, tried: string): readonly string[] {
  return [
    'if status is-login; and status is-interactive; and isatty stdin; and isatty stdout',
    `  if not set -q PREP_SHELL; and test -x ${path}`,
    `    set -gx PREP_SHELL ${name}`,
    `    if ${tried} </dev/null 2>/dev/null | string match -q '*${PROOF}*'`,
    `      set -gx SHELL ${path}`,
    `      exec ${path} -l`,
    '    end',
    '    set -e PREP_SHELL',
    `    echo "prep: ${name} does not start; this is the shell from before" >&2`,
    '  end',
    'end',
  ];
}
