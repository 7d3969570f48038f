"""Trouble with users' own targets: how long one that fails is left alone, and what is told of it.

It is the user's business: it fails no run, and costs ever fewer of them. What is an alarm (damage,
a lost sealing key) is the podmin's, fails every run, and is never left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from vaultd.clock import parse_rfc3339, rfc3339
from vaultd.config import Config
from vaultd.state.own_targets import SealedTarget
from vaultd.state.store import State

ALARM: Final = "alarm"
# The next run tries again, and then it rests for nearly as long as it has been failing: daily runs
# ask on days 0, 1, 2, 4, 8, 15, …; what waits for somebody to mend it on days 0, 1, 5, 12, ….
_GROWTH: Final = {"wait": 7 / 8, "fix": 4 * 7 / 8}
_LONGEST: Final = timedelta(days=6, hours=12)  # daily runs ask every 7 days
_WHOSE: Final = {
    "wait": "wait: vaultd tries again by itself",
    "fix": "fix: its user has to mend it, or to set it anew",
    ALARM: "alarm: the podmin has to look at it",
}


def rests_until(row: SealedTarget) -> datetime | None:
    """Return until when runs leave a target alone; None where the next one tries it."""
    if row.failing_since is None or row.tried_at is None or row.move not in _GROWTH:
        return None
    tried = parse_rfc3339(row.tried_at)
    rest = min((tried - parse_rfc3339(row.failing_since)) * _GROWTH[row.move], _LONGEST)
    return tried + rest if rest > timedelta() else None


def rests(row: SealedTarget, at: datetime) -> bool:
    """Tell whether a run at this moment leaves a target alone."""
    until = rests_until(row)
    # A clock that was set back must not make the rest longer.
    return (
        until is not None and row.tried_at is not None and parse_rfc3339(row.tried_at) <= at < until
    )


@dataclass(frozen=True, slots=True)
class OwnFailure:
    """Why an own target fails (`reason`), since when, whose `move` it is, and until when runs
    leave it alone (None: the next one tries it). Times are RFC 3339."""

    since: str
    move: str
    reason: str
    rests_until: str | None

    @property
    def sentence(self) -> str:
        """All of that for people."""
        again = f"after {self.rests_until}" if self.rests_until else "with the next run"
        whose = _WHOSE.get(self.move, self.move)
        return f"failing since {self.since} ({whose}; tried again {again}): {self.reason}"


def failure(row: SealedTarget) -> OwnFailure | None:
    """Return what is to be told of a target, None where it did not fail last."""
    if row.failing_since is None:
        return None
    until = rests_until(row)
    return OwnFailure(
        row.failing_since, row.move, row.result, None if until is None else rfc3339(until)
    )


@dataclass(frozen=True, slots=True)
class OwnFailures:
    """How many accounts' own targets fail, the oldest since when, and how many of these accounts
    have no other target."""

    accounts: int = 0
    oldest: str | None = None
    alone: int = 0

    def document(self) -> dict[str, object]:
        """Return it as `--json` prints it."""
        return {"failing": self.accounts, "oldest_since": self.oldest, "alone": self.alone}

    @property
    def sentence(self) -> str:
        """All of that for people; empty where none fails."""
        if not self.accounts:
            return ""
        many = self.accounts > 1
        told = f"own target of {self.accounts:,} account{'s' if many else ''} failing, "
        told += f"{'oldest ' if many else ''}since {self.oldest}"
        if self.alone:
            told += f"; {self.alone:,} of them {'have' if self.alone > 1 else 'has'} no other"
        return f"{told}; `vaultd target list` says why and whose move it is"


def own_failures(config: Config, state: State) -> OwnFailures:
    """Sum up over all enrolled accounts; nothing where the pod allows no such targets."""
    if not config.user_targets.enabled:
        return OwnFailures()
    rows = state.own_targets.failing()
    return OwnFailures(
        len(rows),
        min((row.failing_since for row in rows if row.failing_since), default=None),
        sum(row.only for row in rows),
    )
