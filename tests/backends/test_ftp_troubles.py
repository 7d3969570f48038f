"""What goes wrong with good FTP servers: credentials, certificates, limits, deaths."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.backends.conformance import names, put
from tests.backends.servers import pyftpd, vsftpd
from tests.backends.servers.certificates import Authority
from tests.backends.servers.running import Running, free_port
from tests.backends.test_ftp import settings
from vaultd.backends.ftp.backend import FtpBackend
from vaultd.backends.transport import temporary_names as temporary
from vaultd.errors import PlaceBusy, PlaceError, PlaceFull, PlaceRefused, UsageError


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def plain() -> Iterator[Running]:
    server = pyftpd.start_pyftpd()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[Running]:
    server = vsftpd.start_vsftpd(authority.issue("localhost"))
    yield server
    server.stop()


def refusal(server: Running, ca_file: Path | None = None, **changed: object) -> PlaceError:
    """Return the error of a place with these settings."""
    backend = FtpBackend(settings(server, ca_file, **changed), create=True)
    with pytest.raises(PlaceError) as raised:
        put(backend, "a", b"x")
    backend.close()
    return raised.value


def test_plain_ftp_is_refused_unless_allowed(plain: Running) -> None:
    error = refusal(plain, insecure=False)
    assert isinstance(error, PlaceRefused)
    assert "offers no TLS" in str(error)
    assert "insecure = true" in str(error)


def test_a_wrong_password_is_refused(plain: Running) -> None:
    error = refusal(plain, password="not-the-one")
    assert isinstance(error, PlaceRefused)
    assert "does not let in 'anna'" in str(error)
    assert "not-the-one" not in str(error)


def test_a_wrong_password_is_refused_by_tls(secure: Running, authority: Authority) -> None:
    error = refusal(secure, authority.file, password="not-the-one")
    assert isinstance(error, PlaceRefused)
    assert "does not let in 'ftp' (530 Login incorrect.)" in str(error)


def test_a_certificate_for_another_name_is_refused(secure: Running, authority: Authority) -> None:
    error = refusal(secure, authority.file, host="backup.example")
    assert isinstance(error, PlaceRefused)
    assert "certificate" in str(error)
    assert "backup.example" in str(error)


def test_a_certificate_of_an_unknown_issuer_is_refused(secure: Running) -> None:
    error = refusal(secure, insecure=False)
    assert isinstance(error, PlaceRefused)
    assert "unable to get local issuer certificate" in str(error)
    assert "ca_file" in str(error)


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    server = vsftpd.start_vsftpd(authority.issue("localhost", days=-1))
    try:
        error = refusal(server, authority.file)
    finally:
        server.stop()
    assert isinstance(error, PlaceRefused)
    assert "certificate has expired" in str(error)


def test_a_ca_file_that_is_none_is_named(secure: Running, tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("")
    for path in (tmp_path / "none.pem", tmp_path / "empty"):
        assert str(path) in str(refusal(secure, path, insecure=False))


def test_tls_where_plain_is_spoken_is_refused(plain: Running) -> None:
    assert "TLS with the FTP server" in str(refusal(plain, insecure=False, implicit=True))


def test_a_refused_connection_and_an_unknown_name_say_so(plain: Running) -> None:
    error = refusal(plain, port=free_port())
    assert isinstance(error, PlaceBusy)
    assert not error.unknown
    assert "refuses connections" in str(error)
    error = refusal(plain, connect_to=None, host="nowhere.invalid")
    assert "nowhere.invalid" in str(error)
    assert "not known" in str(error)
    assert "answer that is none" in str(refusal(plain, connect_to=None, host="a" * 70 + ".invalid"))


def test_a_silent_server_is_given_up(plain: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        begun = time.monotonic()
        error = refusal(plain, port=port, read_timeout=0.5, connect_timeout=0.5)
        assert "too long" in str(error)
        error = refusal(plain, port=port, insecure=False, implicit=True, connect_timeout=0.5)
        assert isinstance(error, PlaceBusy)
        assert time.monotonic() - begun < 3


def test_a_missing_folder_is_not_made_unless_asked(plain: Running) -> None:
    backend = FtpBackend(settings(plain, path="/not/there"))
    for verb in (lambda: put(backend, "a", b"x"), lambda: names(backend), backend.probe):
        with pytest.raises(PlaceError, match="/not/there is not on"):
            verb()
    assert not (plain.files / "not").exists()


def test_a_folder_closed_to_us_says_so(secure: Running, authority: Authority) -> None:
    error = refusal(secure, authority.file, path="")  # its root is not writable
    assert isinstance(error, PlaceError)
    assert "553 Could not create file" in str(error)


@pytest.mark.parametrize("what", ["host", "username", "password", "path"])
def test_no_setting_smuggles_a_command_in(plain: Running, what: str) -> None:
    with pytest.raises(UsageError):
        settings(plain, **{what: "a\r\nDELE b"})


class KillingReader(io.RawIOBase):
    """Kills the server after a few pieces."""

    def __init__(self, server: Running) -> None:
        super().__init__()
        self.server, self.given = server, 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        if 3_000_000 < self.given < 3_000_000 + size + 1:
            self.server.process.kill()
            self.server.process.wait()
        return b"x" * size


def test_a_server_killed_amid_an_upload_shows_nothing_and_is_cleaned_by_a_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = pyftpd.start_pyftpd()
    given = settings(server, path="/vaults")
    backend = FtpBackend(given, create=True)
    put(backend, "a/first", b"x")
    with pytest.raises(PlaceBusy):
        backend.create("a/b", KillingReader(server), 50_000_000)
    again = pyftpd.start_pyftpd(port=given.real_port, files=server.files)
    try:
        left = [path.name for path in (server.files / "vaults/a").iterdir()]
        assert len(left) == 2
        assert names(backend) == ["a/first"]
        backend.probe()
        assert len(list((server.files / "vaults/a").iterdir())) == 2  # it may be at work still
        now = time.time()
        monkeypatch.setattr(temporary.time, "time", lambda: now + 90_000)
        backend.probe()
        assert [path.name for path in (server.files / "vaults/a").iterdir()] == ["first"]
        put(backend, "a/b", b"again")
        assert backend.read("a/b") == b"again"
    finally:
        backend.close()
        again.stop()
        server.stop()


def test_sessions_the_server_ended_are_not_used_again(plain: Running) -> None:
    server = pyftpd.start_pyftpd()
    given = settings(server, path="/vaults")
    backend = FtpBackend(given, create=True)
    put(backend, "a", b"x")
    server.process.kill()
    server.process.wait()
    again = pyftpd.start_pyftpd(port=given.real_port, files=server.files)
    try:
        assert backend.read("a") == b"x"
    finally:
        backend.close()
        again.stop()
        server.stop()


def test_the_pool_makes_do_with_what_the_server_allows() -> None:
    server = vsftpd.start_vsftpd(max_clients=2)
    backend = FtpBackend(settings(server, connections=8), create=True)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: put(backend, f"a/{n}", b"x" * 100_000), range(40)))
        assert len(names(backend)) == 40
    finally:
        backend.close()
        server.stop()


def test_logged_in_once_for_many_objects(plain: Running) -> None:
    backend = FtpBackend(settings(plain, connections=2), create=True)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(backend, f"{n % 5}/{n}", b"x"), range(100)))
    assert len(names(backend)) == 100
    log = (plain.home / "log").read_text("utf-8")
    backend.close()
    last = log.rindex("MKD")
    assert log[last:].count("USER") == 0


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], None]]:
    """Mounts a file system of 2 MB on a folder."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "none", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("a small file system can only be mounted by root")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        shutil.rmtree(folder.parents[1], ignore_errors=True)  # where the server's home was


