"""What happened to the rows of whole tables since an earlier snapshot, on PostgreSQL.

A row as it is visible was written by one transaction, `xmin`, and every later change of it is a
new row of a later transaction. So with X the next transaction's number at a snapshot at which no
transaction that writes was open: rows from before X are the rows of that snapshot as they were,
and none of them is missing if their number is the same. Nothing here trusts statistics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    Table,
    Text,
    cast,
    func,
    literal_column,
    select,
    text,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from vaultd.sources.diaspora.changes.hashing import Hasher
from vaultd.sources.diaspora.database import fetch_all

OLDEST: Final = (15,)  # of PostgreSQL, tried; 14 lacks nothing that is known
# Numbers of transactions are compared modulo 2^32; half of that is the most there can be between.
_FARTHEST: Final = 2**30
_MOST: Final = 20_000  # new rows of a table; from there on everybody is asked for
_PATIENCE: Final = 1.0  # seconds; commits that did not wait for the disk reach it in less

# A crash may take back transactions that were seen, and give their numbers to others. It leaves
# the server's start as it was when one process died, but then all statistics begin anew.
_HERE: Final = """
SELECT pg_snapshot_xmin(s) = pg_snapshot_xmax(s), CAST(CAST(pg_snapshot_xmax(s) AS text) AS bigint),
       CAST(pg_postmaster_start_time() AS text) || ' ' ||
       (SELECT CAST(stats_reset AS text) FROM pg_stat_bgwriter) || ' ' ||
       (SELECT CAST(oid AS text) FROM pg_database WHERE datname = current_database()) || ' ' ||
       (SELECT CAST(system_identifier AS text) FROM pg_control_system())
FROM pg_current_snapshot() AS s
WHERE NOT pg_is_in_recovery()
"""


class Sum(msgspec.Struct, frozen=True, array_like=True):
    """A table's rows at a moment: how many, the sum of their keys' hashes, the greatest id."""

    rows: int
    keys: str
    greatest: int


@dataclass(frozen=True, slots=True)
class Here:
    """A snapshot's place: `quiet` if no transaction that writes was open at it."""

    quiet: bool
    transaction: int
    server: str


def here(connection: Connection) -> Here | None:
    """Return where this snapshot stands; None where the server does not tell (a standby)."""
    row = connection.execute(text(_HERE)).one_or_none()
    return None if row is None or row[2] is None else Here(*row)


def countable(table: Table) -> bool:
    """Tell whether a table's first column numbers its rows."""
    return isinstance(_number(table).type, Integer | BigInteger)


def _number(table: Any) -> Any:
    return next(iter(table.c))


def new_rows(
    connection: Connection, tables: Mapping[str, Table], since: int
) -> dict[str, tuple[int, list[int]]] | None:
    """Return, per table, its rows and the numbers of those from transaction `since` on.

    None when too many transactions came between.
    """
    # The age of a transaction is the same throughout one of ours.
    oldest = connection.execute(text(f"SELECT age(CAST('{since % 2**32}' AS xid))")).scalar_one()
    if not 0 <= oldest <= _FARTHEST:
        return None
    branches: list[Any] = []
    for name, table in tables.items():
        # Frozen rows of two thousand million transactions ago have a negative age.
        age = func.age(literal_column(f'"{table.name}".xmin'))
        numbers = func.array_agg(cast(_number(table), BigInteger), type_=ARRAY(BigInteger))
        branches.append(
            select(
                literal_column(f"'{name}'"),
                func.count(),
                numbers.filter(age.between(0, literal_column(str(oldest)))),
            ).select_from(table)
        )
    rows = fetch_all(connection, union_all(*branches))
    return {name: (count, list(numbers or ())) for name, count, numbers in rows}


def sums(
    connection: Connection, table: Table, keys: list[Column[Any]], before: int, hasher: Hasher
) -> list[Sum]:
    """Return the sum of all rows of a table, and that of the rows up to number `before`."""
    row = hasher.row(keys)
    number = _number(table)
    old = number <= before
    values = connection.execute(
        select(
            func.count(), cast(func.sum(row), Text), func.max(number),
            func.count().filter(old), cast(func.sum(row).filter(old), Text),
        )
    ).one()  # fmt: skip
    count, keyed, greatest, old_count, old_keyed = values
    return [Sum(count, keyed or "", greatest or 0), Sum(old_count, old_keyed or "", before)]


def too_many(numbers: list[int]) -> bool:
    """Tell whether asking for everybody is cheaper than following so many rows."""
    return len(numbers) > _MOST
