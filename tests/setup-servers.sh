#!/bin/sh
# Install what the tests run against (PostgreSQL, MariaDB, Chromium), or `pip`, from Debian's
# packages when root; otherwise say in one line what to install, and go on.
set -eu
need=""
if [ "${1:-}" = pip ]; then
    need="python3-pip"
else
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need="$need postgresql"
    command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || need="$need mariadb-server"
    command -v chromium >/dev/null 2>&1 || need="$need chromium"
fi
[ -n "$need" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "To run all of it, install: apt-get install$need" >&2
    [ "${1:-}" != pip ] || exit 1
    exit 0
fi
echo "Installing$need …"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# The tests start servers of their own; the packages must not start any.
[ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; trap 'rm -f /usr/sbin/policy-rc.d' EXIT; }
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $need >/dev/null
