"""Folders of a WebDAV place: made by many threads and processes at once, known from listings."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.backends.proxy import Plan, Proxy
from tests.backends.servers.apache_dav import start_apache
from tests.backends.servers.running import PASSWORD, USER, Running
from tests.backends.test_webdav import new_place
from vaultd.backends.webdav.backend import WebdavBackend, WebdavSettings
from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
from vaultd.errors import PlaceBusy


@pytest.fixture(scope="module")
def apache() -> Iterator[Running]:
    server = start_apache()
    yield server
    server.stop()


def through(proxy: Proxy, folder: str, *, create: bool = True) -> WebdavBackend:
    url = f"http://127.0.0.1:{proxy.port}/dav/{folder}"
    return WebdavBackend(WebdavSettings(url, username=USER, password=PASSWORD), create=create)


def put(place: WebdavBackend, name: str) -> None:
    place.create(name, io.BytesIO(b"x"), 1)


class TestFolders:
    def test_many_processes_make_one_root_at_once(self, apache: Running) -> None:
        for turn in range(20):
            places = [new_place(f"{apache.url}/dav") for _ in range(6)]
            url, barrier = places[0].root(), Barrier(len(places))

            def first(place: WebdavBackend, barrier: Barrier = barrier) -> list[object]:
                # A loaded server may break a connection off; that is asked again, as in a run.
                patient = RetryingBackend(place, "apache", RetryPolicy())
                barrier.wait()
                return list(patient.list())

            for place in places:
                place._known_root = url.copy_with(raw_path=url.raw_path + f"-{turn}".encode())
            with ThreadPoolExecutor(len(places)) as pool:
                assert list(pool.map(first, places)) == [[]] * len(places)

    def test_a_folder_is_made_once_and_one_that_was_listed_not_at_all(
        self, apache: Running
    ) -> None:
        with Proxy(int(apache.url.rpartition(":")[2])) as proxy:
            place = through(proxy, "once")
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda n: put(place, f"v{n % 4}/{n}"), range(32)))
            assert proxy.requests["MKCOL"] == 1 + 4  # the root too
            again = through(proxy, "once", create=False)
            for number in range(4):
                assert len(list(again.list(f"v{number}/"))) == 8
                put(again, f"v{number}/new")
            assert proxy.requests["MKCOL"] == 1 + 4

    def test_a_folder_far_away_does_not_keep_the_others_waiting(self, apache: Running) -> None:
        with Proxy(int(apache.url.rpartition(":")[2])) as proxy:
            place = through(proxy, "far")
            put(place, "a/1")
            stuck = proxy.connections
            proxy.plan = lambda number: Plan(black_hole=number == stuck)
            proxy.cut()
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(put, place, "b/1")
                while proxy.connections == stuck:
                    time.sleep(0.01)
                put(place, "c/1")
                assert not waiting.done()
                proxy.cut()
                assert isinstance(waiting.exception(), PlaceBusy)
            put(place, "b/1")
            assert [info.name for info in place.list()] == ["a/1", "b/1", "c/1"]
