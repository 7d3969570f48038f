"""What targets honoured when they were last asked, so that a change is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
from sqlalchemy import delete, insert

from vaultd.errors import DamageError
from vaultd.state.database import Database
from vaultd.state.models import ProbeRow

Found = tuple[str, bool, str]
_decoder: Final = msgspec.msgpack.Decoder(list[Found])


@dataclass(frozen=True, slots=True)
class LastProbe:
    """When (RFC 3339), and what: (thing, honoured, sentence)."""

    at: str
    findings: list[Found]


class Probes:
    """Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._session = database.session

    def last(self, target: str) -> LastProbe | None:
        """Return what was found last, None for a target never asked; raises DamageError."""
        with self._session() as session:
            row = session.get(ProbeRow, target)
            if row is None:
                return None
            try:
                return LastProbe(row.at, _decoder.decode(row.findings))
            except (msgspec.DecodeError, ValueError) as error:
                raise DamageError("A probe in the state database is damaged.") from error

    def save(self, target: str, at: str, findings: list[Found]) -> None:
        """Keep what was found now."""
        with self._session() as session:
            session.execute(delete(ProbeRow).where(ProbeRow.target == target))
            packed = msgspec.msgpack.encode(findings)
            session.execute(insert(ProbeRow), [{"target": target, "at": at, "findings": packed}])
