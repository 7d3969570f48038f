from __future__ import annotations

import json
from pathlib import Path

from tests.restore.point import FakePoint
from vaultd.records import StoredRecord
from vaultd.restore.records_out import write_records

RECORDS = [
    StoredRecord("post", "p1", {"text": "مرحبا 👩🏽\u200d🚀 \u2028 \0 end"}),
    StoredRecord("post", "p2", {"text": "half \ud83d"}),
    StoredRecord("aspect", "1", {"name": "Söhne&Töchter"}),
]


def test_every_record_is_a_line_and_the_summary_counts_them(tmp_path: Path) -> None:
    assert write_records(FakePoint(RECORDS), tmp_path) == {"aspect": 1, "post": 2}
    lines = (tmp_path / "records.jsonl").read_bytes().split(b"\n")
    assert lines[-1] == b""
    assert [json.loads(line) for line in lines[:-1]] == [
        {"kind": r.kind, "id": r.id, "body": r.body} for r in RECORDS
    ]
    assert json.loads((tmp_path / "summary.json").read_bytes()) == {
        "account": "ada@old.example",
        "at": "2026-11-23T20:46:00Z",
        "counts": {"aspect": 1, "post": 2},
    }


def test_texts_are_written_as_they_are_read(tmp_path: Path) -> None:
    write_records(FakePoint(RECORDS), tmp_path)
    assert "Söhne&Töchter".encode() in (tmp_path / "records.jsonl").read_bytes()


def test_only_the_owner_can_read_what_is_restored(tmp_path: Path) -> None:
    write_records(FakePoint(RECORDS), tmp_path)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600


def test_an_empty_point_gives_empty_files(tmp_path: Path) -> None:
    assert write_records(FakePoint([]), tmp_path / "new" / "folder") == {}
    assert (tmp_path / "new" / "folder" / "records.jsonl").read_bytes() == b""
