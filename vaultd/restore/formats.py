"""The formats of a restore, by name: a new one is a function and a row in `FORMATS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:  # `verify` and `archives` need no records' libraries
    from vaultd.restore.point import RestorePoint


@dataclass(frozen=True, slots=True)
class Options:
    """What a format may be told: `email` takes the place of the account's own address."""

    email: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What a format wrote: records by kind, and what would stop an import as a whole."""

    counts: Mapping[str, int]
    obstacles: Sequence[str] = ()


Format: TypeAlias = "Callable[[RestorePoint, Path, Options], Written]"


def _diaspora(point: RestorePoint, out: Path, options: Options) -> Written:
    from vaultd.restore.archive.archive import write_diaspora

    report = write_diaspora(point, out, email=options.email)
    return Written(report.counts, report.obstacles)


def _html(point: RestorePoint, out: Path, _options: Options) -> Written:
    from vaultd.restore.html import write_html

    return Written(write_html(point, out).counts)


def _records(point: RestorePoint, out: Path, _options: Options) -> Written:
    from vaultd.restore.records_out import write_records

    return Written(write_records(point, out))


FORMATS: Final[Mapping[str, Format]] = {"diaspora": _diaspora, "html": _html, "records": _records}
