"""A PROPFIND answer may be hostile: DTDs, bombs, no end, other people's paths."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vaultd.backends.webdav.listing import Entry, children, decoded_path, parse
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
    return list(parse(iter([body]), "the place", "/dav/v"))


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


@pytest.mark.parametrize(
    "href",
    [
        "/dav/v/one", "http://host:1/dav/v/one", "https://inner.host/dav/v/one", "one", "./one",
        "//dav/v/one", "/dav//v/one", "/dav/v//one", "http://host//dav/v/one", "/dav/./v/one",
        "/dav/x/../v/one", "/%64av/v/on%65", "/dav/v/one?x=1", "../v/one", "/dav/v/one/",
    ],
)  # fmt: skip
def test_hrefs_of_any_legal_form_are_resolved(href: str) -> None:
    for itself in ("/dav/v/", "/dav/v", "http://host/dav/v/", "", ".", "./", "//dav//v//"):
        if not itself:
            continue
        found = members(response(itself), response(href, 5))
        assert found is not None
        assert list(found) == ["one"]


@pytest.mark.parametrize(
    "href",
    [
        "/dav/other", "/dav/v/../escape", "/etc/passwd", "/dav/v/%2e%2e/up", "", "../x", "/",
        "//evil.example/dav/v/one", "http://[bad/dav/v/x", "/dav/vv", "https://host",
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_an_error_as_a_part_may_be_missing(href: str) -> None:
    with pytest.raises(PlaceError, match="other paths"):
        members(response("/dav/v/"), response("/dav/v/mine", 1), response(href, 1))


def test_what_lies_deeper_or_has_a_slash_in_its_name_is_no_member() -> None:
    found = members(
        response("/dav/v/"), response("/dav/v/mine", 1), response("/dav/v/mine/deeper", 1),
        response("/dav/v/%2e%2e%2fup", 1),
    )  # fmt: skip
    assert found is not None
    assert list(found) == ["mine", "..%2Fup"]


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


@pytest.mark.parametrize("status", ["507 Insufficient Storage", "500 No", "403 Forbidden"])
@pytest.mark.parametrize("href", ["/dav/v/", "/dav/v", "/dav/v/x"])
def test_a_listing_cut_by_the_server_is_an_error(href: str, status: str) -> None:
    """507 for the collection itself says that there is more (RFC 5323 5.17, RFC 6578 3.6)."""
    cut = (
        f"<D:response><D:href>{href}</D:href><D:status>HTTP/1.1 {status}</D:status></D:response>"
    ).encode()
    with pytest.raises(PlaceError, match=rf"only a part of a listing \({status[:3]}\)"):
        members(response("/dav/v/"), response("/dav/v/one", 1), cut)


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