def test_a_full_disk_of_vsftpd_says_so(small_disk: Callable[[Path], None]) -> None:
    server = vsftpd.start_vsftpd()
    backend = FtpBackend(settings(server, path="/vaults"))
    try:
        small_disk(server.files / "vaults")
        with pytest.raises(PlaceFull, match="Make room"):
            put(backend, "a", b"x" * 5_000_000)
        put(backend, "a", b"x" * 1_000_000)
        assert names(backend) == ["a"]
    finally:
        backend.close()
        server.stop()


def test_a_full_disk_of_pyftpdlib_stores_nothing(small_disk: Callable[[Path], None]) -> None:
    """It does not say why a transfer ended, so that it counts as busy."""
    server = pyftpd.start_pyftpd()
    backend = FtpBackend(settings(server, path="/vaults"), create=True)
    try:
        (server.files / "vaults").mkdir()
        small_disk(server.files / "vaults")
        with pytest.raises(PlaceBusy, match="426|broke while"):
            put(backend, "a", b"x" * 5_000_000)
        put(backend, "a", b"x" * 1_000_000)
        assert names(backend) == ["a"]
    finally:
        backend.close()
        server.stop()


@pytest.mark.long
def test_ten_thousand_objects_are_listed(plain: Running) -> None:
    path = f"/many-{secrets.token_hex(4)}"
    folder = plain.files / path[1:]
    for number in range(10_000):
        place = folder / f"{number // 10:04}"
        place.mkdir(parents=True, exist_ok=True)
        (place / str(number)).write_bytes(b"x")
    backend = FtpBackend(settings(plain, path=path))
    found = names(backend)
    assert len(found) == 10_000
    assert found == sorted(found)
    backend.close()
