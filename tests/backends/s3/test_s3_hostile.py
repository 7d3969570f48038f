"""S3 places that answer wrongly, endlessly, or with what somebody else says."""

from __future__ import annotations

import hashlib
import io
import itertools
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.backends.conformance import names, put
from tests.backends.servers.scripted_http import (
    Answering,
    Asked,
    ScriptedServer,
    answer,
    error,
)
from vaultd.backends.s3.backend import S3Backend, S3Settings
from vaultd.errors import (
    ObjectExists,
    ObjectMissing,
    PlaceBusy,
    PlaceError,
    PlaceFull,
    PlaceRefused,
)

SECRET = "very-secret-key"
ETAG = '"0123456789abcdef0123456789abcdef"'


def place(server: ScriptedServer, **settings: Any) -> S3Backend:
    given = {"region": "us-east-1", "read_timeout": 5.0, **settings}
    return S3Backend(
        S3Settings("pods", endpoint=server.endpoint, access_key="AKID", secret_key=SECRET, **given)
    )


def listing(entries: list[tuple[str, int]], more: str = "") -> list[bytes]:
    keys = "".join(f"<Contents><Key>{k}</Key><Size>{s}</Size></Contents>" for k, s in entries)
    end = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    truncated = str(bool(more)).lower()
    xml = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{end}{keys}</ListBucketResult>"
    return answer("200 OK", xml.encode())


@pytest.mark.parametrize(
    "said",
    [
        answer("200 OK", b"<html><body>Please log in</body></html>", Content_Type="text/html"),
        answer("200 OK", b"<!DOCTYPE x [<!ENTITY a 'b'>]><ListBucketResult/>"),
        answer("200 OK", "<!DOCTYPE x><ListBucketResult/>".encode("utf-16")),
        answer("200 OK", b"<ListBucketResult/>"),
        answer("200 OK", b"<ListBucketResult><IsTruncated>"),
        answer("200 OK", b""),
        answer("200 OK", b"not XML at all"),
        listing([("b", 1), ("a", 1)]),
        answer("200 OK", b"<a>" * 1_000_000),
        answer(
            "200 OK",
            b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>"
            b"<Size>many</Size></Contents></ListBucketResult>",
        ),
        [b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: lots\r\n\r\n"],
    ],
)
def test_what_is_no_listing_does_not_pass_for_one(said: list[bytes]) -> None:
    with ScriptedServer(lambda asked: said) as server, pytest.raises(PlaceError) as raised:
        names(place(server))
    # botocore itself calls a body that is no XML a 500.
    assert "does not" in str(raised.value) or isinstance(raised.value, PlaceBusy)


@pytest.mark.parametrize(
    "said",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n<ListBucketResult>"],
        [b"garbage\r\n\r\n"],
        [],
    ],
)
def test_a_cut_answer_is_tried_again_later(said: list[bytes]) -> None:
    def once(asked: Asked) -> Iterator[bytes]:
        yield from said
        raise OSError("closed")

    with ScriptedServer(once) as server, pytest.raises(PlaceBusy):
        names(place(server))


def test_an_endless_body_is_not_read_to_its_end() -> None:
    sent = 0

    def endless(asked: Asked) -> Iterator[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"
        while True:
            sent += 65536
            yield b"<a/>" * 16384

    with ScriptedServer(endless) as server, pytest.raises(PlaceError, match="more than"):
        names(place(server))
    assert sent < 64 * 1024 * 1024


def test_an_endless_error_is_an_error_of_its_status() -> None:
    def endless(asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 503 No\r\nContent-Length: 99999999999\r\nRetry-After: 7\r\n\r\n"
        yield from itertools.repeat(b"<a/>" * 16384)

    with ScriptedServer(endless) as server, pytest.raises(PlaceBusy) as raised:
        names(place(server))
    assert raised.value.retry_after == 7


def cut(body: str) -> list[bytes]:
    return answer("200 OK", f"<ListBucketResult>{body}</ListBucketResult>".encode())


TRUNCATED = "<IsTruncated>true</IsTruncated>"
ONE = "<Contents><Key>a</Key><Size>1</Size></Contents>"


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([TRUNCATED], "never ends"),  # more, but not where
        ([TRUNCATED + ONE], "never ends"),  # the same key again and again
        ([f"{TRUNCATED}<NextContinuationToken>{t}</NextContinuationToken>" for t in "ab"],
         "never ends"),
        ([f"<IsTruncated>false</IsTruncated><KeyCount>2</KeyCount>{ONE}"], "only a part"),
        (["<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>"], "how long a is"),
    ],
)  # fmt: skip
def test_a_listing_that_may_be_a_part_is_an_error(pages: list[str], said: str) -> None:
    with (
        ScriptedServer(lambda asked: cut(pages[len(server.asked) % len(pages)])) as server,
        pytest.raises(PlaceError, match=said),
    ):
        names(place(server))


