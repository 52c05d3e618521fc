# ~/.zshrc: read by interactive zsh.

# Terminals that are programs (Emacs TRAMP, editors) want a plain prompt and no line editor.
if [[ ${TERM:-dumb} == dumb ]]; then
  unsetopt zle prompt_cr prompt_sp
  PROMPT='%# '
  return 0
fi

# History
HISTFILE=~/.zsh_history
HISTSIZE=10000
SAVEHIST=10000
setopt inc_append_history extended_history
setopt hist_ignore_dups hist_ignore_space hist_reduce_blanks hist_verify

# Behaviour
setopt auto_cd auto_pushd pushd_ignore_dups pushd_silent
setopt interactive_comments no_beep no_flow_control

# Keys: Emacs style; up and down look for lines that begin like this one.
bindkey -e
autoload -Uz up-line-or-beginning-search down-line-or-beginning-search
zle -N up-line-or-beginning-search
zle -N down-line-or-beginning-search
bindkey '^[[A' up-line-or-beginning-search
bindkey '^[OA' up-line-or-beginning-search
bindkey '^[[B' down-line-or-beginning-search
bindkey '^[OB' down-line-or-beginning-search
bindkey '^[[H' beginning-of-line
bindkey '^[OH' beginning-of-line
bindkey '^[[1~' beginning-of-line
bindkey '^[[F' end-of-line
bindkey '^[OF' end-of-line
bindkey '^[[4~' end-of-line
bindkey '^[[3~' delete-char

# Completion; -i passes over directories that others may write, without asking.
autoload -Uz compinit
compinit -i 2>/dev/null
zstyle ':completion:*' menu select
zstyle ':completion:*' matcher-list '' 'm:{a-z}={A-Z}'

# Prompt: who and where, in red what failed.
PROMPT='%(?..%F{red}%?%f )%F{green}%n@%m%f:%F{blue}%~%f%# '

# Colours, where this ls has them.
if ls --color=auto -d / >/dev/null 2>&1; then
  alias ls='ls --color=auto'
elif ls -G -d / >/dev/null 2>&1; then
  alias ls='ls -G'
fi
alias ll='ls -l'
alias la='ls -la'
