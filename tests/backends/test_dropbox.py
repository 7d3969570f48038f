"""The Dropbox backend on a small faithful Dropbox: the contract, and what only it can suffer."""

from __future__ import annotations

import io
import logging
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backends.conformance import BackendConformance, FailingReader, TroubleError, names, put
from tests.backends.proxy import Plan, Proxy, random_plans
from tests.backends.servers.authority import Authority
from tests.backends.servers.dropbox import serve_dropbox
from tests.backends.servers.dropbox_account import Dropbox, File, Trouble
from tests.backends.servers.raw_tcp import serve
from vaultd.backends.dropbox.backend import DropboxBackend, DropboxSettings
from vaultd.errors import (
    ObjectExists,
    ObjectMissing,
    PlaceBusy,
    PlaceClosed,
    PlaceError,
    PlaceFull,
    PlaceRefused,
    UsageError,
)

MIB = 1024 * 1024
UPLOAD = "files/upload"
START, APPEND, FINISH = (
    f"files/upload_session/{verb}" for verb in ("start", "append_v2", "finish")
)


@pytest.fixture
def dropbox() -> Iterator[Dropbox]:
    with serve_dropbox(Dropbox()) as running:
        yield running


def settings(dropbox: Dropbox, **more: Any) -> DropboxSettings:
    known: dict[str, Any] = {
        "app_key": dropbox.app_key,
        "refresh_token": dropbox.grant(),
        "api_url": dropbox.api_url,
        "content_url": dropbox.content_url,
        "connect_timeout": 5,
        "read_timeout": 10,
    }
    return DropboxSettings(**{**known, **more})


@pytest.fixture
def backend(dropbox: Dropbox) -> DropboxBackend:
    return DropboxBackend(settings(dropbox))


class TestDropbox(BackendConformance):
    pass


class TestDropboxInSmallPages(BackendConformance):
    """The same with an app folder, whose root is the place, and listings of three entries."""

    @pytest.fixture
    def backend(self, dropbox: Dropbox) -> DropboxBackend:
        dropbox.page = 3
        return DropboxBackend(settings(dropbox, folder="/"))


# How many requests a verb is.


def count(dropbox: Dropbox, action: Callable[[], object]) -> list[str]:
    before = len(dropbox.requests)
    action()
    return [route for route, _ in dropbox.requests[before:]]


def test_the_requests_of_each_verb(dropbox: Dropbox, backend: DropboxBackend) -> None:
    assert count(dropbox, lambda: put(backend, "v/a", b"x")) == ["/oauth2/token", UPLOAD]
    assert count(dropbox, lambda: put(backend, "v/b", b"x" * 8 * MIB)) == [UPLOAD]
    assert count(dropbox, lambda: put(backend, "v/c", b"x" * (8 * MIB + 1))) == [
        "files/get_metadata", START, FINISH,
    ]  # fmt: skip
    assert count(dropbox, lambda: put(backend, "v/d", b"x" * 24 * MIB)) == [
        "files/get_metadata", START, APPEND, FINISH,
    ]  # fmt: skip
    assert count(dropbox, lambda: backend.read("v/a")) == ["files/download"]
    assert count(dropbox, lambda: backend.delete("v/a")) == [
        "files/get_metadata",
        "files/delete_v2",
    ]
    assert count(dropbox, lambda: names(backend)) == ["files/list_folder"]
    assert count(dropbox, backend.space) == ["users/get_space_usage"]


# Objects in parts.


@pytest.mark.parametrize("size", [8 * MIB + 1, 16 * MIB, 20 * MIB + 7])
def test_objects_in_parts_come_back_the_same(backend: DropboxBackend, size: int) -> None:
    content = random.Random(size).randbytes(size)
    put(backend, "v/large", content)
    assert backend.read("v/large") == content
    with pytest.raises(ObjectExists):
        put(backend, "v/large", content)


