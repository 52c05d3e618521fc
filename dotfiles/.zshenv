# ~/.zshenv: read first, by every zsh, scripts included. prep links ~/.zlogin to it, so that login shells
# read it a second time, after /etc/zprofile and ~/.zshrc had their say on the search path. Therefore: be
# quick, print nothing, and change nothing the second time.

typeset -gU path PATH

() {
  local dir
  for dir in ~/.local/bin ~/bin; do
    [[ -d $dir ]] && path=("$dir" $path)
  done
  return 0
}

export PATH
export EDITOR=${EDITOR:-vi}
if whence -p less >/dev/null; then
  export PAGER=${PAGER:-less}
  export LESS=${LESS:--iR}
fi
