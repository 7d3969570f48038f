"""FTP and FTPS against pyftpdlib, vsftpd, Pure-FTPd and ProFTPD, plain and with TLS."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.conformance import put
from tests.backends.ftp_conformance import FtpConformance
from tests.backends.servers import proftpd, pure_ftpd, pyftpd, vsftpd
from tests.backends.servers.certificates import Authority
from tests.backends.servers.running import Running
from vaultd.backends.ftp.backend import FtpBackend, FtpSettings
from vaultd.errors import PlaceError


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ftp-authority"))


@pytest.fixture(scope="session")
def pyftpd_plain() -> Iterator[Running]:
    server = pyftpd.start_pyftpd()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pyftpd_tls(authority: Authority) -> Iterator[Running]:
    server = pyftpd.start_pyftpd(authority.issue("localhost"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def vsftpd_plain() -> Iterator[Running]:
    server = vsftpd.start_vsftpd()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def vsftpd_tls(authority: Authority) -> Iterator[Running]:
    server = vsftpd.start_vsftpd(authority.issue("localhost"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def vsftpd_implicit(authority: Authority) -> Iterator[Running]:
    server = vsftpd.start_vsftpd(authority.issue("localhost"), implicit=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pure_plain() -> Iterator[Running]:
    server = pure_ftpd.start_pure_ftpd()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def pure_tls(authority: Authority) -> Iterator[Running]:
    server = pure_ftpd.start_pure_ftpd(authority.issue("localhost"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def proftpd_plain() -> Iterator[Running]:
    server = proftpd.start_proftpd()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def proftpd_tls(authority: Authority) -> Iterator[Running]:
    server = proftpd.start_proftpd(authority.issue("localhost"))
    yield server
    server.stop()


def settings(server: Running, ca_file: Path | None = None, **changed: object) -> FtpSettings:
    """Settings for one of our servers, and a folder of its own there."""
    of_vsftpd = (server.home / "vsftpd.conf").exists()
    module = vsftpd if of_vsftpd else pyftpd
    values: dict[str, object] = {
        "host": "localhost",
        "connect_to": "127.0.0.1",
        "port": int(server.url.rpartition(":")[2]),
        "username": module.USER,
        "password": module.PASSWORD,
        "path": f"/vaults/{secrets.token_hex(4)}",
        "ca_file": ca_file,
        "insecure": ca_file is None,
        "read_timeout": 10.0,
    }
    return FtpSettings(**{**values, **changed})  # type: ignore[arg-type]


def opened(given: FtpSettings) -> Iterator[FtpBackend]:
    backend = FtpBackend(given, create=True)
    yield backend
    backend.close()


class TestPyftpdlib(FtpConformance):
    also_wrong = frozenset({"encryption"})

    @pytest.fixture
    def backend(self, pyftpd_plain: Running) -> Iterator[FtpBackend]:
        yield from opened(settings(pyftpd_plain))


class TestPyftpdlibWithTls(FtpConformance):
    @pytest.fixture
    def backend(self, pyftpd_tls: Running, authority: Authority) -> Iterator[FtpBackend]:
        yield from opened(settings(pyftpd_tls, authority.file))


class TestVsftpd(FtpConformance):
    also_wrong = frozenset({"encryption"})

    @pytest.fixture
    def backend(self, vsftpd_plain: Running) -> Iterator[FtpBackend]:
        yield from opened(settings(vsftpd_plain))


class TestVsftpdWithTls(FtpConformance):
    @pytest.fixture
    def backend(self, vsftpd_tls: Running, authority: Authority) -> Iterator[FtpBackend]:
        yield from opened(settings(vsftpd_tls, authority.file))


class TestVsftpdWithImplicitTls(FtpConformance):
    @pytest.fixture
    def backend(self, vsftpd_implicit: Running, authority: Authority) -> Iterator[FtpBackend]:
        yield from opened(settings(vsftpd_implicit, authority.file, implicit=True))


class TestPureFtpd(FtpConformance):
    also_wrong = frozenset({"encryption"})

    @pytest.fixture
    def backend(self, pure_plain: Running) -> Iterator[FtpBackend]:
        yield from opened(settings(pure_plain))


class TestPureFtpdWithTls(FtpConformance):
    @pytest.fixture
    def backend(self, pure_tls: Running, authority: Authority) -> Iterator[FtpBackend]:
        yield from opened(settings(pure_tls, authority.file))


class TestProFtpd(FtpConformance):
    also_wrong = frozenset({"encryption"})

    @pytest.fixture
    def backend(self, proftpd_plain: Running) -> Iterator[FtpBackend]:
        yield from opened(settings(proftpd_plain))


class TestProFtpdWithTls(FtpConformance):
    @pytest.fixture
    def backend(self, proftpd_tls: Running, authority: Authority) -> Iterator[FtpBackend]:
        yield from opened(settings(proftpd_tls, authority.file))


def test_a_listing_that_pure_ftpd_cuts_short_is_an_error() -> None:
    server = pure_ftpd.start_pure_ftpd(most_names=50)
    backend = FtpBackend(settings(server), create=True)
    try:
        for number in range(60):
            put(backend, f"v/blob-{number:04}", b"x")
        with pytest.raises(PlaceError, match="cut a listing short"):
            list(backend.list("v/"))
    finally:
        backend.close()
        server.stop()