def test_a_store_that_forgets_the_token_is_asked_for_what_comes_after() -> None:
    def forgetful(asked: Asked) -> list[bytes]:
        if "start-after=a" in asked.path:
            return listing([("b", 1)])
        return cut(TRUNCATED + ONE)

    with ScriptedServer(forgetful) as server:
        assert names(place(server)) == ["a", "b"]


@pytest.mark.parametrize("token", ["same", ""])
def test_an_endless_listing_ends(token: str) -> None:
    with (
        ScriptedServer(lambda asked: listing([], token or f"new-{len(server.asked)}")) as server,
        pytest.raises(PlaceError, match="never ends"),
    ):
        names(place(server))


def test_a_dripping_body_is_given_up() -> None:
    def dripping(asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"
        while True:
            time.sleep(0.1)
            yield b"x"

    began = time.monotonic()
    with ScriptedServer(dripping) as server, pytest.raises(PlaceBusy, match="too slowly"):
        place(server, read_timeout=0.5).read("a")
    assert time.monotonic() - began < 5


def test_a_silent_server_is_given_up() -> None:
    def silent(asked: Asked) -> Iterator[bytes]:
        time.sleep(3)
        yield b""

    with ScriptedServer(silent) as server, pytest.raises(PlaceBusy, match="in time") as raised:
        put(place(server, read_timeout=0.3), "a", b"x")
    assert raised.value.unknown


def whole(content: bytes) -> Answering:
    """A server that knows no ranges."""
    return lambda asked: answer("200 OK", content, ETag=ETAG)


@pytest.mark.parametrize(
    ("offset", "length"), [(0, None), (0, 3), (2, 3), (4, None), (100, 5), (9, 99)]
)
def test_a_server_without_ranges_is_read_all_the_same(offset: int, length: int | None) -> None:
    content = b"0123456789"
    end = None if length is None else offset + length
    with ScriptedServer(whole(content)) as server:
        assert place(server).read("a", offset, length) == content[offset:end]


def test_more_than_asked_for_is_cut_and_another_range_refused() -> None:
    long = answer("206 Partial Content", b"x" * 1000, Content_Range="bytes 5-1004/9999", ETag=ETAG)
    with ScriptedServer(lambda asked: long) as server:
        assert place(server).read("a", 5, 10) == b"x" * 10
        assert place(server).read("a", 6, 10) == b"x" * 10
        with pytest.raises(PlaceError, match="another part"):
            place(server).read("a", 4, 10)


def test_a_whole_object_without_end_is_not_kept_in_memory() -> None:
    huge = [b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\nxxx"]
    with ScriptedServer(lambda asked: huge) as server, pytest.raises(PlaceError, match="too large"):
        place(server).read("a")


def test_names_that_are_not_ours_are_not_listed() -> None:
    keys = ["A", "a", "a.b", "a/", "b//c", "d" * 201, "dir/", "z/../y", "é"]
    entries = [(key, 1) for key in sorted(keys)]
    with ScriptedServer(lambda asked: listing(entries)) as server:
        assert names(place(server)) == ["a"]


def test_a_login_page_does_not_confirm_an_upload() -> None:
    with (
        ScriptedServer(lambda asked: answer("200 OK", b"<html/>")) as server,
        pytest.raises(PlaceError, match="does not answer as S3 does.*login page"),
    ):
        put(place(server), "a", b"x")


def _date(shift: timedelta) -> str:
    return format_datetime(datetime.now(UTC) + shift, usegmt=True)


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (error("404 N", "NoSuchBucket"), PlaceError, "There is no such bucket"),
        (error("403 N", "InvalidAccessKeyId"), PlaceRefused, "does not accept these keys"),
        (error("403 N", "SignatureDoesNotMatch"), PlaceRefused, "does not accept these keys"),
        (error("400 N", "ExpiredToken"), PlaceError, "ExpiredToken"),
        (error("403 N", "ExpiredToken"), PlaceRefused, "session token"),
        (error("403 N", "AccessDenied", "No such right"), PlaceRefused, "No such right"),
        (
            error("403 N", "RequestTimeTooSkewed", Date=_date(timedelta(hours=5))),
            PlaceRefused,
            "clock and this machine's differ by 5 hours",
        ),
        (
            answer("403 N", Date=_date(timedelta(minutes=-40))),
            PlaceRefused,
            "clock and this machine's differ by 4",  # minutes: the test may come late
        ),
        (
            error("301 N", "PermanentRedirect", x_amz_bucket_region="eu-central-7"),
            PlaceRefused,
            'Set region = "eu-central-7"',
        ),
        (error("301 N", "PermanentRedirect"), PlaceRefused, "sends us elsewhere (301)"),
        (error("301 N", "X", x_amz_bucket_region="a/../b"), PlaceRefused, "sends us elsewhere"),
        (error("400 N", "AuthorizationHeaderMalformed"), PlaceRefused, "in another region"),
        (error("507 N", "XMinioStorageFull"), PlaceFull, "no room left"),
        (error("403 N", "QuotaExceeded"), PlaceFull, "no room left"),
        (error("403 N", "AccessDenied", "storage cap exceeded."), PlaceFull, "no room left"),
        (answer("507 N"), PlaceFull, "no room left"),
        (answer("413 N", b"<!doctype html><p>"), PlaceError, "no upload that large"),
        (error("411 N", "MissingContentLength"), PlaceError, "checksum"),
        (error("501 N", "NotImplemented"), PlaceError, "does not know a request"),
        (answer("412 N"), ObjectExists, "already"),
        (error("400 N", "StrangeThing", "Too \t odd"), PlaceError, "StrangeThing"),
        (error("400 N", f"{SECRET} <b>"), PlaceError, "400"),
        (answer("500 N", b"<html>oops</html>"), PlaceBusy, "500"),
        (
            answer("302 N", Location="http://169.254.169.254/"),
            PlaceRefused,
            "sends us elsewhere (302)",
        ),
    ],
)
def test_each_refusal_has_its_sentence(
    said: list[bytes], kind: type[PlaceError], sentence: str
) -> None:
    with ScriptedServer(lambda asked: said) as server, pytest.raises(PlaceError) as raised:
        put(place(server), "a", b"x")
    assert type(raised.value) is kind or (kind in type(raised.value).__mro__)
    assert sentence in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize(
    ("said", "unknown", "retry_after"),
    [
        (error("503 N", "SlowDown", Retry_After="3"), False, 3.0),
        (error("429 N", "TooManyRequests"), False, None),
        (error("400 N", "XAmzContentSHA256Mismatch"), False, None),
        (error("400 N", "RequestTimeout"), True, None),
        (error("500 N", "InternalError", Retry_After="junk"), True, None),
        (error("503 N", "ServiceUnavailable", Retry_After="nan"), True, None),
        (answer("502 N", Retry_After=_date(timedelta(hours=-1))), True, 0.0),
        (answer("504 N", Retry_After="1e300"), True, 86400.0),
        (answer("423 N"), True, None),
    ],
)
def test_busy_servers_say_when_to_come_back(
    said: list[bytes], unknown: bool, retry_after: float | None
) -> None:
    with ScriptedServer(lambda asked: said) as server, pytest.raises(PlaceBusy) as raised:
        put(place(server), "a", b"x")
    assert (raised.value.unknown, raised.value.retry_after) == (unknown, retry_after)
    assert len(server.asked) == 1


