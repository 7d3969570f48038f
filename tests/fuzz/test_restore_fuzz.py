"""Records that hold anything at all: each restore ends with a report, never with an exception."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.restore.account import account
from tests.restore.archive_check import schema_errors
from tests.restore.point import FakePoint
from vaultd.records import Json, StoredRecord
from vaultd.restore.archive.archive import write_diaspora
from vaultd.restore.html import write_html
from vaultd.restore.records_out import write_records

FILES = {"v/blob-1": b"picture one", "v/blob-2": b"picture two"}
ODD: list[Json] = [
    None, True, 0, -1, 1 << 64, 1.5, float("nan"), float("inf"), "", " ", "\0", "\ud800", "é" * 400,
    "<script>", "../../etc/passwd", "-rf", ".x", "x.html", "a\u202eb", "\x1b[31m", "99999-01-01T00:00:00Z",
    "-0044-03-15T00:00:00Z", [], {}, [None], [{}], {"entity_data": 5}, {"\ud800": "\udfff"},
]  # fmt: skip
anything = st.one_of(
    st.sampled_from(ODD),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    ),
)  # fmt: skip
RECORDS = account()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "out"


def _places(value: Json, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _places(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _places(item, (*at, number))


PLACES = [
    (number, place)
    for number, record in enumerate(RECORDS)
    for place in _places(record.body)
    if place
]


def _spoiled(changes: list[tuple[tuple[int, tuple[str | int, ...]], Json]]) -> list[StoredRecord]:
    bodies: list[Any] = [deepcopy(record.body) for record in RECORDS]
    for (number, place), value in changes:
        inner = bodies[number]
        try:
            for step in place[:-1]:
                inner = inner[step]
            inner[place[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    return [StoredRecord(r.kind, r.id, b) for r, b in zip(RECORDS, bodies, strict=True)]


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _check(records: list[StoredRecord]) -> None:
    with _folder() as out:
        point = FakePoint(records, files=FILES)
        report = write_diaspora(point, out)
        (packed,) = out.glob("*.json.gz")
        archive = json.loads(gzip.decompress(packed.read_bytes()), parse_constant=_no_number)
        assert schema_errors(archive) == [] or not archive["user"]["private_key"]
        left = sum(map(report.count, report.sections))
        posts = sum(record.kind == "post" for record in records)
        assert len(archive["user"]["posts"]) == posts or left
    with _folder() as out:
        out.mkdir()
        write_html(FakePoint(records, files=FILES), out)
        assert (out / "index.html").read_text("utf-8")
    with _folder() as out:
        point = FakePoint(records, files=FILES)
        counts = write_records(point, out)
        lines = (out / "records.jsonl").read_bytes().decode().split("\n")[:-1]
        assert [json.loads(line, parse_constant=_no_number) for line in lines]
        assert sum(counts.values()) == len(lines)
        assert len(lines) == len(records) or point.damage


@given(st.lists(st.tuples(st.sampled_from(PLACES), anything), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_no_content_of_records_ends_a_restore(
    changes: list[tuple[tuple[int, tuple[str | int, ...]], Json]],
) -> None:
    _check(_spoiled(changes))


@pytest.mark.parametrize("value", ODD, ids=lambda value: ascii(value)[:24])
def test_one_odd_value_in_every_place_at_once_ends_no_restore(value: Json) -> None:
    for depth in (1, 2, 3, 4):
        _check(_spoiled([(place, value) for place in PLACES if len(place[1]) == depth]))


def test_bodies_nested_to_the_limit_and_records_of_unknown_kinds_end_no_restore() -> None:
    deep: Json = "x"
    for _ in range(30):
        deep = {"entity_data": deep}
    more = [StoredRecord(kind, "deep", {"entity_data": deep}) for kind in {r.kind for r in RECORDS}]
    _check([*RECORDS, *more, StoredRecord("new_kind", "\ud800", {"a": [float("nan")]})])
