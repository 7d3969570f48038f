"""Pure-FTPd with virtual users, as hosters have it: listings end after a number of names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.backends.servers.running import Running, free_port, new_folder, start
from tests.servers import unavailable

USER, PASSWORD = "anna", "correct horse"
_ROOT = Path("/opt/vaultd-tests/pure-ftpd")


def start_pure_ftpd(certificate: Path | None = None, *, most_names: int = 10_000) -> Running:
    """Start it on a free port, with TLS alone by this PEM file if given."""
    binary = _ROOT / "usr/sbin/pure-ftpd"
    if not binary.exists():
        unavailable("pure-ftpd", f"there is no {binary}")
    if os.geteuid() != 0:
        unavailable("pure-ftpd", "it can only be started by root")
    home, port = new_folder(), free_port()
    files = home / "files"
    (files / "vaults").mkdir(parents=True)
    shutil.chown(files, "nobody")
    shutil.chown(files / "vaults", "nobody")
    pure_pw, users = str(_ROOT / "usr/bin/pure-pw"), home / "passwd"
    subprocess.run(
        [pure_pw, "useradd", USER, "-f", users, "-u", "nobody", "-d", files],
        input=f"{PASSWORD}\n{PASSWORD}\n".encode(), check=True, capture_output=True,
    )  # fmt: skip
    # Its own hash is meant to cost a second and much memory at each login.
    cheap = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    name, _, rest = users.read_text().split(":", 2)
    users.write_text(f"{name}:{cheap}:{rest}")
    subprocess.run([pure_pw, "mkdb", home / "users.pdb", "-f", users], check=True)
    command = [
        str(binary), "-S", f"127.0.0.1,{port}", "-L", f"{most_names}:12", "-E", "-H",
        "-l", f"puredb:{home / 'users.pdb'}", "-g", str(home / "pid"), "-c", "50", "-C", "50",
        *(("-Y", "2", "-2", str(certificate)) if certificate else ()),
    ]  # fmt: skip
    return start(command, f"ftp://127.0.0.1:{port}", port, home, files)
