"""OpenSSH's sshd as an ordinary process with its own host key, configuration and port."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path

from tests.backends.servers.running import Running, free_port, new_folder, start
from tests.servers import unavailable


def start_sshd() -> Running:
    """Start it for this user; `home` has `host_key.pub`, and `user_key` that may log in.

    A password never works there: only root's sshd could check one, against this machine's own.
    """
    binary = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    if binary is None:
        unavailable("sshd", "there is no sshd")
    if os.geteuid() == 0:  # what sshd shuts its own children into
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    home = new_folder()
    files = home / "files"
    files.mkdir()
    for name in ("host_key", "user_key"):
        make_key(home / name)
    shutil.copy(home / "user_key.pub", home / "authorized_keys")
    port = free_port()
    (home / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {home}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {home}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin yes\nPasswordAuthentication yes\nSubsystem sftp internal-sftp\n"
        "MaxStartups 100\nLogLevel ERROR\n"
    )
    command = [str(binary), "-D", "-e", "-f", str(home / "sshd_config")]
    url = f"sftp://{getpass.getuser()}@127.0.0.1:{port}"
    return start(command, url, port, home, files)


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    """Make a private key and its public half beside it."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)], check=True
    )
