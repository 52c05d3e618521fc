#!/bin/bash
# The 2007 script: one connection master, then one step after another over it.
# usage: seed.sh HOST      (HOST is an alias of ~/.ssh/config; passwords are typed)
set -u
host=$1 socket=$TMPDIR/master.$$
on_master() { ssh -F ~/.ssh/config -S "$socket" "$@"; }
copy() { scp -q -p -F ~/.ssh/config -o ControlPath="$socket" "$@"; }

ssh -F ~/.ssh/config -M -N -f -S "$socket" "$host" || exit 1
on_master "$host" test -d .ssh || on_master "$host" 'mkdir .ssh; chmod 700 .ssh'
if ! on_master "$host" test -f .ssh/authorized_keys; then
  copy ~/.ssh/id_ed25519.pub "$host:.ssh/authorized_keys"
  on_master "$host" chmod 600 .ssh/authorized_keys
fi
copy ~/.screenrc ~/.zshenv ~/.zshrc "$host:"
on_master "$host" 'test -e .zlogin || ln .zshenv .zlogin'
on_master -t "$host" chsh -s /bin/zsh
status=$?
on_master -O exit "$host"
exit "$status"
