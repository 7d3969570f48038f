"""wsgidav on cheroot, with Basic or Digest login, and TLS where a certificate is given."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from tests.backends.servers.running import PASSWORD, USER, Running, free_port, new_folder, start
from tests.servers import unavailable


def start_wsgidav(*, digest: bool = False, certificate: Path | None = None) -> Running:
    """Start wsgidav; `certificate` is a PEM file with chain and key."""
    if importlib.util.find_spec("wsgidav") is None:
        unavailable("wsgidav", "it is not installed")
    home, port = new_folder(), free_port()
    files = home / "files"
    files.mkdir()
    settings = {
        "port": port,
        "files": str(files),
        "digest": digest,
        "certificate": None if certificate is None else str(certificate),
    }
    scheme = "http" if certificate is None else "https"
    command = [sys.executable, __file__, json.dumps(settings)]
    return start(command, f"{scheme}://localhost:{port}", port, home, files)


def _serve(settings: dict[str, object]) -> None:
    from cheroot.ssl.builtin import BuiltinSSLAdapter
    from cheroot.wsgi import Server
    from wsgidav.fs_dav_provider import FilesystemProvider
    from wsgidav.wsgidav_app import WsgiDAVApp

    digest = bool(settings["digest"])
    application = WsgiDAVApp(
        {
            "provider_mapping": {"/": FilesystemProvider(settings["files"])},
            "http_authenticator": {
                "accept_basic": not digest, "accept_digest": digest, "default_to_digest": digest,
            },
            "simple_dc": {"user_mapping": {"*": {USER: {"password": PASSWORD}}}},
            "logging": {"enable": False},
            "verbose": 0,
        }
    )  # fmt: skip
    port = settings["port"]
    assert isinstance(port, int)
    server = Server(("127.0.0.1", port), application, numthreads=20)
    server.keep_alive_conn_limit = 1000
    certificate = settings["certificate"]
    if isinstance(certificate, str):
        server.ssl_adapter = BuiltinSSLAdapter(certificate, certificate)
    server.safe_start()


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
