"""Hostile export files and photos archives: a typed error or records that an archive can hold."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import examples, hostile, peak, typed
from tests.restore.account import account
from tests.restore.point import FakePoint
from vaultd.errors import DamageError, ExportFileError
from vaultd.records import Record, check_stored, encode_body
from vaultd.restore.archive.archive import write_diaspora
from vaultd.sources.base import singly
from vaultd.sources.export.photos import PhotosZip
from vaultd.sources.export.source import ExportFileSource

MIB = 2**20
LIMIT = MIB
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.TraditionalOpenSSL,
    serialization.NoEncryption(),
)
FILE = settings(examples(120), suppress_health_check=[HealthCheck.function_scoped_fixture])


def _small() -> bytes:
    """Return an export with one of most things, but small."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_diaspora(FakePoint(account()), Path(folder))
        whole = gzip.decompress((Path(folder) / "ada.json.gz").read_bytes())
    content: dict[str, Any] = json.loads(whole)
    content["user"]["private_key"] = KEY.decode()
    for part in (content["user"], content["others_data"]):
        for name, value in part.items():
            if isinstance(value, list):
                part[name] = value[:2]
    return json.dumps(content).encode()


EXPORT = _small()


def zipped(method: int, data: bytes = EXPORT, name: str = "a.json") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return file.getvalue()


ZIPS = [zipped(method) for method in METHODS]


def _store(record: Record) -> None:
    """What the engine does with each record, with the errors that it takes for trouble."""
    try:
        encode_body(record.body)
        check_stored([record.kind, record.id, record.body])
        record.id.encode()
    except (DamageError, UnicodeEncodeError, OverflowError):
        return


def read(path: Path) -> int:
    source = ExportFileSource(path, limit=LIMIT)
    source.info()
    count = 0
    for _, item in singly(source.read(source.accounts())):
        count += 1
        if isinstance(item, Record):
            _store(item)
    return count


def test_the_valid_inputs_are_valid(tmp_path: Path) -> None:
    for data in (EXPORT, gzip.compress(EXPORT), *ZIPS[:2]):
        (tmp_path / "x").write_bytes(data)
        assert read(tmp_path / "x") > 20


@given(hostile(EXPORT, gzip.compress(EXPORT)))
@FILE
def test_any_json_or_gzip_is_an_export_or_a_typed_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    typed(read, tmp_path / "x")


@given(hostile(*ZIPS))
@settings(FILE, max_examples=3 * FILE.max_examples)
def test_any_zip_is_an_export_or_a_typed_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    typed(read, tmp_path / "x")


@given(hostile(*(zipped(method, b"picture" * 99, "a.png") for method in METHODS)))
@settings(FILE, max_examples=3 * FILE.max_examples)
def test_any_photos_archive_gives_pictures_or_errors(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    archive = typed(PhotosZip, tmp_path / "x", 100_000)
    if archive is None:
        return
    for name in (*archive._archive.namelist(), "none"):
        try:
            with archive.open(name) as file:
                assert len(file.read()) <= 100_000
        except OSError:
            continue
    archive.close()


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5),
    st.sampled_from(["", "@", "a@b", "http://[", "//a:b@[::1", "\0", "🌻", "x" * 1000, -1, 2**64,
                     "-----BEGIN PRIVATE KEY-----\n", KEY.decode()[:80], 1e308, 10**30]),
)  # fmt: skip
JSON = st.recursive(SCALARS, lambda v: st.lists(v, max_size=3), max_leaves=4)


def _leaves(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items  # type: ignore[assignment]
    for key, item in items:
        yield from _leaves(item, (*path, key))


PATHS = [path for path in _leaves(json.loads(EXPORT)) if path]


@given(st.lists(st.tuples(st.sampled_from(PATHS), JSON), min_size=1, max_size=4))
@settings(FILE, max_examples=3 * FILE.max_examples)
def test_any_value_anywhere_gives_records_or_a_typed_error(
    tmp_path: Path, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    content = json.loads(EXPORT)
    for path, value in changes:
        node = content
        try:
            for key in path[:-1]:
                node = node[key]
            node[path[-1]] = value
        except (TypeError, LookupError):
            continue
    (tmp_path / "x").write_bytes(json.dumps(content).encode())
    typed(read, tmp_path / "x")


@cache
def _bombs() -> dict[str, bytes]:
    start = b'{"version":"2.0","user":{"username":"a","x":'
    zeros = bytes(24 * MIB)
    bombs = {f"zip {method}": zipped(method, zeros) for method in METHODS}
    bombs |= {
        "gzip": gzip.compress(zeros),
        "deep": start + b"[" * 10**5,
        "deep maps": start + b'{"a":' * 10**5,
        "lists": start + b"[" + b"[]," * (LIMIT // 4) + b"[]]}}",
        "repeated keys": start + b"{" + b'"a":[],' * (LIMIT // 8) + b'"a":1}}}',
        "huge number": start + b"9" * 10**6 + b"}}",
        "huge exponent": start + b"1e" + b"9" * 10**5 + b"}}",
        "many members": _many(),
    }
    return bombs


def _many() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(1000):
            archive.writestr(f"{number}.txt", b"")
    return file.getvalue()


# What is unpacked may take this many times its limit as Python objects.
TIMES = 32


@pytest.mark.parametrize("name", _bombs().keys())
def test_bombs_take_bounded_memory(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(_bombs()[name])
    assert peak(lambda: read(tmp_path / "x")) < TIMES * LIMIT


@pytest.mark.parametrize("method", METHODS[2:])
def test_a_zip_packed_in_an_unusual_way_is_refused(method: int, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(zipped(method))
    with pytest.raises(ExportFileError, match="unusual"):
        read(tmp_path / "x")
    with pytest.raises(OSError, match="unusual"):
        PhotosZip(tmp_path / "x").open("a.json")


def test_an_address_that_is_none_does_not_end_the_reading(tmp_path: Path) -> None:
    content = json.loads(EXPORT)
    content["user"]["posts"][0]["subscribed_pods_uris"] = ["http://[", "https://other.example/"]
    (tmp_path / "x").write_bytes(json.dumps(content).encode())
    source = ExportFileSource(tmp_path / "x")
    found = [item for _, item in singly(source.read(source.accounts())) if isinstance(item, Record)]
    assert ("audience", "other.example") in {(record.kind, record.id) for record in found}
