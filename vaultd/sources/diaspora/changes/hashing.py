"""Hashing rows inside the database: sums that do not depend on the order of the rows."""

from __future__ import annotations

import hashlib
import marshal
import sqlite3
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import (
    CHAR,
    BigInteger,
    Connection,
    LargeBinary,
    Text,
    cast,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.mysql import BIGINT
from sqlalchemy.dialects.postgresql import BIT

from vaultd.sources.diaspora.schema import Schema

Columns: TypeAlias = "list[Any]"

# What is read of the rows and how it is hashed: with another number every account is read again.
READING: Final = 4
_ROWS: Final = "vaultd_rows"


class Hasher:
    """Makes the aggregates of one engine: a hash of 64 bits or more per row, and their sum.

    The sums of two sets of rows are equal only if the sets are: NULL is not '', no separator can
    be confused, a row that is there twice counts twice. The hash of a row is a cryptographic one
    over the whole row, so rows that exchange a value have others; `key` keeps those who can
    write rows from looking for some whose sum is that of others (decision 0006).
    """

    def __init__(self, dialect: str, key: str, *, sha: bool = True) -> None:
        """`sha` is False for PostgreSQL 10 and older, which have only MD5."""
        self._key = key
        self._dialect, self._sha = dialect, sha

    def rows(self, columns: Sequence[Any]) -> Columns:
        """Return the labelled aggregates, all text or bytes, over these columns of the rows."""
        return [func.count().label("n"), self._sum(columns).label("h")]

    def row(self, columns: Sequence[Any]) -> Any:
        """Return the 64-bit hash of a row of PostgreSQL."""
        # A record as text quotes what needs it, and has nothing for NULL but "" for an empty text.
        record = cast(func.row(cast(literal_column(f"'{self._key}'"), Text), *columns), Text)
        if self._sha:  # the bytes as they stand, whatever they are
            digest = func.encode(func.sha256(func.textsend(record)), "hex")
        else:
            digest = func.md5(record)
        return cast(cast(func.concat("x", func.substr(digest, 1, 16)), BIT(64)), BigInteger)

    def _sum(self, columns: Sequence[Any]) -> Any:
        if self._dialect == "postgresql":
            return cast(func.sum(self.row(columns)), Text)
        # As bytes: a text that is no UTF-8 could not be handed to a function.
        plain = [cast(column, LargeBinary) for column in (literal(self._key), *columns)]
        if self._dialect != "mysql":
            return getattr(func, _ROWS)(*plain)
        # Each value with its length before it, `-` for NULL.
        parts = (func.coalesce(func.concat(func.length(p), ":", p), "-") for p in plain)
        digest = func.left(func.sha2(func.concat("", *parts), 256), 16)
        return cast(func.sum(cast(func.conv(digest, 16, 10), BIGINT(unsigned=True))), CHAR)


def hasher_of(schema: Schema, connection: Connection) -> Hasher:
    """Return the hasher for a pod. Its key comes from what only the pod knows, and stays."""
    users = schema["users"]
    query = select(users.c.serialized_private_key).order_by(users.c.id).limit(1)
    secret = connection.execute(query).scalar()
    key = hashlib.blake2b(repr(secret).encode(), digest_size=16, person=b"vaultd-row-key")
    version = getattr(connection.dialect, "server_version_info", None) or (0,)
    return Hasher(connection.dialect.name, key.hexdigest(), sha=version >= (11,))


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
