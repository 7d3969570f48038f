"""pyftpdlib as a process of its own: MLSD, RNTO that replaces, TLS where PyOpenSSL is there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.backends.servers.running import Running

USER, PASSWORD = "anna", "correct horse"


def start_pyftpd(
    certificate: Path | None = None, *, port: int | None = None, files: Path | None = None
) -> Running:
    """Start it, with TLS by this PEM file if given; on a free port with new files if not."""
    from tests.backends.servers.running import free_port, new_folder, start
    from tests.servers import unavailable

    if importlib.util.find_spec("pyftpdlib") is None:
        unavailable("pyftpdlib", "it is not installed")
    if certificate is not None and importlib.util.find_spec("OpenSSL") is None:
        unavailable("pyopenssl", "pyftpdlib has no TLS without the package pyopenssl")
    home = new_folder()
    if files is None:
        files = home / "files"
        files.mkdir()
    port = port or free_port()
    command = [sys.executable, __file__, str(port), str(files)]
    if certificate is not None:
        command.append(str(certificate))
    return start(command, f"ftp://127.0.0.1:{port}", port, home, files)


def _serve(port: int, files: str, certificate: str | None) -> None:
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

    handler = FTPHandler
    if certificate is not None:
        from pyftpdlib.handlers import TLS_FTPHandler

        handler = TLS_FTPHandler
        handler.certfile = handler.keyfile = certificate
        handler.tls_control_required = handler.tls_data_required = True
    handler.authorizer = DummyAuthorizer()
    handler.authorizer.add_user(USER, PASSWORD, files, perm="elradfmwMT")
    handler.auth_failed_timeout = 0
    server = FTPServer(("127.0.0.1", port), handler)
    server.max_cons_per_ip = 30
    server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None)
