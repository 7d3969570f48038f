"""Whatever the format, the vault is read once: far places are slow and cost by the request."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restore.account import account
from tests.restore.point import FakePoint
from tests.vault import small_vault as small
from vaultd.backends.memory import MemoryBackend
from vaultd.keys import Secrets
from vaultd.records import Body, StoredRecord
from vaultd.restore.formats import FORMATS, Options
from vaultd.restore.read_once import read_once
from vaultd.restore.snapshot import Snapshot, open_with_kit


class _Counting(MemoryBackend):
    """Counts requests to read and the bytes they gave."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        data = super().read(name, offset, length)
        self.seen["requests"] += 1
        self.seen["bytes"] += len(data)
        return data


def _cost(form: str, out: Path) -> tuple[dict[str, int], dict[str, int]]:
    place, records = _Counting(), account()
    secrets = Secrets.from_secret(small.SECRET)
    wires = [(r.kind, r.id, r.body) for r in records if "blob" not in (r.body or {})]
    more: list[tuple[str, str, Body | None]] = [
        ("post", f"n{i}", {"entity_type": "status_message",
                           "entity_data": {"guid": f"n{i:016}", "text": "x" * 2000, "public": True}})
        for i in range(400)
    ]  # fmt: skip
    first = small.pack(secrets, small.POD_KEY, 1, None, (), [*wires, *more], {})
    place.objects[first.name] = first.open().read()
    vault = open_with_kit(place, secrets, (small.POD_KEY.public,))
    point = Snapshot(vault, vault.at(None))
    place.seen.clear()
    written = FORMATS[form](point, out, Options())
    return dict(place.seen), dict(written.counts)


def test_every_format_costs_the_place_what_records_cost(tmp_path: Path) -> None:
    cost, counts = _cost("records", tmp_path / "records")
    assert cost["requests"] >= 1
    for form in FORMATS:
        assert _cost(form, tmp_path / form) == (cost, counts), form


def test_a_point_read_once_gives_the_same_records_as_often_as_wanted(tmp_path: Path) -> None:
    records = [*account(), *(StoredRecord("post", str(n), {"n": "y" * 900}) for n in range(500))]
    with read_once(FakePoint(records), tmp_path) as point:
        for _ in range(2):
            assert Counter(map(repr, point.records())) == Counter(map(repr, records))
        posts = list(point.records({"post"}))
        assert [r.id for r in posts] == [r.id for r in records if r.kind == "post"]
        assert point.counts == Counter(r.kind for r in records)


@pytest.mark.parametrize("form", list(FORMATS))
def test_nothing_of_a_restore_under_way_has_a_name_or_lies_readable_on_disk(
    form: str, tmp_path: Path
) -> None:
    secret = "a sentence that nobody else may read"
    # More than a scratch database keeps in memory.
    records = [
        StoredRecord("post", f"{n:020}", {"entity_type": "status_message", "entity_data":
                     {"guid": f"{n:020}", "text": secret + "\u00e9" * 1500, "public": True}})
        for n in range(3000)
    ]  # fmt: skip
    records += account()
    looked = Counter[str]()

    class _Looking(FakePoint):
        def records(self, kinds: object = None) -> Iterator[StoredRecord]:
            yield from records
            looked.update(_open_files(tmp_path, secret.encode()))

        def open_blob(self, body: Body) -> Iterator[bytes]:
            looked.update(_open_files(tmp_path, secret.encode()))
            yield b"picture"

    FORMATS[form](_Looking(records), tmp_path / "out", Options())
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(".restoring")]
    if form != "records":
        assert looked["scratch"] > 0
    assert looked["readable"] == 0
    assert looked["named"] == 0


def _open_files(folder: Path, secret: bytes) -> Counter[str]:
    """Look through the files that this process has open below a folder, also unlinked ones."""
    found = Counter[str]()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:
            continue
        if not target.startswith(str(folder)) or ".restoring-" not in target:
            continue
        found["scratch"] += 1
        found["named"] += not target.endswith(" (deleted)")
        found["readable"] += secret in link.read_bytes()
    return found
