import { COMMANDS, WITHOUT_HOSTS, type CompletionShell } from './arguments.ts';
import { COMPLETION_SHELLS, EXPORT_FORMATS, FLAGS, type Flag } from './help.ts';
import { HOSTS_COMMAND } from './host-completion.ts';

/** What a shell shows beside each subcommand. */
const ABOUT: Readonly<Record<(typeof COMMANDS)[number], string>> = {
  undo: 'put back what the last run replaced',
  open: 'interactive session over the one connection',
  run: 'one command over the one connection',
  mastering: 'opportunistic connection mastering',
  steps: 'list the steps',
  demo: 'prepare a throw-away account',
  completion: 'print a shell completion script',
  export: 'write the same down for Ansible or cloud-init',
  init: 'write a configuration file to begin with',
  help: 'the same as --help',
};

/** What the word after a subcommand must be one of. */
const CHOICES = Object.entries({ completion: COMPLETION_SHELLS, export: EXPORT_FORMATS });

/** The completion script for a shell; to be sourced, or put where the shell looks for such. */
export function completionScript(shell: CompletionShell, stepNames: readonly string[]): string {
  if (shell === 'bash') return bash(stepNames);
  if (shell === 'zsh') return zsh(stepNames);
  return fish(stepNames);
}

/** Compared by the shell itself: compgen -W would expand what the user has typed. */
const BASH_HOSTS = `_prep_hosts() {
  local host word words=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == = ]] || words+=("$word"); done
  while IFS= read -r host; do
    [[ $host == "$cur"* ]] && COMPREPLY+=("$host")
  done < <("\${COMP_WORDS[0]/#\\~/$HOME}" ${HOSTS_COMMAND} "\${words[@]}" "$cur" 2>/dev/null)
}
`;

function bash(stepNames: readonly string[]): string {
  const cases = FLAGS.filter((flag) => flag.value).map(
    (flag) => `    ${spellings(flag).join('|')}) ${bashValue(flag, stepNames)} ;;`,
  );
  const choices = CHOICES.map(
    ([name, words]) => `    ${name}) ${bashReply(`-W '${words.join(' ')}'`)} ;;`,
  );
  return `# bash completion for prep; in ~/.bashrc: eval "$(prep completion bash)"
${BASH_HOSTS}_prep() {
  # readline cuts words at @ (which stays with what follows it), at = and at :
  local cur=\${2-\${COMP_WORDS[COMP_CWORD]}} at=$COMP_CWORD prev word
  COMPREPLY=()
  [[ $cur == = ]] && cur=
  case $cur in @) at=$((at - 1)) ;; @*) at=$((at - 2)) ;; esac
  [[ \${COMP_WORDS[at-1]} == = ]] && at=$((at - 1))
  prev=\${COMP_WORDS[at-1]}
  [[ \${COMP_WORDS[COMP_CWORD]} == : || \${COMP_WORDS[COMP_CWORD-1]} == : ]] && return
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == -- ]] && return; done
  case $prev in
${cases.join('\n')}
  esac
  case $cur in
    -*) COMPREPLY=($(compgen -W '${FLAGS.map((flag) => `--${flag.name}`).join(' ')}' -- "$cur")); return ;;
  esac
  if [ "$at" -eq 2 ]; then case \${COMP_WORDS[1]} in
${choices.join('\n')}
  esac; fi
  if [ "$at" -gt 1 ]; then case \${COMP_WORDS[1]} in ${WITHOUT_HOSTS.join('|')}) return ;; esac; fi
  _prep_hosts
  [ "$at" -eq 1 ] && COMPREPLY+=($(compgen -W '${COMMANDS.join(' ')}' -- "$cur"))
}
complete -F _prep prep
`;
}

function bashReply(how: string): string {
  return `COMPREPLY=($(compgen ${how} -- "$cur")); return`;
}

function bashFiles(how: string): string {
  return `local IFS=$'\\n'; compopt -o filenames 2>/dev/null; ${bashReply(how)}`;
}

function bashValue({ completes = 'file' }: Flag, stepNames: readonly string[]): string {
  if (completes === 'nothing') return 'return';
  if (completes === 'file') return bashFiles('-f');
  if (completes === 'directory') return bashFiles('-d');
  if (completes === 'host') return '_prep_hosts; return';
  if (completes !== 'step') return bashReply(`-W '${completes.join(' ')}'`);
  return `local done=; [[ $cur == *,* ]] && done=\${cur%,*},; COMPREPLY=($(compgen -P "$done" -W '${stepNames.join(' ')}' -- "\${cur##*,}")); return`;
}

