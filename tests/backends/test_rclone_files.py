"""rclone's FTP and SFTP servers, whose OK and whose 450 mean what no other's do.

Not the whole contract: under load they take seconds for single requests.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backends.conformance import put
from tests.backends.servers.rclone_files import PASSWORD, USER, start_rclone
from vaultd.backends.base import Backend, ObjectInfo
from vaultd.backends.ftp.backend import FtpBackend, FtpSettings
from vaultd.backends.sftp.backend import SftpBackend, SftpSettings
from vaultd.errors import ObjectExists, ObjectMissing


@pytest.fixture(params=["ftp", "sftp"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    server = start_rclone(request.param)
    port = int(server.url.rpartition(":")[2])
    if request.param == "ftp":
        backend: FtpBackend | SftpBackend = FtpBackend(
            FtpSettings(
                host="127.0.0.1", port=port, username=USER, password=PASSWORD, path="vaults",
                insecure=True, read_timeout=120,
            )
        )  # fmt: skip
    else:
        backend = SftpBackend(
            SftpSettings(
                host="127.0.0.1", port=port, username=USER, password=PASSWORD, path="vaults",
                host_key=(server.home / "host_key.pub").read_text(), read_timeout=120,
            )
        )  # fmt: skip
    yield backend
    backend.close()
    server.stop()


def test_what_it_says_is_stored_is_there(backend: Backend) -> None:
    put(backend, "a/b", b"first")
    with pytest.raises(ObjectExists):
        put(backend, "a/b", b"second")
    put(backend, "a/c", b"x" * 100_000)
    assert backend.read("a/b") == b"first"
    assert backend.read("a/c", 99_990) == b"x" * 10
    with pytest.raises(ObjectMissing):
        backend.read("a/d")
    assert list(backend.list("a/")) == [ObjectInfo("a/b", 5), ObjectInfo("a/c", 100_000)]
