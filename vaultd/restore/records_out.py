"""`--format records`: every record as a line of JSON, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Final

import msgspec

from vaultd.records import StoredRecord
from vaultd.restore.point import RestorePoint
from vaultd.restore.private_file import private_file

RECORDS: Final = "records.jsonl"
SUMMARY: Final = "summary.json"
_AT_ONCE: Final = 64

_encoder: Final = msgspec.json.Encoder()
_kind: Final = attrgetter("kind")


def write_records(snapshot: RestorePoint, out: Path) -> dict[str, int]:
    """Write `records.jsonl` and `summary.json` into `out`; returns the counts by kind.

    Raises OSError, and what the snapshot raises when its place is gone.
    """
    counts: Counter[str] = Counter()
    with private_file(out, RECORDS) as file:
        records = snapshot.records()
        while batch := list(islice(records, _AT_ONCE)):
            file.write(_lines(batch))
            counts.update(map(_kind, batch))
    manifest = snapshot.manifest
    by_kind = dict(sorted(counts.items()))
    with private_file(out, SUMMARY) as file:
        summary = {"account": manifest.account, "at": manifest.time, "counts": by_kind}
        file.write(_json(summary) + b"\n")
    return by_kind


def _lines(records: Sequence[StoredRecord]) -> bytes:
    try:
        return _encoder.encode_lines(records)
    except UnicodeEncodeError:
        return b"".join(_json(msgspec.structs.asdict(record)) + b"\n" for record in records)


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half a character has no UTF-8; the replacement \udXXX is JSON's own escape for it.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")