def test_an_object_in_parts_is_invisible_until_its_end(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    with pytest.raises(TroubleError):
        backend.create("v/large", FailingReader(17 * MIB, TroubleError("mine")), 20 * MIB)
    with pytest.raises(PlaceError, match="longer than its promised"):
        backend.create("v/large", io.BytesIO(bytes(20 * MIB + 1)), 20 * MIB)
    assert names(backend) == []
    assert dropbox.routes(FINISH) == 0


def test_of_parallel_creators_in_parts_one_wins(backend: DropboxBackend) -> None:
    def create(number: int) -> bool:
        try:
            put(backend, "v/large", bytes([number]) * (9 * MIB))
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(create, range(4)))
    assert won.count(True) == 1
    assert backend.read("v/large", 0, 10) == bytes([won.index(True)]) * 10


@pytest.mark.parametrize("route", [START, APPEND, FINISH])
def test_a_part_that_dropbox_lost_count_of_is_busy_and_leaves_nothing(
    dropbox: Dropbox, backend: DropboxBackend, route: str
) -> None:
    at = {"error_summary": "incorrect_offset/..", "error": {".tag": "incorrect_offset",
                                                            "correct_offset": 5}}  # fmt: skip
    dropbox.troubles[route] = [Trouble(409, at)]
    with pytest.raises(PlaceBusy, match="lost count") as raised:
        put(backend, "v/large", bytes(20 * MIB))
    assert raised.value.unknown is False
    assert names(backend) == []


def test_an_upload_that_dropbox_forgot_is_busy(dropbox: Dropbox, backend: DropboxBackend) -> None:
    real = dropbox.session_start
    for size in (9 * MIB, 20 * MIB):  # told by finish, and by append

        def forget(argument: dict[str, Any], content: bytes) -> dict[str, Any]:
            return real(argument, content) | {"session_id": "pid_upload_session:gone"}

        dropbox.session_start = forget
        with pytest.raises(PlaceBusy, match="lost count"):
            put(backend, "v/large", bytes(size))


def test_a_wrong_offset_is_seen_by_the_server(dropbox: Dropbox, backend: DropboxBackend) -> None:
    real = dropbox.session_append

    def twice(argument: dict[str, Any], content: bytes) -> None:
        real(argument, content)
        dropbox.sessions[argument["cursor"]["session_id"]]["content"] += content

    dropbox.session_append = twice
    with pytest.raises(PlaceBusy, match="lost count"):
        put(backend, "v/large", bytes(20 * MIB))
    assert names(backend) == []


# What Dropbox stored.


@pytest.mark.parametrize("size", [1000, 9 * MIB])
def test_a_wrong_hash_is_noticed_and_the_object_removed(
    dropbox: Dropbox, backend: DropboxBackend, size: int
) -> None:
    put(backend, "v/good", b"x")
    dropbox.damage_next_store = True
    with pytest.raises(
        PlaceError, match="stored other bytes under v/bad than it was sent.*removed"
    ):
        put(backend, "v/bad", b"x" * size)
    assert names(backend) == ["v/good"]
    put(backend, "v/bad", b"x" * size)


