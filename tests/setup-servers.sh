#!/bin/sh
# Install what the tests run against (databases, web, FTP and SSH servers, Chromium), or `pip`, or
# what only the long suite needs (`long`: Ceph), from Debian's packages when root; otherwise say in
# one line what to install, and go on.
set -eu
need=""
if [ "${1:-}" = pip ]; then
    need="python3-pip"
elif [ "${1:-}" = long ]; then
    command -v ceph-mon >/dev/null 2>&1 || need="$need ceph-mon"
    command -v ceph-mgr >/dev/null 2>&1 || need="$need ceph-mgr"
    command -v ceph-osd >/dev/null 2>&1 || need="$need ceph-osd"
    command -v radosgw >/dev/null 2>&1 || need="$need radosgw"
else
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need="$need postgresql"
    command -v mariadbd >/dev/null 2>&1 || [ -x /usr/sbin/mariadbd ] || need="$need mariadb-server"
    command -v chromium >/dev/null 2>&1 || need="$need chromium"
    [ -x /usr/sbin/apache2 ] || need="$need apache2"
    [ -x /usr/sbin/nginx ] || need="$need nginx-light"
    [ -e /usr/lib/nginx/modules/ngx_http_dav_ext_module.so ] || need="$need libnginx-mod-http-dav-ext"
    command -v rclone >/dev/null 2>&1 || need="$need rclone"
    [ -x /usr/sbin/vsftpd ] || need="$need vsftpd"
    [ -x /usr/sbin/sshd ] || need="$need openssh-server"
fi
[ -n "$need" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "To run all of it, install: apt-get install$need" >&2
    [ "${1:-}" != pip ] || exit 1
    exit 0
fi
echo "Installing$need …"
export DEBIAN_FRONTEND=noninteractive
# The tests start servers of their own; the packages must not start any.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi
# One by one, so that what cannot be had does not keep the others out.
apt-get update -qq || true
missing=""
for package in $need; do
    apt-get install -y -qq --no-install-recommends "$package" >/dev/null || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
echo "To run all of it, install: apt-get install$missing (it could not be done now)" >&2
[ "${1:-}" != pip ] || exit 1