def test_a_server_that_echoes_what_was_sent_does_not_get_it_into_the_error() -> None:
    def echo(asked: Asked) -> list[bytes]:
        return error("400 N", "Odd", f"You sent {asked.headers} and {SECRET}")

    with ScriptedServer(echo) as server, pytest.raises(PlaceError) as raised:
        put(place(server, session_token="token-of-session"), "a", b"x")
    assert "Odd" in str(raised.value)
    for secret in (SECRET, "AKID", "token-of-session", "AWS4", "Signature"):
        assert secret not in repr(raised.value) + str(raised.value)


def test_conflicts_are_looked_into() -> None:
    """409 says that another request is under way, not that the object is there."""
    there = False

    def conflict(asked: Asked) -> list[bytes]:
        if asked.method == "HEAD":
            return answer("200 OK", ETag=ETAG) if there else answer("404 N")
        return error("409 N", "ConditionalRequestConflict")

    with ScriptedServer(conflict) as server:
        with pytest.raises(PlaceBusy) as raised:
            put(place(server), "a", b"x")
        assert not raised.value.unknown
        there = True
        with pytest.raises(ObjectExists):
            put(place(server), "a", b"x")


class OddStore:
    """A store in memory that refuses or ignores what others do."""

    def __init__(
        self, *, condition: str = "honoured", refuses: str = "", verifies: str = ""
    ) -> None:
        self.condition, self.refuses, self.verifies = condition, refuses, verifies
        self.objects: dict[str, bytes] = {}

    def __call__(self, asked: Asked) -> list[bytes]:
        key = asked.path.partition("?")[0].removeprefix("/pods").removeprefix("/")
        match asked.method:
            case "PUT":
                return self._put(asked, key)
            case "DELETE":
                self.objects.pop(key, None)
                return answer("204 N")
            case "POST":
                return error("501 N", "NotImplemented")
        if not key:
            if "uploads" in asked.path or "versioning" in asked.path:
                return error("501 N", "NotImplemented")
            return listing([(each, len(self.objects[each])) for each in sorted(self.objects)])
        if key not in self.objects:
            return answer("404 N") if asked.method == "HEAD" else error("404 N", "NoSuchKey")
        if asked.method == "HEAD":
            return answer("200 OK", ETag=ETAG)
        return answer("200 OK", self.objects[key], ETag=ETAG)

    def _put(self, asked: Asked, key: str) -> list[bytes]:
        if self.refuses and self.refuses not in asked.headers:
            return error("411 N", "MissingContentLength")
        if "if-none-match" in asked.headers:
            if self.condition == "refused":
                return error("501 N", "NotImplemented")
            if self.condition == "honoured" and key in self.objects:
                return error("412 N", "PreconditionFailed")
        if self.verifies in asked.headers and b"VAULTD" in asked.body:
            return error("400 N", "BadDigest")
        self.objects[key] = asked.body
        digest = hashlib.md5(asked.body, usedforsecurity=False).hexdigest()
        return answer("200 OK", ETag=f'"{digest}"')


