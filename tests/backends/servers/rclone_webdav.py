"""`rclone serve webdav`, which ignores conditions (libs: the disobedient one)."""

from __future__ import annotations

import shutil

from tests.backends.servers.running import PASSWORD, USER, Running, free_port, new_folder, start
from tests.servers import unavailable


def start_rclone() -> Running:
    """Start rclone over a local folder."""
    binary = shutil.which("rclone")
    if binary is None:
        unavailable("rclone", "there is no rclone")
    home, port = new_folder(), free_port()
    files = home / "files"
    files.mkdir()
    command = [
        binary, "serve", "webdav", str(files), "--addr", f"127.0.0.1:{port}", "--user", USER,
        "--pass", PASSWORD, "--config", str(home / "rclone.conf"), "--dir-cache-time", "0s",
        "--cache-dir", str(home / "cache"),
    ]  # fmt: skip
    return start(command, f"http://127.0.0.1:{port}", port, home, files)
