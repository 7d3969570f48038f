"""A PROPFIND answer may be hostile: DTDs, bombs, no end, other people's paths."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vaultd.backends.webdav_listing import Entry, children, decoded_path, parse
from vaultd.errors import PlaceError

_HEAD = b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">'
_END = b"</D:multistatus>"


def response(href: str, size: int | None = None, *, status: str = "HTTP/1.1 200 OK") -> bytes:
    kind = "<D:collection/>" if size is None else ""
    length = "" if size is None else f"<D:getcontentlength>{size}</D:getcontentlength>"
    return (
        f"<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype>{kind}"
        f"</D:resourcetype>{length}</D:prop><D:status>{status}</D:status></D:propstat></D:response>"
    ).encode()


def entries(body: bytes) -> list[Entry]:
    return list(parse(iter([body]), "the place"))


def members(*rows: bytes) -> dict[str, Entry] | None:
    return children(entries(_HEAD + b"".join(rows) + _END), "/dav/v", "the place")


def test_members_are_told_by_name_with_their_length() -> None:
    found = members(
        response("/dav/v/"), response("http://host:1/dav/v/one", 5), response("/dav/v/two%20x", 0),
        response("/dav/v/three/"),
    )  # fmt: skip
    assert found is not None
    assert {name: (e.collection, e.size) for name, e in found.items()} == {
        "one": (False, 5), "two x": (False, 0), "three": (True, None),
    }  # fmt: skip


def test_what_lies_elsewhere_is_ignored() -> None:
    found = members(
        response("/dav/v/"), response("/dav/v/mine", 1), response("/dav/other", 1),
        response("/dav/v/mine/deeper", 1), response("/dav/v/../escape", 1), response("/etc/passwd", 1),
        response("/dav/v/%2e%2e%2fup", 1), response("//evil.example/dav/v/", 1), response("", 1),
        response("http://[bad/dav/v/x", 1),
    )  # fmt: skip
    assert found is not None
    assert list(found) == ["mine"]


def test_a_listing_of_other_paths_only_is_an_error_not_an_empty_folder() -> None:
    with pytest.raises(PlaceError, match="other paths than the one it was asked for.*proxy"):
        members(response("/internal/v/"), response("/internal/v/one", 1))
    with pytest.raises(PlaceError, match="other paths"):
        members()


def test_a_file_is_no_folder() -> None:
    assert members(response("/dav/v", 7)) is None


def test_properties_that_were_not_found_do_not_count() -> None:
    (entry,) = entries(_HEAD + response("/dav/v/one", 5, status="HTTP/1.1 404 Not Found") + _END)
    assert entry.size is None


def test_a_listing_cut_by_the_server_is_an_error() -> None:
    cut = (
        b"<D:response><D:href>/dav/v/x</D:href><D:status>HTTP/1.1 507 Full</D:status></D:response>"
    )
    with pytest.raises(PlaceError, match=r"only a part of a listing \(507\)"):
        members(response("/dav/v/"), cut)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"hello", b"<html><p></html>", _HEAD, _HEAD + response("/a", 1), b"\xff\xfe\x00",
        b'<!DOCTYPE x [<!ENTITY a "aaa">]>' + _HEAD + b"&a;" + _END,
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd">' + _HEAD + _END,
        b'<!DOCTYPE b [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;&a;">]><b>&b;</b>',
        _HEAD + b"&undefined;" + _END, _HEAD + b"<a>" * 50,
        _HEAD + b"<D:response><D:href>" + b"x" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    with pytest.raises(PlaceError, match="listing that cannot be read"):
        entries(body)


def endless(start: bytes, piece: bytes) -> Iterator[bytes]:
    yield start
    while True:
        yield piece


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (_HEAD + b"<", b"a" * 65536), (_HEAD + b'<a b="', b"x" * 65536),
        (_HEAD + b"<!-- ", b"x" * 65536), (_HEAD + b"<D:response><D:href>", b"x" * 65536),
        (_HEAD, b"<a>" * 1000),
    ],
)  # fmt: skip
def test_a_tag_or_text_without_end_is_given_up_soon(start: bytes, piece: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(PlaceError, match="listing that cannot be read"):
        list(parse(endless(start, piece), "the place"))
    assert time.monotonic() - began < 2


def test_a_hundred_thousand_entries_are_read_as_they_come() -> None:
    given = 0

    def body() -> Iterator[bytes]:
        nonlocal given
        yield _HEAD + response("/dav/v/")
        for number in range(100_000):
            given += 1
            yield response(f"/dav/v/object-{number:06}", number)
        yield _END

    count = 0
    for count, _ in enumerate(parse(body(), "the place"), 1):
        assert given <= count + 1000  # none is kept back
    assert count == 100_001


def test_a_million_entries_are_too_many() -> None:
    row = b"<D:response/>" * 50_000
    with pytest.raises(PlaceError, match="over 1000000 entries"):
        for _ in parse(endless(_HEAD, row), "the place"):
            pass


@pytest.mark.parametrize(
    ("href", "path"),
    [
        ("/a/b/", "/a/b"),
        ("http://h/a%20b", "/a b"),
        ("/%C3%BC", "/ü"),
        ("http://[x", ""),
        ("/", ""),
    ],
)
def test_an_href_is_a_path_or_a_url(href: str, path: str) -> None:
    assert decoded_path(href) == path
