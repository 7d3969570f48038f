"""vsftpd with its own configuration: LIST only, and TLS data connections that must resume."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path

from tests.backends.servers.running import Running, free_port, new_folder, start
from tests.servers import unavailable

# vsftpd needs PAM for any user but this one; the right password is a line of a file of ours.
USER, PASSWORD = "ftp", "correct-horse"

_CONFIGURATION = """
listen=YES
listen_address=127.0.0.1
background=NO
local_enable=NO
anonymous_enable=YES
secure_email_list_enable=YES
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=077
ftp_username=ftp
nopriv_user=nobody
connect_from_port_20=NO
xferlog_enable=NO
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
delay_failed_login=0
"""
_TLS = """
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=YES
"""


def start_vsftpd(
    certificate: Path | None = None, *, implicit: bool = False, max_clients: int = 0
) -> Running:
    """Start it on a free port, with TLS by this PEM file if given; files go to `files/vaults`."""
    binary = shutil.which("vsftpd") or shutil.which("vsftpd", path="/usr/sbin")
    if binary is None:
        unavailable("vsftpd", "there is no vsftpd")
    if os.geteuid() != 0:
        unavailable("vsftpd", "it can only be started by root")
    try:
        pwd.getpwnam("ftp")
    except KeyError:
        unavailable("vsftpd", "there is no user ftp, which its package makes")
    home = new_folder()
    files = home / "files"
    for folder in (files, files / "vaults", home / "empty"):
        folder.mkdir(mode=0o755)
    shutil.chown(files / "vaults", "ftp")
    (home / "passwords").write_text(f"{PASSWORD}\n")
    port = free_port()
    configuration = home / "vsftpd.conf"
    configuration.write_text(
        _CONFIGURATION
        + f"listen_port={port}\nanon_root={files}\nsecure_chroot_dir={home / 'empty'}\n"
        + f"email_password_file={home / 'passwords'}\nmax_clients={max_clients}\n"
        + (_TLS + f"rsa_cert_file={certificate}\n" if certificate else "")
        + ("implicit_ssl=YES\n" if implicit else "")
    )
    return start([str(binary), str(configuration)], f"ftp://127.0.0.1:{port}", port, home, files)
