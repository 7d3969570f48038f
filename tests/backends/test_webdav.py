"""WebDAV against wsgidav, Apache mod_dav, nginx and rclone."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backends.conformance import names, put
from tests.backends.servers.apache_dav import start_apache
from tests.backends.servers.nginx_dav import start_nginx
from tests.backends.servers.rclone_webdav import start_rclone
from tests.backends.servers.running import PASSWORD, USER, Running
from tests.backends.servers.wsgidav_server import start_wsgidav
from tests.backends.webdav_conformance import WebdavConformance, numbers
from vaultd.backends.trial import try_out
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
from vaultd.errors import PlaceBusy


@pytest.fixture(scope="session")
def wsgidav() -> Iterator[Running]:
    server = start_wsgidav()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def apache() -> Iterator[Running]:
    server = start_apache()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def nginx() -> Iterator[Running]:
    server = start_nginx()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def rclone() -> Iterator[Running]:
    server = start_rclone()
    yield server
    server.stop()


def new_place(base: str, **settings: object) -> WebdavBackend:
    """Return a place in a new folder of the server."""
    given = {"username": USER, "password": PASSWORD, **settings}
    return WebdavBackend(WebdavSettings(f"{base}/t{next(numbers)}", **given), create=True)  # type: ignore[arg-type]


def temporaries(files: Path) -> list[Path]:
    return [path for path in files.rglob("*") if "tmp-" in path.name]


class OnServer(WebdavConformance):
    """The suite on a server whose files lie in a folder that the test can see."""

    base = ""

    @pytest.fixture
    def server(self) -> Running:
        raise NotImplementedError

    @pytest.fixture
    def backend(self, server: Running) -> Iterator[WebdavBackend]:
        place = new_place(server.url + self.base)
        yield place
        files = server.files / place.root().path.rpartition("/")[2]
        # A server may finish an upload that was broken off after it was told to delete it.
        time.sleep(0.05)
        for path in temporaries(files):
            os.utime(path, (time.time() - 90_000,) * 2)
            place.probe()
        assert temporaries(files) == []

    def test_a_trial_by_the_verbs_of_a_run_is_fine(self, backend: WebdavBackend) -> None:
        finding = try_out(backend)
        assert finding.fine, finding.sentence


class TestWsgidav(OnServer):
    @pytest.fixture
    def server(self, wsgidav: Running) -> Running:
        return wsgidav


class TestApache(OnServer):
    base = "/dav"

    @pytest.fixture
    def server(self, apache: Running) -> Running:
        return apache


class TestNginx(OnServer):
    @pytest.fixture
    def server(self, nginx: Running) -> Running:
        return nginx

    def test_a_folder_that_has_gone_is_made_anew(
        self, server: Running, backend: WebdavBackend
    ) -> None:
        """PUT into a missing folder is 500 here, as is much else."""
        put(backend, "v/one", b"x")
        shutil.rmtree(server.files / backend.root().path.strip("/") / "v")
        with pytest.raises(PlaceBusy, match="folder at .* has gone"):
            put(backend, "v/two", b"x")
        put(backend, "v/two", b"x")
        assert names(backend) == ["v/two"]


class TestRclone(OnServer):
    @pytest.fixture
    def server(self, rclone: Running) -> Running:
        return rclone
