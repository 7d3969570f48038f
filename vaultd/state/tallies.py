"""What was counted of each target over all runs, and its room when last asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import delete, func, insert, select

from vaultd.state.database import Database
from vaultd.state.models import TallyRow, VaultRow


class Counters(msgspec.Struct):
    """Sums per verb: requests, retries, errors by code, seconds; and bytes each way."""

    calls: dict[str, int] = {}
    retries: dict[str, int] = {}
    errors: dict[str, dict[str, int]] = {}
    seconds: dict[str, float] = {}
    sent: int = 0
    received: int = 0

    def add(self, other: Counters) -> None:
        """Add what another one counted."""
        for own, more in ((self.calls, other.calls), (self.retries, other.retries)):
            for verb, count in more.items():
                own[verb] = own.get(verb, 0) + count
        for verb, seconds in other.seconds.items():
            self.seconds[verb] = self.seconds.get(verb, 0.0) + seconds
        for verb, codes in other.errors.items():
            mine = self.errors.setdefault(verb, {})
            for code, count in codes.items():
                mine[code] = mine.get(code, 0) + count
        self.sent += other.sent
        self.received += other.received


@dataclass(slots=True)
class Tally:
    """One target; `resting`: it was left alone at the end of the last run; `trouble`: what it said
    when it was last asked for its room, empty where it answered. Bytes, RFC 3339."""

    counters: Counters = field(default_factory=Counters)
    resting: bool = False
    asked_at: str | None = None
    total: int | None = None
    free: int | None = None
    trouble: str = ""
    trouble_since: str | None = None


@dataclass(frozen=True, slots=True)
class VaultSums:
    """The vaults of one target: how many have a point, the oldest and newest of these points."""

    vaults: int
    oldest: str
    newest: str


_decoder: Final = msgspec.msgpack.Decoder(Counters)


class Tallies:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def all(self) -> dict[str, Tally]:
        """Return the tally of every target that was ever used."""
        with self._session() as session:
            return {
                row.target: Tally(
                    _counters(row.counters),
                    row.resting,
                    row.asked_at,
                    row.total,
                    row.free,
                    row.trouble,
                    row.trouble_since,
                )
                for row in session.scalars(select(TallyRow))
            }

    def save(self, tallies: Mapping[str, Tally]) -> None:
        """Keep these tallies in place of the targets' old ones."""
        rows = [
            {
                "target": target,
                "counters": msgspec.msgpack.encode(tally.counters),
                "resting": tally.resting,
                "asked_at": tally.asked_at,
                "total": tally.total,
                "free": tally.free,
                "trouble": tally.trouble,
                "trouble_since": tally.trouble_since,
            }
            for target, tally in tallies.items()
        ]
        if rows:
            with self._session() as session:
                session.execute(delete(TallyRow).where(TallyRow.target.in_(list(tallies))))
                session.execute(insert(TallyRow), rows)

    def vaults(self) -> dict[str, VaultSums]:
        """Return the sums of each target's vaults."""
        query = (
            select(
                VaultRow.target,
                func.count(),
                func.min(VaultRow.last_at),
                func.max(VaultRow.last_at),
            )
            .where(VaultRow.last_at.is_not(None))
            .group_by(VaultRow.target)
        )
        with self._session() as session:
            return {
                target: VaultSums(count, oldest or "", newest or "")
                for target, count, oldest, newest in session.execute(query)
            }


def _counters(data: bytes) -> Counters:
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, ValueError):
        return Counters()  # damaged: counting begins anew, as nothing but metrics hangs on it
