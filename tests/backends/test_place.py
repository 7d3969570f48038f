"""PLACE URLs."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.opening import Guard, open_place
from vaultd.backends.wrappers.retrying import RetryingBackend
from vaultd.config import Target
from vaultd.errors import PlaceError, PlaceRefused, UsageError


def root_of(url: str) -> Path:
    place = open_place(url)
    assert isinstance(place, FolderBackend)
    metered = open_place(url, Target(url), name="main")
    assert isinstance(metered, RetryingBackend)
    assert isinstance(metered.inner, FolderBackend)
    assert metered.inner.root == place.root
    return place.root


def test_a_file_url_is_a_folder() -> None:
    assert root_of("file:///srv/vaults") == Path("/srv/vaults")
    assert root_of("file://localhost/srv/vaults/") == Path("/srv/vaults")


def test_percent_signs_stand_for_other_characters(tmp_path: Path) -> None:
    folder = tmp_path / "Sicherung älter #1? 100%"
    assert root_of(folder.as_uri()) == folder
    assert root_of("file:///srv/a%20b/%C3%A4") == Path("/srv/a b/ä")


def test_the_folder_is_made_only_when_asked(tmp_path: Path) -> None:
    url = (tmp_path / "a" / "b").as_uri()
    with pytest.raises(PlaceError, match="is not there"):
        list(open_place(url).list())
    assert list(open_place(url, create=True).list()) == []
    assert list(open_place(url).list()) == []


@pytest.mark.parametrize(
    "url", ["", "vaults", "/srv/vaults", "http://host/a", "gopher://bucket", "C:\\a"]
)
def test_other_places_are_refused_with_those_that_exist(url: str) -> None:
    with pytest.raises(UsageError, match="file:///"):
        open_place(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:srv/vaults", "file://", "file://host/vaults", "file:///a?b", "file:///a#b",
        "file:///a%00b", "file:///a%zz", "file:///a%ff", "file://[/a",
    ],
)  # fmt: skip
def test_a_file_url_that_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_place(url)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(UsageError) as raised:
        open_place("ftp://me:hunter2@host/vaults")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "keys", "shown"),
    [
        ("s3://bucket/some/where", {"access_key": "k", "secret_key": "hidden"}, "bucket"),
        ("webdavs://me@host:8443/a%20b", {"password": "hidden"}, "host"),
        ("nextcloud://me@cloud.example/Backups", {"password": "hidden"}, "cloud.example"),
        ("owncloud://cloud.example", {"username": "me", "password": "hidden"}, "cloud.example"),
        ("ftps://me@files.example/vaults", {"password": "hidden"}, "files.example"),
        ("ftp://files.example:2121//srv", {"insecure": True}, "files.example"),
        ("sftp://me@files.example/~/vaults", {"password": "hidden"}, "files.example"),
        ("dropbox:///vaults", {"app_key": "k", "refresh_token": "hidden"}, "vaults"),
    ],
)
def test_every_scheme_has_a_backend_that_shows_no_secret(
    url: str, keys: dict[str, Any], shown: str
) -> None:
    backend = open_place(url, Target(url, **keys), name="off-site")
    assert isinstance(backend, RetryingBackend)
    assert shown in repr(backend)
    assert "hidden" not in repr(backend)


@pytest.mark.parametrize(
    ("url", "most"),
    [
        ("s3://bucket/a", 24),
        ("webdavs://host/a", 24),
        ("nextcloud://host", 8),
        ("ftps://me@host/a", 8),
    ],
)
def test_as_many_requests_go_at_once_as_asked_for_and_as_the_kind_of_place_takes(
    url: str, most: int
) -> None:
    backend = open_place(url, Target(url), at_once=24)
    assert isinstance(backend, RetryingBackend)
    running, highest, lock, go = 0, 0, threading.Lock(), threading.Event()

    def delete(_: str) -> None:
        nonlocal running, highest
        with lock:
            running += 1
            highest = max(highest, running)
        go.wait(10)
        with lock:
            running -= 1

    backend.inner.delete = delete  # type: ignore[method-assign]
    go.set()
    backend.delete("first")  # until a place has answered once it gets one request at a time
    go.clear()
    with ThreadPoolExecutor(32) as pool:
        done = [pool.submit(backend.delete, f"n{number}") for number in range(64)]
        while highest < most and not done[0].done():
            time.sleep(0.01)
        go.set()
    assert highest == most


@pytest.mark.parametrize(
    ("url", "keys", "said"),
    [
        ("webdav://host/a", {}, "insecure = true"),
        ("s3:///prefix", {}, "names no host"),
        ("webdavs:///a", {}, "names no host"),
        ("dropbox://host/a", {"app_key": "k"}, "names no host"),
        ("s3://me:hunter2@bucket/a", {}, "as `password`"),
        ("webdavs://me:hunter2@host/a", {}, "as `password`"),
        ("s3://bucket/%ff", {}, "not UTF-8"),
        ("s3://bucket:99999/a", {}, "not a URL"),
        ("webdavs://host/a?b=hunter2", {}, "%3F"),
    ],
)
def test_what_cannot_be_opened_says_why(url: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_place(url, Target(url, **keys))
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        ("webdav://127.0.0.1:1/a", {"insecure": True}),
        ("webdavs://localhost:1/a", {}),
        ("nextcloud://169.254.169.254/a", {"username": "me", "password": "x"}),
        ("s3://bucket/a", {"endpoint": "http://127.0.0.1:1", "access_key": "a", "secret_key": "b"}),
        ("dropbox:///a", {"app_key": "k", "refresh_token": "t", "endpoint": "http://127.0.0.1:1"}),
    ],
)
def test_a_users_own_place_cannot_be_an_inner_address(url: str, keys: dict[str, Any]) -> None:
    backend = open_place(url, Target(url, **keys), guard=Guard())
    with pytest.raises(PlaceRefused, match="address"):
        list(backend.list())


@pytest.mark.parametrize("scheme", ["ftp", "ftps", "sftp"])
def test_a_users_own_server_cannot_be_an_inner_address(scheme: str) -> None:
    url = f"{scheme}://me@127.0.0.1/a"
    with pytest.raises(PlaceRefused, match="address"):
        open_place(url, Target(url, password="x"), guard=Guard())


def test_a_users_own_place_is_no_folder_and_never_uses_the_pods_keys() -> None:
    with pytest.raises(UsageError, match="folder"):
        open_place("file:///srv", guard=Guard())
    with pytest.raises(UsageError, match="access key"):
        open_place("s3://bucket", Target("s3://bucket"), guard=Guard())


@pytest.mark.parametrize("base_path", ["", "/nc", "nc", ".evil.example", "@evil.example", ":1"])
def test_a_cloud_lies_at_the_host_that_its_url_shows(base_path: str) -> None:
    url = "nextcloud://me@cloud.example/x"
    place = open_place(url, Target(url, password="x", base_path=base_path), name="own")
    assert "(https://cloud.example/" in repr(place)
