"""ProFTPD with a password file of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tests.backends.servers.running import Running, free_port, new_folder, start
from tests.servers import unavailable

USER, PASSWORD = "anna", "correct horse"
_ROOT = Path("/opt/vaultd-tests/proftpd")
_TLS = """
LoadModule mod_tls.c
TLSEngine on
TLSRequired on
TLSRSACertificateFile {pem}
TLSRSACertificateKeyFile {pem}
"""


def start_proftpd(certificate: Path | None = None) -> Running:
    """Start it on a free port, with TLS alone by this PEM file if given."""
    binary = _ROOT / "usr/sbin/proftpd"
    if not binary.exists():
        unavailable("proftpd", f"there is no {binary}")
    if os.geteuid() != 0:
        unavailable("proftpd", "it can only be started by root")
    home, port = new_folder(), free_port()
    files, owner = home / "files", pwd.getpwnam("nobody")
    (files / "vaults").mkdir(parents=True)
    shutil.chown(files / "vaults", "nobody")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    users = home / "users"
    users.write_text(f"{USER}:{hashed}:{owner.pw_uid}:{owner.pw_gid}::{files}:/bin/false\n")
    users.chmod(0o600)
    configuration = home / "proftpd.conf"
    configuration.write_text(
        f"ModulePath {_ROOT}/usr/lib/proftpd\nServerType standalone\nUseIPv6 off\n"
        f"DefaultAddress 127.0.0.1\nSocketBindTight on\nPort {port}\n"
        f"User nobody\nGroup nogroup\n"
        f"AuthUserFile {users}\nAuthOrder mod_auth_file.c\nRequireValidShell off\n"
        f"AuthPAM off\nWtmpLog off\nTransferLog none\nSystemLog {home / 'system.log'}\n"
        f"PidFile {home / 'pid'}\nScoreboardFile {home / 'scoreboard'}\nControlsSocket {home / 'ctl'}\n"
        "ControlsEngine off\nMaxInstances 60\nUmask 077\nAllowOverwrite on\nDefaultRoot ~\n"
        + (_TLS.format(pem=certificate) if certificate else "")
    )
    command = [str(binary), "-n", "-c", str(configuration)]
    return start(command, f"ftp://127.0.0.1:{port}", port, home, files)
