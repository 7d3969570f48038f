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
    # Only root can start these, and only root can put them beside vsftpd.
    if [ "$(id -u)" = 0 ]; then
        [ -x /opt/vaultd-tests/pure-ftpd/usr/sbin/pure-ftpd ] || need="$need pure-ftpd"
        [ -x /opt/vaultd-tests/proftpd/usr/sbin/proftpd ] || need="$need proftpd-core"
    fi
fi
[ -n "$need" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "To run all of it, install: apt-get install$need" >&2
    [ "${1:-}" != pip ] || exit 1
    exit 0
fi
# One set-up at a time: two test runs beside each other need the same packages.
if [ -z "${VAULTD_SETUP_ALONE:-}" ] && [ -d /run/lock ] && command -v flock >/dev/null 2>&1; then
    VAULTD_SETUP_ALONE=1 exec flock -w 1800 /run/lock/vaultd-test-setup sh "$0" "$@"
fi
echo "Installing$need …"
export DEBIAN_FRONTEND=noninteractive
# The tests start servers of their own; the packages must not start any.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    made=1
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi

# Another installation may hold the lock of dpkg, or that of the lists, which has no waiting of its
# own; a mirror may fail for a moment.
patiently() {
    tries=0
    until "$@" >"$log" 2>&1; do
        tries=$((tries + 1))
        if [ $tries -ge 5 ]; then
            tail -n 5 "$log" >&2
            return 1
        fi
        sleep $((tries * 5))
    done
}
get() {
    patiently apt-get -o DPkg::Lock::Timeout=300 "$@"
}
# Debian lets only one FTP server be installed: the others are unpacked beside it, and the
# libraries that they need are installed.
unpack() {
    (cd "$scratch" && get -qq download $2 && get install -y -qq --no-install-recommends \
        $(for file in ./*.deb; do dpkg-deb -f "$file" Depends; done | tr ',' '\n' \
            | sed -n 's/^ *\(lib[a-z0-9.+-]*\).*/\1/p' | sort -u) \
        && rm -rf "/opt/vaultd-tests/$1.new" && mkdir -p "/opt/vaultd-tests/$1.new" \
        && for file in ./*.deb; do dpkg -x "$file" "/opt/vaultd-tests/$1.new" || exit 1; done \
        && rm -rf "/opt/vaultd-tests/$1" && mv "/opt/vaultd-tests/$1.new" "/opt/vaultd-tests/$1")
}
log=$(mktemp)
scratch=""
trap 'rm -rf "$log" $scratch; [ -z "${made:-}" ] || rm -f "$policy"' EXIT INT TERM

# One by one, so that what cannot be had does not keep the others out.
get update -qq || true
missing=""
for package in $need; do
    case "$package" in
    pure-ftpd | proftpd-core)
        scratch=$(mktemp -d)
        case "$package" in
        pure-ftpd) unpack pure-ftpd "pure-ftpd pure-ftpd-common" || missing="$missing $package" ;;
        *) unpack proftpd "proftpd-core proftpd-mod-crypto" || missing="$missing $package" ;;
        esac
        rm -rf "$scratch"
        ;;
    *) get install -y -qq --no-install-recommends "$package" || missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0
echo "To run all of it, install: apt-get install$missing (it could not be done now)" >&2
[ "${1:-}" != pip ] || exit 1
