#!/bin/bash
# ssh-copy-id, scp and ssh, as a person without a script would: nothing is shared between them.
# usage: copy-id.sh HOST   (HOST is an alias of ~/.ssh/config; passwords are typed)
set -u
host=$1
ssh-copy-id -F ~/.ssh/config -i ~/.ssh/id_ed25519.pub "$host" || exit 1
scp -q -p -F ~/.ssh/config ~/.screenrc ~/.zshenv ~/.zshrc "$host:" || exit 1
ssh -t -F ~/.ssh/config "$host" \
  'ln -s -f .zshenv .zlogin; case $SHELL in */zsh) ;; *) chsh -s /bin/zsh ;; esac'
