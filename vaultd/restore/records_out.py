"""`--format records`: every record as a line of JSON, and a summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from vaultd.records import StoredRecord
from vaultd.restore.output.faults import Faults
from vaultd.restore.output.private_file import private_file
from vaultd.restore.point import RestorePoint

RECORDS: Final = "records.jsonl"
SUMMARY: Final = "summary.json"
_AT_ONCE: Final = 64

_encoder: Final = msgspec.json.Encoder()
_kind: Final = attrgetter("kind")


def write_records(snapshot: RestorePoint, out: Path) -> dict[str, int]:
    """Write `records.jsonl` and `summary.json` into `out`; returns the counts by kind.

    A record that cannot be written is named in the snapshot's `damage`. Raises OSError, and what
    the snapshot raises when its place is gone.
    """
    counts: Counter[str] = Counter()
    faults = Faults()
    with private_file(out, RECORDS) as file:
        records = snapshot.records()
        while batch := list(islice(records, _AT_ONCE)):
            try:
                file.write(_encoder.encode_lines(batch))
            except (ValueError, TypeError, OverflowError, RecursionError):
                batch = _singly(batch, file, faults)
            counts.update(map(_kind, batch))
    snapshot.damage += faults.sentences()
    manifest = snapshot.manifest
    by_kind = dict(sorted(counts.items()))
    with private_file(out, SUMMARY) as file:
        summary = {"account": manifest.account, "at": manifest.time, "counts": by_kind}
        file.write(_json(summary) + b"\n")
    return by_kind


def _singly(batch: Sequence[StoredRecord], file: BinaryIO, faults: Faults) -> list[StoredRecord]:
    """Write the records that can be, one by one, and return them."""
    written = []
    for record in batch:
        line = faults.guard(record, partial(_json, msgspec.structs.asdict(record)))
        if line is not None:
            file.write(line + b"\n")
            written.append(record)
    return written


def _json(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        # Half a character has no UTF-8; the replacement \udXXX is JSON's own escape for it.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "backslashreplace")
