"""What a restore passed over: archives that do not open, and may be the point that was meant."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from vaultd.clock import parse_rfc3339
from vaultd.errors import (
    DamageError,
    ForgeryError,
    ObjectMissing,
    TooLargeError,
    WrongKeyError,
)
from vaultd.restore.snapshot import Point, Vault, is_number, moment_asked, moment_of
from vaultd.vault.layout import parse_archive_name
from vaultd.vault.listing import Problem

_DAMAGE: Final = frozenset({DamageError.code, ForgeryError.code})
_UNREADABLE: Final = _DAMAGE | {ObjectMissing.code, TooLargeError.code, WrongKeyError.code}


def passed_over(vault: Vault, taken: Point, when: str | None) -> list[str]:
    """Return why the point that was `taken` for `when` may not be the one that was meant.

    Without a `when` all damage of the vault is told; with one, only archives that may be of then.
    """
    if when is None:
        wanted = [
            problem
            for problem in vault.problems
            if problem.code in _DAMAGE
            or (problem.code in _UNREADABLE and _is_after(problem, taken))
        ]
    elif is_number(when):
        wanted = [p for p in vault.problems if p.code in _UNREADABLE and _is_beside(p, taken)]
    else:
        asked, end = moment_asked(when), _first_after(vault, when)
        wanted = [
            problem
            for problem in vault.problems
            # What somebody else signed is no point of this account.
            if problem.code in _UNREADABLE - {ForgeryError.code}
            and _is_after(problem, taken)
            and _sequence(problem) < end
            and not _is_later(vault, problem, asked)
        ]
    return [problem.sentence for problem in wanted]


def _sequence(problem: Problem) -> int:
    """Return the number of the archive that a problem is about, 0 where it is about none."""
    parts = parse_archive_name(problem.object)
    return 0 if parts is None else parts[1]


def _is_after(problem: Problem, taken: Point) -> bool:
    return _sequence(problem) > taken.entry.sequence


def _is_beside(problem: Problem, taken: Point) -> bool:
    return _sequence(problem) == taken.entry.sequence and problem.object != taken.entry.name


def _first_after(vault: Vault, when: str) -> float:
    """Return the number of the first archive that is known to be later than `when`."""
    asked = moment_asked(when)
    later = (p.entry.sequence for p in vault.points if moment_of(p) > asked)
    return min(later, default=float("inf"))


def _is_later(vault: Vault, problem: Problem, asked: datetime) -> bool:
    """Whether the archive's clear header, which its pod signed, tells a moment after `asked`."""
    for entry in vault.listing.entries:
        if entry.name == problem.object and entry.header is not None and entry.header.time:
            try:
                return entry.header.pod in vault.pods and parse_rfc3339(entry.header.time) > asked
            except ValueError:
                return False
    return False
