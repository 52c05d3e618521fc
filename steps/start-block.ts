import { markedBlock } from '../src/core/marked-block.ts';

/** The language of a start-up file. */
export type Dialect = 'sh' | 'csh' | 'fish';

/** The exit status that tells that a shell went through all its start-up files. */
const PROOF = 89;

/** How long a shell may take for them, in seconds. */
const PATIENCE = 20;

const COMMENTS = [
  '# At interactive logins on a terminal alone: ssh HOST COMMAND, scp, sftp and rsync pass by here.',
  `# NAME is tried first with all its start-up files, for ${PATIENCE} seconds at most: this shell is left whatever is wrong.`,
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

/**
 * Tries a shell, whose exit status is then `PROOF`; what it started itself may go on, so nobody waits for its output.
 * Monitor mode is off, so that a trial never takes hold of the terminal. csh knows no `!` within quotes.
 */
function trial(path: string, name: string): string {
  const monitor = name === 'fish' || name.endsWith('csh') ? '' : '+m ';
  const flags = `${monitor}${name.endsWith('csh') ? '-ic' : '-lic'}`;
  const limit = `(i=0; while [ $i -lt ${PATIENCE} ] && kill -0 $$; do sleep 1; i=$((i+1)); done; kill -9 $$) >/dev/null 2>&1`;
  return `/bin/sh -c '${limit} & exec "$@"' sh ${path} ${flags} '/bin/sh -c "exit ${PROOF}"' </dev/null`;
}

/**
 * `$-` has `c` where a command was given, but for dash, where `s` is missing then; bash sets that one too late. What
 * may fail stands before `||`, for a shell with `-e`.
 */
function inSh(path: string, name: string, tried: string): readonly string[] {
  return [
    'case $-${BASH_VERSION:+s} in',
    '*c*) ;;',
    '*i*s* | *s*i*)',
    `  if [ -z "\${PREP_SHELL-}" ] && [ -t 0 ] && [ -t 1 ] && [ -x ${path} ]; then`,
    `    PREP_SHELL=${name}`,
    '    export PREP_SHELL',
    `    ${tried} >/dev/null 2>&1 ||`,
    '    case $? in',
    `    ${PROOF})`,
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

function inCsh(path: string, name: string, tried: string): readonly string[] {
  return [
    'if ( $?prompt && ! $?PREP_SHELL ) then',
    `  if ( -x ${path} && { tty -s } ) then`,
    `    setenv PREP_SHELL ${name}`,
    `    ${tried} >& /dev/null`,
    `    if ( $status == ${PROOF} ) then`,
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
    `    ${tried} >/dev/null 2>&1`,
    `    if test $status -eq ${PROOF}`,
    `      set -gx SHELL ${path}`,
    `      exec ${path} -l`,
    '    end',
    '    set -e PREP_SHELL',
    `    echo "prep: ${name} does not start; this is the shell from before" >&2`,
    '  end',
    'end',
  ];
}
