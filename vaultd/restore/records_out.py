"""`--format records`: every record as a line of JSON, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

from vaultd.restore.point import RestorePoint
from vaultd.restore.private_file import private_file

RECORDS: Final = "records.jsonl"
SUMMARY: Final = "summary.json"


def write_records(snapshot: RestorePoint, out: Path) -> dict[str, int]:
    """Write `records.jsonl` and `summary.json` into `out`; returns the counts by kind.

    Raises OSError, and what the snapshot raises when its place is gone.
    """
    counts: Counter[str] = Counter()
    with private_file(out, RECORDS) as file:
        for record in snapshot.records():
            line = {"kind": record.kind, "id": record.id, "body": record.body}
            file.write(_json(line) + b"\n")
            counts[record.kind] += 1
    manifest = snapshot.manifest
    by_kind = dict(sorted(counts.items()))
    with private_file(out, SUMMARY) as file:
        summary = {"account": manifest.account, "at": manifest.time, "counts": by_kind}
        file.write(_json(summary) + b"\n")
    return by_kind


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half a character has no UTF-8; the replacement \udXXX is JSON's own escape for it.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")
