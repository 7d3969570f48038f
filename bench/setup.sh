#!/bin/sh
# Install the peers that the benchmarks measure against, from Debian's packages.
set -eu
need=""
command -v age >/dev/null 2>&1 || need="$need age"
command -v restic >/dev/null 2>&1 || need="$need restic"
command -v borg >/dev/null 2>&1 || need="$need borgbackup"
command -v zstd >/dev/null 2>&1 || need="$need zstd"
command -v rclone >/dev/null 2>&1 || need="$need rclone"
[ -n "$need" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "The benchmarks need: apt-get install$need" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq || true
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $need >/dev/null
