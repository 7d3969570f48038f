"""Rows in portions that are bounded in bytes, whatever others wrote into them.

Large texts are left out of the portions that PostgreSQL hands out at once, and of what SQLite
sorts, and are fetched by themselves, a few megabytes at a time. MySQL hands out row by row, and
answers no second question meanwhile. A text that no record could hold never leaves the database:
`Oversized` stands in its place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add
from typing import Any, Final, TypeAlias

from sqlalchemy import Column, Connection, LargeBinary, Select, String, case, cast, func

from vaultd.errors import DatabaseError
from vaultd.records import MAX_RECORD_BYTES, Oversized
from vaultd.sources.diaspora.database import fetch_all
from vaultd.sources.diaspora.scope import among

Tuple: TypeAlias = "tuple[Any, ...]"

PORTION: Final = 4 * 1024 * 1024  # bytes
_LARGE: Final = 16 * 1024  # bytes of a text that comes by itself
_STEP: Final = 8  # rows between two looks at their size
# Indexed, so that the database itself keeps them short.
_SHORT: Final = ("guid", "type", "handle", "username", "email")


def portions(connection: Connection, query: Select[Any], most: int) -> Iterator[list[Tuple]]:
    """Yield the rows of a query as tuples, `most` or a few megabytes of them at a time.

    Rows with texts of any size need an `id` among the columns; others come as they are.
    """
    columns = list(query.selected_columns)
    wide = [place for place, column in enumerate(columns) if _is_wide(column)]
    number = next((column for column in columns if column.key == "id"), None)
    if not wide or number is None:
        yield from _plain(connection, query, most)
    elif connection.dialect.name == "mysql":
        yield from _row_by_row(connection, query, most, (columns, wide))
    else:
        yield from _with_large_ones_apart(connection, query, most, (columns, wide, number))


def _is_wide(column: Any) -> bool:
    kind = column.type
    unbounded = isinstance(kind, String | LargeBinary) and not kind.length
    return isinstance(column, Column) and unbounded and not column.name.endswith(_SHORT)


def _size(column: Any, dialect: str) -> Any:
    # SQLite of before 3.43 has no octet_length.
    counted = func.length(cast(column, LargeBinary)) if dialect == "sqlite" else None
    return func.octet_length(column) if counted is None else counted


def _light(columns: list[Any], wide: list[int], dialect: str, limit: int) -> list[Any]:
    """Return the columns without what is larger than `limit`, and the bytes that are missing."""
    light, missing = list(columns), list[Any]()
    for place in wide:
        column = columns[place]
        size = _size(column, dialect)
        light[place] = case((size <= limit, column)).label(column.key)
        missing.append(case((size > limit, size), else_=0))
    return [*light, reduce(add, missing).label("missing")]


def _plain(connection: Connection, query: Select[Any], most: int) -> Iterator[list[Tuple]]:
    with connection.execute(query) as result:
        while part := result.fetchmany(most):
            yield list(map(tuple, part))


def _row_by_row(
    connection: Connection, query: Select[Any], most: int, shape: tuple[list[Any], list[int]]
) -> Iterator[list[Tuple]]:
    columns, wide = shape
    light = query.with_only_columns(*_light(columns, wide, "mysql", MAX_RECORD_BYTES))
    with connection.execute(light) as result:
        rows: list[Tuple] = []
        held = 0
        while part := result.fetchmany(min(_STEP, most)):
            for *row, missing in part:
                if missing:
                    for place in wide:
                        if row[place] is None:
                            row[place] = Oversized(missing)
                held += sum(len(row[place] or "") for place in wide if not missing)
                rows.append(tuple(row))
            if len(rows) >= most or held >= PORTION:
                yield rows
                rows, held = [], 0
        if rows:
            yield rows


def _with_large_ones_apart(
    connection: Connection,
    query: Select[Any],
    most: int,
    shape: tuple[list[Any], list[int], Any],
) -> Iterator[list[Tuple]]:
    columns, wide, _ = shape
    light = query.with_only_columns(*_light(columns, wide, connection.dialect.name, _LARGE))
    with connection.execute(light) as result:
        while part := result.fetchmany(most):
            if not any(row[-1] for row in part):
                yield [row[:-1] for row in part]
                continue
            rows: list[Tuple] = []
            held = 0
            for row in part:
                if rows and held + row[-1] > PORTION:
                    yield _completed(connection, query, shape, rows)
                    rows, held = [], 0
                rows.append(tuple(row))
                # What is never fetched has no size here.
                held += row[-1]
            yield _completed(connection, query, shape, rows)


def _completed(
    connection: Connection,
    query: Select[Any],
    shape: tuple[list[Any], list[int], Any],
    rows: Sequence[Tuple],
) -> list[Tuple]:
    """Return rows with what is missing in them, asked for at once."""
    columns, wide, number = shape
    dialect = connection.dialect.name
    numbers = {row[columns.index(number)] for row in rows if row[-1]}
    if not numbers:
        return [row[:-1] for row in rows]
    sizes = [_size(columns[place], dialect) for place in wide]
    whole = list(columns)
    for place, size in zip(wide, sizes, strict=True):
        whole[place] = case((size <= MAX_RECORD_BYTES, columns[place])).label(columns[place].key)
    again = query.with_only_columns(
        *whole, *(size.label(f"size{n}") for n, size in enumerate(sizes))
    ).where(among(number, numbers, dialect))
    narrow = [place for place in range(len(columns)) if place not in wide]
    found: dict[str, list[Tuple]] = defaultdict(list)
    for full in fetch_all(connection, again):
        values = list(full[: len(columns)])
        for place, size in zip(wide, full[len(columns) :], strict=True):
            if size is not None and size > MAX_RECORD_BYTES:
                values[place] = Oversized(size)
        found[repr([values[place] for place in narrow])].append(tuple(values))
    completed: list[Tuple] = []
    for row in rows:
        if not row[-1]:
            completed.append(row[:-1])
            continue
        same = found[repr([row[place] for place in narrow])]
        if not same:
            raise DatabaseError("The pod's database gave a row once and not again.")
        completed.append(same.pop(0))
    return completed
