"""Whose fingerprints may have changed since an earlier snapshot, found from the new rows alone.

Rows that were added or changed in place are followed to the accounts whose questions they
answer. Where a row went away, or a column changed by which questions find rows, nobody can say
whose it was: then everybody may have changed.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Case,
    Connection,
    Select,
    Table,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

import vaultd
from vaultd.sources.base import ANY, Changes
from vaultd.sources.diaspora.changes.hashing import READING, Hasher
from vaultd.sources.diaspora.changes.row_versions import (
    OLDEST,
    Sum,
    countable,
    here,
    new_rows,
    sums,
    too_many,
)
from vaultd.sources.diaspora.database import fetch_all
from vaultd.sources.diaspora.queries import Question, counted
from vaultd.sources.diaspora.queries.query_parts import (
    all_sources,
    finding_columns,
    inner_queries,
    join_conditions,
    own_sources,
    table_of,
)
from vaultd.sources.diaspora.records.account import hidden_ids
from vaultd.sources.diaspora.records.pods import of_one_name
from vaultd.sources.diaspora.records.values import text
from vaultd.sources.diaspora.schema import Schema, kept
from vaultd.sources.diaspora.scope import among

# Columns by which rows are found outside of the questions' conditions, and names of accounts.
_MORE_KEYS: Final = {
    "users": ("username",),
    "people": ("owner_id", "pod_id"),
    "pods": ("host", "port", "ssl"),
}


class _Until(msgspec.Struct, frozen=True, array_like=True):
    """What `until` holds; `users` and `rows` are the ids of all users and hashes of their rows."""

    place: bytes
    transaction: int
    tables: dict[str, Sum]
    users: bytes
    rows: bytes


@dataclass(frozen=True, slots=True)
class _Followed:
    """Asks for the owners of rows that the rows `numbers` of a table are part of."""

    table: str
    by_person: bool
    query: Select[Any]


class Everybody:
    """The scope of all local accounts."""

    def __init__(self, schema: Schema) -> None:
        self._local = schema["people"].alias("local")

    def users(self, column: Any) -> Any:
        """Return the condition that a column holds a user."""
        return column.is_not(None)

    def persons(self, column: Any) -> Any:
        """Return the condition that a column holds the person of a user."""
        local = self._local
        return column.in_(select(local.c.id).where(local.c.owner_id.is_not(None)))


@dataclass(slots=True)
class ChangeFinder:
    """Finds changes in databases of one schema; fingerprints depend on `pod_url`, too."""

    schema: Schema
    pod_url: str
    hasher: Hasher
    _followed: list[_Followed] = field(init=False)
    _tables: dict[str, Table] = field(init=False, default_factory=dict)
    _keys: dict[str, set[str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        questions = counted(self.schema, Everybody(self.schema))
        self._followed = [each for question in questions for each in _followed(question)]
        for question in questions:
            for source in all_sources(question.select):
                self._keys.setdefault(table_of(source).name, set())
            for column in (*finding_columns(question.select), question.owner):
                self._keys.setdefault(table_of(column.table).name, set()).add(column.name)
        for name in ("pods", "users"):
            self._keys.setdefault(name, set())
        self._tables = {name: self.schema[name] for name in sorted(self._keys)}
        for name, columns in _MORE_KEYS.items():
            self._keys[name].update(columns)

    def changes(self, connection: Connection, since: bytes | None) -> Changes:
        """See Source.changes."""
        version = connection.dialect.server_version_info or (0,)
        if connection.dialect.name != "postgresql" or version < OLDEST:
            return ANY
        if not all(map(countable, self._tables.values())):
            return ANY
        place = here(connection)
        if place is None:
            return ANY
        columns = [(name, list(table.c.keys())) for name, table in self._tables.items()]
        parts = (vaultd.__version__, READING, self.pod_url, place.server, columns)
        mark = hashlib.blake2b(repr(parts).encode()).digest()
        before = _decode(since, mark)
        found = None if before is None else new_rows(connection, self._tables, before.transaction)
        tables: dict[str, Sum] = {}
        followed: dict[str, list[int]] | None = {} if found is not None else None
        for name, table in self._tables.items():
            old = before.tables.get(name) if before is not None else None
            rows, new = found[name] if found is not None else (0, [])
            if old is not None and found is not None and not new and rows == old.rows:
                tables[name] = old
                continue
            keys = [column for column in table.columns if column.name in self._keys[name]]
            keys.insert(0, next(iter(table.columns)))
            greatest = old.greatest if old else 0
            tables[name], known = sums(connection, table, keys, greatest, self.hasher)
            if followed is not None:
                if known != old or (too_many(new) and name != "users"):
                    followed = None  # a row went away, or may now be somebody else's
                elif name != "pods":
                    followed[name] = new
                elif tables[name].rows != known.rows and self._pods_are_mixed(connection):
                    followed = None
        hashes, differing = self._user_rows(connection, before, followed)
        names = None
        if followed is not None:
            names = self._names(connection, {**followed, "users": differing})
        if not place.quiet:
            return Changes(None, names)
        users, hashed = array("q", hashes), array("q", hashes.values())
        until = _Until(mark, place.transaction, tables, users.tobytes(), hashed.tobytes())
        return Changes(msgspec.msgpack.encode(until), names)

    def _pods_are_mixed(self, connection: Connection) -> bool:
        """Tell whether a new pod may be that of people who were here before it.

        So it is if two rows have one name, or somebody's row names no pod that is there.
        """
        pods, people = self.schema["pods"], self.schema["people"]
        lost = (
            select(people.c.id)
            .outerjoin(pods, pods.c.id == people.c.pod_id)
            .where(people.c.owner_id.is_(None), pods.c.id.is_(None))
        )
        return any(fetch_all(connection, query.limit(1)) for query in (of_one_name(pods), lost))

    def _user_rows(
        self, connection: Connection, before: _Until | None, new: dict[str, list[int]] | None
    ) -> tuple[dict[int, int], list[int]]:
        """Return hashes of the rows of `users` without the noise of sign-ins, and who differs."""
        users = self.schema["users"]
        query = select(users.c.id, self.hasher.row(kept(users)))
        known: dict[int, int] = {}
        if before is not None and new is not None:
            known = dict(zip(array("q", before.users), array("q", before.rows), strict=True))
            if not new.get("users"):
                return known, []
            if len(new["users"]) < len(known) / 2:
                query = query.where(_among(users.c.id, new["users"]))
        differing = []
        for number, value in fetch_all(connection, query):
            if known.get(number) != value:
                known[number] = value
                differing.append(number)
        return known, differing

    def _names(self, connection: Connection, new: dict[str, list[int]]) -> frozenset[str]:
        """Return the names of all whose questions the new rows answer."""
        if not any(new.values()):
            return frozenset()
        users: set[int] = set()
        persons: set[int] = set()
        for each in self._followed:
            if numbers := new.get(each.table):
                owners = persons if each.by_person else users
                found = fetch_all(connection, each.query, {"numbers": numbers})
                owners.update(row[0] for row in found if row[0] is not None)
        users.update(self._hiding(connection, new.get("posts", ())))
        table, people = self.schema["users"], self.schema["people"]
        names: set[str] = set()
        for query in (
            select(table.c.username).where(_among(table.c.id, users)),
            select(table.c.username)
            .join(people, people.c.owner_id == table.c.id)
            .where(_among(people.c.id, persons)),
        ):
            names.update(text(row[0]) for row in fetch_all(connection, query))
        return frozenset(names)

    def _hiding(self, connection: Connection, posts: Collection[int]) -> Iterator[int]:
        """Yield the users who have one of these posts hidden: its id stands in a text."""
        users, wanted = self.schema["users"], frozenset(posts)
        query = select(users.c.id, users.c.hidden_shareables).where(
            users.c.hidden_shareables.like("%- %")
        )
        if wanted:
            for number, value in fetch_all(connection, query):
                if not wanted.isdisjoint(hidden_ids(value)):
                    yield number


def _followed(question: Question) -> Iterator[_Followed]:
    """Yield the queries for the owners of rows that a new row of some table is part of."""
    outer = question.select.with_only_columns(question.owner).distinct()
    for source in own_sources(question.select):
        given = [_given(column) for column in (_number(source), *_same(question.select, source))]
        yield _Followed(table_of(source).name, question.by_person, outer.where(*given))
    for inner in inner_queries(question.select):
        for source in own_sources(inner):
            some = inner.limit(None).where(_given(_number(source)))
            yield _Followed(table_of(source).name, question.by_person, outer.where(some.exists()))


def _number(source: Any) -> Any:
    return next(iter(source.c))


def _given(column: Any) -> Any:
    return column == func.any(bindparam("numbers", type_=ARRAY(BigInteger)))


def _same(query: Select[Any], source: Any) -> Iterator[Any]:
    """Yield the columns that hold the number of a joined row where they refer to its kind.

    Through a CASE no index is found; a condition on the column itself lets one be used.
    """
    for condition in join_conditions(query):
        other = getattr(condition, "right", None)
        if isinstance(other, Case) and condition.left is _number(source):
            yield other.whens[0][1]


def _among(column: Any, numbers: Collection[int]) -> Any:
    return among(column, numbers, "postgresql")


def _decode(since: bytes | None, mark: bytes) -> _Until | None:
    if since is None:
        return None
    try:
        found = msgspec.msgpack.decode(since, type=_Until)
    except msgspec.MsgspecError:
        return None
    return found if found.place == mark and len(found.users) == len(found.rows) else None
