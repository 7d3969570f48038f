"""What a query is made of: the tables it reads, the queries inside it, how it finds rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Alias, Column, Join, Select
from sqlalchemy.sql import visitors


def table_of(source: Any) -> Any:
    """Return the table behind an alias, or the table itself."""
    return source.element if isinstance(source, Alias) else source


def own_sources(query: Select[Any]) -> list[Any]:
    """Return the tables and aliases that a query itself reads."""
    return [part for part in _parts(query) if not isinstance(part, Join)]


def inner_queries(query: Select[Any]) -> list[Select[Any]]:
    """Return the queries inside the columns of a query."""
    return [
        part
        for column in query.selected_columns
        for part in visitors.iterate(column)
        if isinstance(part, Select)
    ]


def all_sources(query: Select[Any]) -> list[Any]:
    """Return the tables and aliases that a query and those inside it read."""
    return [source for each in (query, *inner_queries(query)) for source in own_sources(each)]


def join_conditions(query: Select[Any]) -> list[Any]:
    """Return the conditions of a query's joins."""
    return [part.onclause for part in _parts(query) if isinstance(part, Join)]


def finding_columns(query: Select[Any]) -> Iterator[Any]:
    """Yield the columns by which a query finds rows."""
    for each in (query, *inner_queries(query)):
        where = [] if each.whereclause is None else [each.whereclause]
        for condition in (*where, *join_conditions(each)):
            for element in visitors.iterate(condition):
                if isinstance(element, Column) and element.table is not None:
                    yield element


def _parts(query: Select[Any]) -> Iterator[Any]:
    """Yield what a query selects from: joins, and what they join."""
    waiting: list[Any] = list(query.get_final_froms())
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, Join):
            waiting += [part.right, part.left]
