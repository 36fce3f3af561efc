#!/bin/sh
# Starts the head of a Ray cluster on this machine, unless there is one: start-cluster.sh RAY HOST
#
# RAY is the program `ray`; HOST the address to be known by: 127.0.0.1, for this machine alone; one of its own that
# others reach; or 0.0.0.0, for the one that Ray finds. Whoever reaches a cluster runs what they like on it, so that
# they have to know a token, where this Ray has tokens (from 2.52 on).
set -eu
ray=$1
host=$2

# Ray takes 127.0.0.1 for the machine's address elsewhere, and listens on all of them, unless it expects no others.
[ "$host" != 127.0.0.1 ] || export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0

if [ "${RAY_AUTH_MODE:-token}" = token ] && "$ray" get-auth-token --help >/dev/null 2>&1; then
  # Ray itself lets everybody read a token that it makes.
  (umask 077 && "$ray" get-auth-token --generate >/dev/null 2>&1)
  export RAY_AUTH_MODE=token
elif [ "$host" != 127.0.0.1 ]; then
  echo "This cluster has no token: whoever reaches it runs what they like on it." >&2
fi

if "$ray" status >/dev/null 2>&1; then
  echo "There is a cluster on this machine already; $ray stop ends it."
  exit 0
fi
set -- start --head --disable-usage-stats --include-dashboard=false
[ "$host" = 0.0.0.0 ] || set -- "$@" --node-ip-address="$host"
exec "$ray" "$@"