function zsh(stepNames: readonly string[]): string {
  const flags = FLAGS.map((flag) => `    ${zshFlag(flag, stepNames)}`);
  const commands = COMMANDS.map((name) => `'${name}:${ABOUT[name]}'`);
  const choices = CHOICES.map(
    ([name, words]) =>
      `    ${name}) (( CURRENT == 3 )) && { _values word ${words.join(' ')}; return } ;|`,
  );
  return `#compdef prep
# zsh completion for prep; in ~/.zshrc after compinit: eval "$(prep completion zsh)"
_prep_first() {
  local -a commands=(${commands.join(' ')})
  _describe command commands
  _prep_host
}
_prep_host() {
  local prep=\${words[1]/#\\~/$HOME}
  local -a expl hosts
  hosts=(\${(f)"$($prep ${HOSTS_COMMAND} "\${(@Q)words[2,CURRENT-1]}" "$PREFIX" 2>/dev/null)"})
  _wanted hosts expl host compadd -a hosts
}
_prep_rest() {
  case $words[2] in
${choices.join('\n')}
    ${WITHOUT_HOSTS.join('|')}) ;;
    *) (( \${words[(I)--]} && \${words[(I)--]} < CURRENT )) || _prep_host ;;
  esac
}
_prep() {
  _arguments -s -S \\
${flags.map((line) => `${line} \\`).join('\n')}
    '1: :_prep_first' '*: :_prep_rest'
}
if [ "$funcstack[1]" = _prep ]; then _prep "$@"; else compdef _prep prep; fi
`;
}

function zshFlag(flag: Flag, stepNames: readonly string[]): string {
  const about = flag.about.replaceAll("'", "'\\''").replaceAll(/[[\]:]/g, '\\$&');
  const label = flag.value?.replace(',...', '');
  const rest = `[${about}]${label ? `:${label}:${zshValue(flag, stepNames)}` : ''}`;
  const names = spellings(flag);
  const [mark, longMark] = label ? ['+', '='] : ['', ''];
  if (names.length === 1) return `'${names[0]}${longMark}${rest}'`;
  const repeats = flag.name === 'identity' || flag.name === 'verbose';
  const first = repeats ? '*' : `(${names.join(' ')})`;
  return `'${first}'{${names[0]}${mark},${names[1]}${longMark}}'${rest}'`;
}

function zshValue({ completes = 'file' }: Flag, stepNames: readonly string[]): string {
  if (completes === 'nothing') return ' ';
  if (completes === 'file') return '_files';
  if (completes === 'directory') return '_files -/';
  if (completes === 'host') return '_prep_host';
  if (completes === 'step') return `_values -s , step ${stepNames.join(' ')}`;
  return `(${completes.join(' ')})`;
}

function fish(stepNames: readonly string[]): string {
  const flags = FLAGS.map((flag) => {
    const short = flag.short ? ` -s ${flag.short}` : '';
    const value = flag.value ? ` -r ${fishValue(flag, stepNames)}` : '';
    return `complete -c prep${short} -l ${flag.name}${value} -d '${fishQuoted(flag.about)}'`;
  });
  const commands = COMMANDS.map(
    (name) => `complete -c prep -n __fish_use_subcommand -a ${name} -d '${ABOUT[name]}'`,
  );
  const choices = CHOICES.map(
    ([name, words]) =>
      `complete -c prep -n '__fish_seen_subcommand_from ${name}; and not __fish_seen_subcommand_from ${words.join(' ')}' -a '${words.join(' ')}'`,
  );
  return `# fish completion for prep; prep completion fish > ~/.config/fish/completions/prep.fish
function __prep_hosts
    set -l words (commandline -opc)
    set -l prep (string replace -r '^~(?=/)' $HOME -- $words[1])
    command $prep ${HOSTS_COMMAND} $words[2..] (commandline -ct | string replace -r -- '^--[a-z-]+=' '') 2>/dev/null
end
complete -c prep -f
complete -c prep -a '(__prep_hosts)' -n 'not __fish_seen_subcommand_from ${WITHOUT_HOSTS.join(' ')} --'
${choices.join('\n')}
${[...commands, ...flags].join('\n')}
`;
}

function fishValue({ completes = 'file' }: Flag, stepNames: readonly string[]): string {
  if (completes === 'nothing') return '-f';
  if (completes === 'file') return '-F';
  if (completes === 'directory') return `-f -a '(__fish_complete_directories)'`;
  if (completes === 'host') return `-f -a '(__prep_hosts)'`;
  if (completes === 'step') return `-f -a '(__fish_append , ${stepNames.join(' ')})'`;
  return `-f -a '${completes.join(' ')}'`;
}

function fishQuoted(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
}

function spellings({ name, short }: Flag): string[] {
  return short ? [`-${short}`, `--${name}`] : [`--${name}`];
}