def test_a_damaged_object_that_cannot_be_removed_is_said(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    dropbox.damage_next_store = True
    dropbox.troubles["files/delete_v2"] = [Trouble(503)]
    with pytest.raises(PlaceError, match="other bytes.*could not be removed"):
        put(backend, "v/bad", b"x")


def test_bytes_damaged_on_the_way_are_refused_by_dropbox(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    real = dropbox.upload
    dropbox.upload = lambda argument, content: real(argument, content[:-1] + b"?")
    with pytest.raises(PlaceBusy, match="damaged") as raised:
        put(backend, "v/a", b"hello")
    assert raised.value.unknown is False
    assert dropbox.files == {}


def test_a_part_damaged_on_the_way_is_refused_by_dropbox(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    real = dropbox.session_start
    dropbox.session_start = lambda argument, content: real(argument, b"?" + content[1:])
    with pytest.raises(PlaceBusy, match="damaged"):
        put(backend, "v/a", bytes(9 * MIB))


def test_the_same_content_again_is_a_conflict_too_and_a_lax_dropbox_is_found_by_the_probe(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    put(backend, "v/a", b"same")
    with pytest.raises(ObjectExists, match="v/a is already in Dropbox"):
        put(backend, "v/a", b"same")
    dropbox.ignore_strictness = True
    (finding,) = [f for f in backend.probe() if not f.fine]
    assert finding.what == "create without replacing"


# Folders, case, foreign files.


def test_case_and_foreign_files(dropbox: Dropbox, backend: DropboxBackend) -> None:
    put(backend, "v/a", b"x")
    for path in ("/vaultd/v/README", "/vaultd/Readme.txt", "/vaultd/v/.hidden", "/elsewhere/v/b",
                 "/vaultd/v/Übung", "/vaultd2/v/c"):  # fmt: skip
        dropbox.upload({"path": path}, b"foreign")
    assert names(backend) == ["v/a"]
    with pytest.raises(ObjectExists):
        put(backend, "v/readme", b"x")
    backend.probe()
    assert len(dropbox.files) == 7


def test_a_folder_in_any_case_and_script_is_found(dropbox: Dropbox) -> None:
    backend = DropboxBackend(settings(dropbox, folder="Sicherung/PRÜFUNG İ/"))
    put(backend, "v/a", b"x")
    assert backend.settings.folder == "/Sicherung/PRÜFUNG İ"
    assert (names(backend), names(backend, "v/")) == (["v/a"], ["v/a"])
    assert backend.read("v/a") == b"x"
    backend.delete("v/a")
    assert names(backend) == []


def test_a_folder_is_never_removed_or_replaced(dropbox: Dropbox, backend: DropboxBackend) -> None:
    put(backend, "v/a", b"x")
    backend.delete("v")
    assert names(backend) == ["v/a"]
    with pytest.raises(PlaceError, match="a folder has this name"):
        put(backend, "v", b"x")
    with pytest.raises(PlaceError, match="a folder has this name"):
        put(backend, "v", bytes(9 * MIB))
    with pytest.raises(PlaceError, match="name of a folder above"):
        put(backend, "v/a/b", b"x")
    with pytest.raises(ObjectMissing):
        backend.read("v", 0, 0)


def test_an_object_that_changed_while_it_is_removed_stays(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    put(backend, "v/a", b"x")
    real = dropbox.get_metadata

    def replaced_meanwhile(path: str) -> dict[str, Any]:
        found = real(path)
        dropbox.files[path].rev = "15c0ffee0001"
        return found

    dropbox.get_metadata = replaced_meanwhile
    with pytest.raises(PlaceBusy, match="changed while"):
        backend.delete("v/a")
    assert names(backend) == ["v/a"]
    dropbox.get_metadata = real
    dropbox.troubles["files/delete_v2"] = [
        Trouble(409, {"error": {".tag": "path_lookup", "path_lookup": {".tag": "not_found"}}})
    ]
    backend.delete("v/a")  # somebody else was faster


# Listings.


def test_a_long_listing_comes_in_pages(dropbox: Dropbox, backend: DropboxBackend) -> None:
    for number in range(5000):
        dropbox.upload({"path": f"/vaultd/v{number % 50}/{number}"}, b"x")
    assert len(names(backend)) == 5000
    assert dropbox.routes("files/list_folder") + dropbox.routes("files/list_folder/continue") == 3
    assert len(names(backend, "v7/")) == 100


def test_changes_amid_a_listing_are_heeded(dropbox: Dropbox, backend: DropboxBackend) -> None:
    for name in ("a/1", "a/2", "b/1", "b/2", "c/1", "c/2"):
        put(backend, name, b"x")
    dropbox.page, steps = 2, iter(range(100))

    def change() -> None:
        if next(steps) == 0:
            dropbox.delete("/vaultd/a", None)
            dropbox.delete("/vaultd/b/1", None)
            dropbox.upload({"path": "/vaultd/a/2"}, b"new")
            dropbox.upload({"path": "/vaultd/d/1"}, b"x")

    dropbox.on_page = change
    assert names(backend) == ["a/2", "b/2", "c/1", "c/2", "d/1"]
    assert [info.size for info in backend.list("a/")] == [3]


def test_a_cursor_that_ended_is_busy(dropbox: Dropbox, backend: DropboxBackend) -> None:
    for number in range(5):
        put(backend, f"v/{number}", b"x")
    dropbox.page, dropbox.on_page = 2, dropbox.cursors.clear
    with pytest.raises(PlaceBusy, match="start again"):
        names(backend)


@pytest.mark.parametrize("entries", [[], [{".tag": "folder", "path_lower": "/vaultd/x"}]])
def test_a_listing_without_end_ends(
    dropbox: Dropbox, backend: DropboxBackend, entries: list[object]
) -> None:
    page = {"entries": entries, "cursor": "c", "has_more": True}
    dropbox.list_folder = lambda *_: page
    dropbox.list_continue = lambda _: page
    with pytest.raises(PlaceError, match="lists without end"):
        names(backend)


@pytest.mark.parametrize(
    "body",
    ["", "null", "[]", "{}", "[" * 200_000, '{"entries":[],"cursor":1,"has_more":false}',
     '{"entries":[{"size":-1}],"cursor":"c","has_more":false}', "\xff",
     '{"entries":' + "[" * 200_000, '{"entries":[],"x":' + '{"a":' * 200_000],
)  # fmt: skip
def test_a_listing_that_is_none_is_a_sentence(
    dropbox: Dropbox, backend: DropboxBackend, body: str
) -> None:
    dropbox.troubles["files/list_folder"] = [Trouble(200, body)]
    with pytest.raises(PlaceError, match="answer that vaultd does not understand"):
        names(backend)


# Reading.


def test_a_dropbox_that_ignores_ranges_is_noticed(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    put(backend, "v/a", b"0123456789")
    dropbox.ignore_ranges = True
    assert backend.read("v/a") == b"0123456789"
    assert backend.read("v/a", 0, 20) == b"0123456789"
    with pytest.raises(PlaceError, match="more than was asked"):
        backend.read("v/a", 0, 5)
    assert backend.read("v/a", 5, 20) == b"56789"
    with pytest.raises(PlaceError, match="more than was asked"):
        backend.probe()


@pytest.mark.parametrize(
    ("content_range", "body"),
    [("bytes 2-4/10", "234"), ("bytes 3-4/10", "34"), ("bytes 3-5/10", "3456"), ("", "345"),
     ("lines 3-5/10", "345"), ("bytes 3-5/" + "9" * 50, "345")],
)  # fmt: skip
def test_another_part_than_asked_for_is_never_returned(
    dropbox: Dropbox, backend: DropboxBackend, content_range: str, body: str
) -> None:
    put(backend, "v/a", b"0123456789")
    headers = {"Content-Range": content_range} if content_range else {}
    dropbox.troubles["files/download"] = [Trouble(206, body, headers)]
    with pytest.raises(PlaceError):
        backend.read("v/a", 3, 3)
    assert backend.read("v/a", 3, 3) == b"345"


def test_one_answer_is_bounded(dropbox: Dropbox) -> None:
    backend = DropboxBackend(settings(dropbox, largest_read=1000))
    put(backend, "v/a", bytes(1000))
    put(backend, "v/b", bytes(1001))
    assert len(backend.read("v/a")) == 1000
    with pytest.raises(PlaceError, match="more than was asked for"):
        backend.read("v/b")


# Who is let in.


def test_an_expired_token_is_renewed_once_for_all_threads(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    put(backend, "v/a", b"x")
    assert dropbox.routes("/oauth2/token") == 1
    dropbox.expire()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: put(backend, f"v/{n}", b"x"), range(40)))
    assert dropbox.routes("/oauth2/token") == 2
    assert len(names(backend)) == 41


def test_a_token_near_its_end_is_not_used_any_more(dropbox: Dropbox) -> None:
    backend = DropboxBackend(settings(dropbox))
    now = [1000.0]
    backend._api.tokens._clock = lambda: now[0]
    backend.space()
    for seconds, asked in ((14400 - 301, 1), (2, 2), (100, 2), (14400, 3)):
        now[0] += seconds
        backend.space()
        assert dropbox.routes("/oauth2/token") == asked


def test_a_revoked_access_is_a_clear_sentence(dropbox: Dropbox, backend: DropboxBackend) -> None:
    put(backend, "v/a", b"x")
    dropbox.revoke()
    actions: list[Callable[[], object]] = [
        lambda: put(backend, "v/b", b"x"),
        lambda: put(backend, "v/b", bytes(9 * MIB)),
        lambda: backend.read("v/a"),
        lambda: backend.delete("v/a"),
        lambda: names(backend),
        backend.space,
        backend.probe,
    ]
    for action in actions:
        with pytest.raises(PlaceRefused) as raised:
            action()
        assert str(raised.value) == (
            "Dropbox (/vaultd) does not let vaultd in: the access was withdrawn, or the refresh "
            "token is wrong. Connect vaultd with this Dropbox again."
        )


def test_wrong_credentials_are_sentences(dropbox: Dropbox) -> None:
    for wrong, sentence in (
        ({"refresh_token": "nonsense"}, "the access was withdrawn, or the refresh token is wrong"),
        ({"refresh_token": ""}, "not connected with Dropbox .* yet"),
        ({"app_key": "another"}, "does not know this app key"),
    ):
        with pytest.raises(PlaceRefused, match=sentence):
            DropboxBackend(settings(dropbox, **wrong)).space()


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [(Trouble(401, {"error": {".tag": "user_suspended"}}), PlaceClosed, "is suspended"),
     (Trouble(401, {"error": {".tag": "invalid_select_user"}}), PlaceClosed, "any more"),
     (Trouble(401, "Bearer abc"), PlaceClosed, "any more"),
     (Trouble(403, {"error": {".tag": "other"}}), PlaceRefused, r"does not allow .*\(403\)"),
     (Trouble(400, "Invalid authorization value Bearer abc"), PlaceError, r"understand .*\(400\)"),
     (Trouble(404, "x"), PlaceError, r"understand .*\(404\)"),
     (Trouble(301, "x", {"Location": "http://127.0.0.1/"}), PlaceError, r"understand .*\(301\)"),
     (Trouble(409, {"error": {".tag": "path", "reason": {".tag": "insufficient_space"}}}),
      PlaceFull, "is full"),
     (Trouble(409, {"error": {".tag": "path", "reason": {".tag": "no_write_permission"}}}),
      PlaceRefused, "may not write"),
     (Trouble(409, {"error": {".tag": "path", "reason": {".tag": "disallowed_name"}}}),
      PlaceError, r"would not store an object \(path/disallowed_name\)"),
     (Trouble(409, {"error": {".tag": "payload_too_large"}}), PlaceError, "payload_too_large"),
     (Trouble(409, {"error": {".tag": "too_many_write_operations"}}), PlaceBusy, "other changes"),
     (Trouble(409, {"error": {".tag": "path", "reason": {".tag": "malformed_path",
                                                         "malformed_path": "Bearer abc"}}}),
      PlaceError, "path/malformed_path"),
     (Trouble(409, "no json: Bearer abc"), PlaceError, "no reason"),
     (Trouble(409, {"error": {".tag": "Bearer abc"}}), PlaceError, "no reason"),
     (Trouble(409, '{"error":' * 100_000), PlaceError, "no reason"),
     (Trouble(409, '{"error":{"reason":' + '{"reason":' * 100_000), PlaceError, "no reason"),
     (Trouble(500), PlaceBusy, r"just now \(500\)"), (Trouble(503), PlaceBusy, r"\(503\)"),
     (Trouble(408), PlaceBusy, r"\(408\)"), (Trouble(599, "x" * 200_000), PlaceBusy, r"\(599\)")],
)  # fmt: skip
def test_each_refusal_is_its_own_sentence(
    dropbox: Dropbox,
    backend: DropboxBackend,
    answer: Trouble,
    kind: type[PlaceError],
    sentence: str,
) -> None:
    dropbox.troubles[UPLOAD] = [answer]
    with pytest.raises(kind, match=sentence) as raised:
        put(backend, "v/a", b"x")
    assert type(raised.value) is kind
    assert "Bearer" not in str(raised.value)
    put(backend, "v/a", b"x")


def test_a_missing_permission_is_named(dropbox: Dropbox, backend: DropboxBackend) -> None:
    dropbox.scopes.remove("files.content.write")
    with pytest.raises(PlaceRefused, match="no such permission.*files.content.write"):
        put(backend, "v/a", b"x")


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [({"Retry-After": "7"}, "too_many_requests", 7),
     ({}, {"error": {"reason": {".tag": "too_many_requests"}, "retry_after": 300}}, 300),
     ({"Retry-After": "2"}, {"error": {"reason": {".tag": "too_many_write_operations"}}}, 2),
     ({"Retry-After": "9" * 30}, "", 86400), ({"Retry-After": "-5"}, "", 0),
     ({"Retry-After": "nan"}, "", None), ({"Retry-After": "soon"}, "", None), ({}, "", None)],
)  # fmt: skip
def test_slow_down_says_how_long(
    dropbox: Dropbox,
    backend: DropboxBackend,
    headers: dict[str, str],
    body: Any,
    seconds: float | None,
) -> None:
    for route in (UPLOAD, "/oauth2/token"):
        dropbox.troubles[route] = [Trouble(429, body, headers)]
        with pytest.raises(PlaceBusy, match="slow down") as raised:
            put(backend, "v/a", b"x")
        assert (raised.value.retry_after, raised.value.unknown) == (seconds, False)
        dropbox.expire()


def test_a_full_dropbox_is_full_and_nothing_is_left(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    dropbox.quota = 10 * MIB
    dropbox.allocation = {".tag": "individual", "allocated": dropbox.quota}
    put(backend, "v/a", bytes(6 * MIB))
    for size in (6 * MIB, 9 * MIB):
        with pytest.raises(PlaceFull, match=r"Dropbox \(/vaultd\) is full. Make room"):
            put(backend, "v/b", bytes(size))
    assert names(backend) == ["v/a"]
    assert (backend.space().total, backend.space().free) == (10 * MIB, 4 * MIB)


@pytest.mark.parametrize(
    ("allocation", "total", "free"),
    [({".tag": "individual", "allocated": 1}, 1, 0),
     ({".tag": "individual", "allocated": 0}, None, None),
     ({".tag": "team", "allocated": 1000, "used": 400}, 1000, 600),
     ({".tag": "team", "allocated": 1000, "used": 400, "user_within_team_space_allocated": 300,
       "user_within_team_space_used_cached": 100, "user_within_team_space_limit_type":
       {".tag": "stop_sync"}}, 300, 200),
     ({".tag": "team", "allocated": 1000, "used": 950, "user_within_team_space_allocated": 300,
       "user_within_team_space_used_cached": 100}, 300, 50),
     ({".tag": "team", "allocated": 1000, "used": 2000}, 1000, 0), ({".tag": "other"}, None, None)],
)  # fmt: skip
def test_room_of_one_or_of_a_team(
    dropbox: Dropbox, backend: DropboxBackend, allocation: Any, total: int | None, free: int | None
) -> None:
    put(backend, "v/a", b"xx")
    dropbox.allocation = allocation
    space = backend.space()
    assert (space.total, space.free) == (total, free)
    assert next(f for f in backend.probe() if f.what == "room").fine is (free != 0)


# The probe.


def test_a_probe_removes_what_killed_probes_left_a_day_ago(
    dropbox: Dropbox, backend: DropboxBackend
) -> None:
    for name in ("probe.old", "probe.young", "other.old", "sub/probe.old"):
        dropbox.upload({"path": f"/vaultd/{name}"}, b"x")
        if name.endswith("old"):
            dropbox.files[f"/vaultd/{name}"].modified = datetime.now(UTC) - timedelta(days=2)
    assert all(finding.fine for finding in backend.probe())
    assert sorted(dropbox.files) == [
        "/vaultd/other.old", "/vaultd/probe.young", "/vaultd/sub/probe.old",
    ]  # fmt: skip


# The network.


def through(dropbox: Dropbox, proxy: Proxy, **more: Any) -> DropboxBackend:
    return DropboxBackend(settings(dropbox, content_url=f"http://127.0.0.1:{proxy.port}", **more))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [(Plan(refuse=True), "broke off|cannot be reached"), (Plan(drop_up=100), "broke off"),
     (Plan(drop_down=5), "broke off"), (Plan(truncate_down=50), "broke off"),
     (Plan(black_hole=True), "did not answer in time")],
)  # fmt: skip
def test_a_broken_connection_is_busy_and_a_retry_settles_it(
    dropbox: Dropbox, plan: Plan, sentence: str
) -> None:
    with Proxy(port_of(dropbox.content_url), plan) as proxy:
        backend = through(dropbox, proxy, read_timeout=0.5)
        with pytest.raises(PlaceBusy, match=sentence) as raised:
            put(backend, "v/a", bytes(100_000))
        # A reset may come before the connection counts as made: then nothing was sent.
        assert raised.value.unknown is ("be reached" not in str(raised.value))
        proxy.plan = Plan()
        try:
            put(backend, "v/a", bytes(100_000))
        except ObjectExists:
            assert plan.drop_down or plan.truncate_down
        assert backend.read("v/a") == bytes(100_000)


def test_nobody_there_is_busy_for_sure_without_effect(dropbox: Dropbox) -> None:
    with Proxy(port_of(dropbox.content_url)) as proxy:
        backend = through(dropbox, proxy)
        with (
            proxy.nobody_listening(),
            pytest.raises(PlaceBusy, match=r"Dropbox \(/vaultd\) refuses the connection") as raised,
        ):
            put(backend, "v/a", b"x")
        assert raised.value.unknown is False
        put(backend, "v/a", b"x")


def test_a_name_that_is_none_is_busy(dropbox: Dropbox) -> None:
    backend = DropboxBackend(settings(dropbox, content_url="https://x.invalid"))
    with pytest.raises(PlaceBusy, match="host name of Dropbox .* is not known"):
        put(backend, "v/a", b"x")


def test_connections_are_kept(dropbox: Dropbox) -> None:
    with Proxy(port_of(dropbox.content_url)) as proxy:
        backend = through(dropbox, proxy)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: put(backend, f"v/{n}", b"x"), range(100)))
        assert proxy.connections <= 8


def test_on_a_bad_network_what_was_stored_is_whole(dropbox: Dropbox) -> None:
    plans = random_plans(11, trouble=0.5, size=60_000)
    stored: dict[str, bytes] = {}
    # Each request on its own connection, as only then the plans come to all of them.
    with Proxy(port_of(dropbox.content_url), plans) as proxy:
        for number in range(60):
            backend = through(dropbox, proxy, read_timeout=2)
            content = random.Random(number).randbytes(30_000)
            try:
                put(backend, f"v/{number:03}", content)
                stored[f"v/{number:03}"] = content
            except PlaceError as error:
                assert not isinstance(error, ObjectExists)
    assert 20 < len(stored) < 60
    backend = DropboxBackend(settings(dropbox))
    for info in backend.list():
        assert info.size == 30_000
        assert backend.read(info.name) == random.Random(int(info.name[2:])).randbytes(30_000)
    assert set(stored) <= set(names(backend))


@pytest.mark.parametrize(
    ("host", "expired", "sentence"),
    [("127.0.0.1", True, "has expired"), ("other.example", False, "for another host name")],
)
def test_a_bad_certificate_is_named(
    dropbox: Dropbox, tmp_path: Path, host: str, expired: bool, sentence: str
) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context(host, expired=expired)
    with serve(
        lambda connection: context.wrap_socket(connection, server_side=True).recv(1)
    ) as port:
        url = f"https://127.0.0.1:{port}"
        with pytest.raises(PlaceRefused, match=sentence):
            DropboxBackend(settings(dropbox, api_url=url, ca_file=authority.ca_file)).space()
        with pytest.raises(PlaceRefused, match="not one that this machine trusts"):
            DropboxBackend(settings(dropbox, api_url=url)).space()


def test_what_speaks_no_tls_is_not_asked_again(dropbox: Dropbox) -> None:
    with (
        serve(lambda connection: connection.sendall(b"220 hello\r\n")) as port,
        pytest.raises(PlaceRefused, match="does not speak TLS"),
    ):
        DropboxBackend(settings(dropbox, api_url=f"https://127.0.0.1:{port}")).space()


def test_a_ca_file_that_is_none_is_a_sentence(dropbox: Dropbox, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no pem")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(PlaceError, match="certificate authority's file .* cannot be used"):
            DropboxBackend(settings(dropbox, ca_file=tmp_path / name)).space()


def test_compressed_and_trickling_answers_are_given_up(dropbox: Dropbox) -> None:
    def compressed(request: httpx.Request) -> httpx.Response:
        assert request.headers["accept-encoding"] == "identity"
        return httpx.Response(
            200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"x")
        )

    backend = DropboxBackend(settings(dropbox), transport=httpx.MockTransport(compressed))
    with pytest.raises(PlaceError, match="compresses"):
        backend.space()

    class Trickle(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock[0] += 20
                yield b" "

    clock = [0.0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaultd.backends.dropbox.http.time.monotonic", lambda: clock[0])
        slow = httpx.MockTransport(lambda _: httpx.Response(200, stream=Trickle()))
        with pytest.raises(PlaceBusy, match="too slowly"):
            DropboxBackend(settings(dropbox), transport=slow).space()


# Secrets.


def test_no_token_is_in_any_error_log_or_repr(
    dropbox: Dropbox, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    known = settings(dropbox, read_timeout=1)
    shown = [repr(known), str(known)]
    with Proxy(port_of(dropbox.content_url)) as proxy:
        backend = DropboxBackend(
            settings(dropbox, refresh_token=known.refresh_token,
                     content_url=f"http://127.0.0.1:{proxy.port}")
        )  # fmt: skip
        put(backend, "v/a", b"x")
        secrets = [known.refresh_token, *dropbox.access_tokens]
        echo = "Bearer " + " ".join(secrets)
        troubles = [Trouble(s, body) for s in (400, 401, 403, 404, 409, 418, 429, 500)
                    for body in (echo, {"error": {".tag": echo}}, {"error_summary": echo, "error": echo})]  # fmt: skip
        for trouble in troubles:
            dropbox.troubles[UPLOAD] = [trouble]
            shown.append(sentence_of(lambda: put(backend, "v/b", b"x")))
            dropbox.troubles["/oauth2/token"] = [trouble]
            dropbox.expire()
            shown.append(sentence_of(backend.space))
        dropbox.troubles["/oauth2/token"] = [
            Trouble(200, {"access_token": secrets[1] + "\n", "expires_in": 9}),
            Trouble(200, {"access_token": secrets, "expires_in": 9}),
            Trouble(200, echo),
        ]
        for _ in range(3):
            dropbox.expire()
            backend._api.tokens._token = ""
            shown.append(sentence_of(backend.space))
        proxy.plan = Plan(refuse=True)
        proxy.cut()
        shown.append(sentence_of(lambda: put(backend, "v/c", b"x")))
        shown += [
            repr(backend),
            repr(backend._api),
            repr(backend._api.tokens),
            repr(backend._api.http),
        ]
    output = capsys.readouterr()
    for text in (*shown, caplog.text, output.out, output.err):
        for secret in (*secrets, *dropbox.access_tokens, *dropbox.refresh_tokens):
            assert secret not in text


def sentence_of(action: Callable[[], object]) -> str:
    """Return an error with all its causes, as a log shows it."""
    with pytest.raises(PlaceError) as raised:
        action()
    texts, error = [], raised.value
    while error is not None:
        texts.append(f"{error!r} {error}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(texts)


@pytest.mark.parametrize(
    "wrong",
    [{"app_key": ""}, {"app_key": "a b"}, {"refresh_token": "sl.s3cret\n"},
     {"refresh_token": "sl.s3crét"}, {"api_url": "http://api.dropboxapi.com"},
     {"api_url": "https://user:s3cret@x.example"}, {"content_url": "ftp://x.example"},
     {"content_url": "https://x.example/path"}, {"content_url": ""}, {"folder": "/a/../b"},
     {"folder": "/a//b"}, {"folder": "a\nb"}, {"folder": "/ a"}, {"folder": "/a\\b"},
     {"part_size": 0}, {"part_size": 5 * MIB}, {"part_size": 200 * MIB}],
)  # fmt: skip
def test_impossible_settings_are_refused_without_quoting_secrets(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as raised:
        DropboxSettings(**{"app_key": "key", **wrong})
    assert "s3c" not in str(raised.value)


@pytest.mark.parametrize("size", [5, 9 * MIB])
def test_what_is_stored_under_another_name_is_not_stored(
    backend: DropboxBackend, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    told = File.metadata
    monkeypatch.setattr(File, "metadata", lambda file: told(file) | {"path_lower": "/x/a/b (1)"})
    with pytest.raises(PlaceError, match="under another name"):
        put(backend, "a/b", b"x" * size)
