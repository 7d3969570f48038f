"""SFTP against OpenSSH's sshd, and against a server that has none of its extensions."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.conformance import BackendConformance, names, put
from tests.backends.ftp_conformance import FtpConformance
from tests.backends.servers.plain_sftp import PASSWORD, USER, plain_sftp
from tests.backends.servers.running import Running
from tests.backends.servers.sshd import start_sshd
from vaultd.backends.base import Backend
from vaultd.backends.sftp.backend import SftpBackend, SftpSettings
from vaultd.backends.sftp.errors import sftp_errors
from vaultd.backends.sftp.host_key import fingerprint
from vaultd.backends.sftp.requests import StatusError
from vaultd.errors import PlaceBusy, PlaceError


@pytest.fixture(scope="session")
def sshd() -> Iterator[Running]:
    server = start_sshd()
    yield server
    server.stop()


def settings(server: Running, **changed: object) -> SftpSettings:
    """Settings for sshd, and a folder of its own there."""
    values: dict[str, object] = {
        "host": "backup.example",
        "connect_to": "127.0.0.1",
        "port": int(server.url.rpartition(":")[2]),
        "username": getpass.getuser(),
        "path": f"{server.files}/vaults/{secrets.token_hex(4)}",
        "key_file": server.home / "user_key",
        "host_key": (server.home / "host_key.pub").read_text(),
        "read_timeout": 10.0,
    }
    return SftpSettings(**{**values, **changed})  # type: ignore[arg-type]


class TestOpenSsh(BackendConformance):
    @pytest.fixture
    def backend(self, sshd: Running) -> Iterator[SftpBackend]:
        backend = SftpBackend(settings(sshd), create=True)
        yield backend
        backend.close()


@pytest.fixture
def plain(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SftpBackend]:
    with plain_sftp(tmp_path, replaces=getattr(request, "param", False)) as (port, key):
        backend = SftpBackend(
            SftpSettings(
                host="127.0.0.1", port=port, username=USER, password=PASSWORD, path="/vaults",
                host_key=fingerprint(key.asbytes()), read_timeout=10,
            ),
            create=True,
        )  # fmt: skip
        yield backend
        backend.close()


class TestWithoutExtensions(BackendConformance):
    """No hard links: the rename of version 3, which refuses to replace."""

    @pytest.fixture
    def backend(self, plain: SftpBackend) -> SftpBackend:
        return plain

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        """It has no fsync and no statvfs either, and says so."""
        put(backend, "a/b", b"x")
        wrong = {finding.what for finding in backend.probe() if not finding.fine}
        assert wrong == {"sync", "space"}
        assert names(backend) == ["a/b"]


@pytest.mark.parametrize("plain", [True], indirect=True)
class TestARenameThatReplaces(FtpConformance):
    """A server that breaks version 3's rule: what holds there is what holds over FTP."""

    also_wrong = frozenset({"sync", "space"})

    @pytest.fixture
    def backend(self, plain: SftpBackend) -> SftpBackend:
        return plain


def test_it_is_asked_nothing_more_when_it_has_cost_enough(sshd: Running) -> None:
    left = [True] * 40

    def check() -> None:
        if not left:
            raise PlaceBusy("It took too much.")
        left.pop()

    backend = SftpBackend(settings(sshd, check=check), create=True)
    with pytest.raises(PlaceBusy, match="took too much"):
        for number in range(40):
            put(backend, f"a{number}", b"x")
    backend.close()


def test_a_servers_words_do_not_repeat_the_password() -> None:
    with (
        pytest.raises(PlaceError) as raised,
        sftp_errors("h:22", "store a file", secret="hunter2"),
    ):
        raise StatusError(4, "x" * 195 + "hunter2")
    assert "hunt" not in str(raised.value)
    assert len(str(raised.value)) < 400