@pytest.mark.parametrize("condition", ["refused", "ignored"])
def test_adapting_switches_conditions_off_where_they_are_not_honoured(condition: str) -> None:
    store = OddStore(condition=condition)
    with ScriptedServer(store) as server:
        backend = place(server)
        unfit = {finding.what for finding in backend.probe() if not finding.fine}
        assert "create without replacing" in unfit
        settings = backend.adapt()
        assert not settings.conditional
        adapted = S3Backend(settings)
        unfit = {finding.what for finding in adapted.probe() if not finding.fine}
        assert "create without replacing" not in unfit
        put(adapted, "a", b"first")
        with pytest.raises(ObjectExists):
            put(adapted, "a", b"second")
        assert adapted.read("a") == b"first"
        assert store.objects == {"a": b"first"}


@pytest.mark.parametrize(
    ("refuses", "verifies", "chosen"),
    [
        ("", "x-amz-content-sha256", "when_required"),
        ("", "x-amz-checksum-sha256", "sha256"),
        ("x-amz-checksum-sha256", "x-amz-checksum-sha256", "sha256"),
        ("x-amz-checksum-crc32", "nothing", "when_supported"),
        ("", "nothing", "when_required"),
    ],
)
def test_adapting_finds_the_checksum_that_is_taken_and_verified(
    refuses: str, verifies: str, chosen: str
) -> None:
    store = OddStore(refuses=refuses, verifies=verifies)
    with ScriptedServer(store) as server:
        settings = place(server).adapt()
        assert settings.checksum == chosen
        assert settings.conditional
        put(S3Backend(settings), "a", b"x")
    assert store.objects == {"a": b"x"}


def test_adapting_says_why_nothing_works() -> None:
    with (
        ScriptedServer(lambda asked: error("403 N", "InvalidAccessKeyId")) as server,
        pytest.raises(PlaceRefused, match="these keys"),
    ):
        place(server).adapt()


def test_a_store_without_multipart_says_so_and_large_objects_fail_clearly() -> None:
    store = OddStore()
    with ScriptedServer(store) as server:
        backend = place(server, part_size=5 * 1024 * 1024)
        unfit = {finding.what: finding for finding in backend.probe() if not finding.fine}
        assert "cannot be stored" in unfit["multipart uploads"].sentence
        with pytest.raises(PlaceError, match="does not know a request"):
            backend.create("a", io.BytesIO(bytes(6_000_000)), 6_000_000)
        with pytest.raises(ObjectMissing):
            backend.read("a")
    assert store.objects == {}


def test_a_listing_ends_when_it_has_cost_enough() -> None:
    asked = itertools.count()

    def check() -> None:
        if next(asked) == 20:
            raise PlaceBusy("It took too much.")

    numbers = itertools.count()
    with (
        ScriptedServer(lambda _: listing([], f"more{next(numbers)}")) as server,
        pytest.raises(PlaceBusy, match="took too much"),
    ):
        names(place(server, check=check))


@pytest.mark.parametrize("guided", [False, True])
def test_a_body_does_not_wait_for_the_head_before_it(
    guided: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are sent after each other; with Nagle's delay each object took 40 ms more."""
    set_options: list[tuple[object, ...]] = []
    real = socket.socket.setsockopt

    def recorded(self: socket.socket, *option: Any) -> None:
        set_options.append(option)
        real(self, *option)

    def connect(host: str, port: int, seconds: float) -> socket.socket:
        return socket.create_connection((host, port), seconds)

    monkeypatch.setattr(socket.socket, "setsockopt", recorded)
    with ScriptedServer(whole(b"x")) as server:
        settings = place(server).settings
        assert S3Backend(settings, connect=connect if guided else None).read("a") == b"x"
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in set_options
