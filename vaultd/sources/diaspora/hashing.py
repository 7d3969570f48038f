"""Hashing rows inside the database: sums that do not depend on the order of the rows."""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import CHAR, BigInteger, LargeBinary, Text, cast, func, literal_column
from sqlalchemy.dialects.mysql import BIGINT
from sqlalchemy.dialects.postgresql import BIT

Columns: TypeAlias = "list[Any]"

_ROWS: Final = "vaultd_rows"
# Types whose equality in PostgreSQL is equality of what a record holds; others go as text.
_EXACT: Final = frozenset(
    "SMALLINT INTEGER BIGINT BOOLEAN VARCHAR TEXT TIMESTAMP DATE BYTEA".split()
)


class Hasher:
    """Makes the aggregates of one engine. `extended` is for PostgreSQL 14 and later.

    The aggregates of two sets of rows are equal only if the sets are: NULL is not '', no
    separator can be confused, and a row that is there twice counts twice (docs: each engine's
    own hash of 64 bits or more per row; beside a sum PostgreSQL and MySQL have an XOR).
    """

    def __init__(self, dialect: str, *, extended: bool = False) -> None:
        self._rows = {
            "postgresql": _extended if extended else _md5_of_record,
            "mysql": _md5_of_lengths,
        }.get(dialect, _registered)

    def rows(self, columns: Sequence[Any]) -> Columns:
        """Return the labelled aggregates, all text or bytes, over these columns of the rows."""
        return [
            func.count().label("n"),
            *(value.label(f"h{i}") for i, value in enumerate(self._rows(columns))),
        ]


def _exact(column: Any) -> Any:
    return column if str(column.type).partition("(")[0] in _EXACT else cast(column, Text)


def row_hash(columns: Sequence[Any]) -> Any:
    """Return the 64-bit hash of a row of PostgreSQL 14 or later."""
    return func.hash_record_extended(func.row(*map(_exact, columns)), literal_column("0"))


def _extended(columns: Sequence[Any]) -> Columns:
    return [cast(func.sum(row_hash(columns)), Text)]


def _md5_of_record(columns: Sequence[Any]) -> Columns:
    # A record as text quotes what needs it, and has nothing for NULL but "" for an empty text.
    digest = func.md5(cast(func.row(*columns), Text))
    halves = (func.concat("x", func.substr(digest, first, 16)) for first in (1, 17))
    return [cast(func.sum(cast(cast(half, BIT(64)), BigInteger)), Text) for half in halves]


def _md5_of_lengths(columns: Sequence[Any]) -> Columns:
    # Each value with its length before it, `-` for NULL.
    plain = (cast(column, LargeBinary) for column in columns)
    parts = (func.coalesce(func.concat(func.length(p), ":", p), "-") for p in plain)
    digest = func.left(func.md5(func.concat("", *parts)), 16)
    row = cast(func.conv(digest, 16, 10), BIGINT(unsigned=True))
    return [cast(func.sum(row), CHAR)]


def _registered(columns: Sequence[Any]) -> Columns:
    # As bytes: a text with bytes that are no UTF-8 could not be handed to the function.
    return [getattr(func, _ROWS)(*(cast(column, LargeBinary) for column in columns))]


class _Rows:
    """The aggregate for SQLite: the sum of the rows' hashes modulo 2^128."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, *values: bytes | None) -> None:
        digest = hashlib.blake2b(marshal.dumps(values, 2), digest_size=16).digest()
        self._sum += int.from_bytes(digest, "little")

    def finalize(self) -> bytes:
        return (self._sum & (1 << 128) - 1).to_bytes(16, "little")


def register(connection: sqlite3.Connection) -> None:
    """Give a SQLite connection the aggregate."""
    connection.create_aggregate(_ROWS, -1, _Rows)  # type: ignore[arg-type]
