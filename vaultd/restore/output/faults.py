"""What a format could not write: one record's fault is a line in the report and stops nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, ParamSpec, TypeVar

from vaultd.errors import VaultdError
from vaultd.records import StoredRecord

_NAMED: Final = 20  # of each reason; a hostile vault may hold a million faulty records

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(slots=True)
class Faults:
    """Counts records that could not be written, by kind and by what went wrong."""

    found: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def guard(
        self, record: StoredRecord, step: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T | None:
        """Return what `step` makes of the record; None where the record makes it fail.

        What is not the record's fault goes on: VaultdError, OSError (a full disk), MemoryError
        and a scratch database that fails as a whole.
        """
        try:
            return step(*args, **kwargs)
        except (VaultdError, OSError, MemoryError, sqlite3.OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever somebody wrote, it costs this record
            self.add(record, type(error).__name__)
        return None

    def add(self, record: StoredRecord, reason: str) -> None:
        """Count one record that could not be written."""
        key = (record.kind, reason)
        self.counts[key] = self.counts.get(key, 0) + 1
        named = self.found.setdefault(key, [])
        if len(named) < _NAMED:
            named.append(record.id[:80])

    def __len__(self) -> int:
        return sum(self.counts.values())

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each kind and reason, with the ids of the first records."""
        for (kind, reason), ids in self.found.items():
            count = self.counts[(kind, reason)]
            more = f" and {count - len(ids):,} more" if count > len(ids) else ""
            records, them = ("record", "it") if count == 1 else ("records", "them")
            yield (
                f"{count:,} {kind[:40]} {records} could not be written, for what stands in {them} "
                f"({reason}): {', '.join(ids)}{more}."
            )
