#!/bin/sh
# Run a command that needs tools, which fetch-tools.sh looks for, and fetches where that is possible:
#   sh tools/with-tool.sh TOOL[,TOOL...] WHAT COMMAND...
# Where the machine lacks a tool, say that WHAT is not tested and how to get the tool, and succeed.
set -eu
tools=$(echo "$1" | tr ',' ' ') what=$2
shift 2
status=0
# shellcheck disable=SC2086   # a word a tool
said=$(sh "$(dirname "$0")/fetch-tools.sh" $tools) || status=$?
printf '%s\n' "$said"
case $status in
0) exec "$@" ;;
3) echo "not tested: $what ($(printf '%s\n' "$said" | sed -n 's/^tools: \(.*: install .*\)/\1/p' | paste -sd ';' -))" ;;
*) exit "$status" ;;
esac
