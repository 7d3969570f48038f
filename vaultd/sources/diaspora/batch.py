"""A batch: the accounts read together, the snapshot, and what is learnt of people on the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Select, select

from vaultd.records import Body, Finish, Json, Record
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.database import STREAM, fetch_all
from vaultd.sources.diaspora.limits import Pace
from vaultd.sources.diaspora.portions import portions
from vaultd.sources.diaspora.queries.query import Question
from vaultd.sources.diaspora.records.packing import Item, name_of
from vaultd.sources.diaspora.records.values import json_safe
from vaultd.sources.diaspora.schema import NOISE, Schema
from vaultd.sources.diaspora.scope import ListScope

Row: TypeAlias = dict[str, Any]
Runs: TypeAlias = Iterator[tuple[SourceAccount, list[Any]]]
CHUNK: Final = 10_000
_FIRST: Final = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Person:
    """A row of `people` as records name it."""

    handle: str
    guid: str
    local: bool


@dataclass(slots=True)
class Ties:
    """What is known of others around one account, gathered while its records are read."""

    people: set[int] = field(default_factory=set)
    reasons: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    of_person: dict[int, dict[str, list[Json]]] = field(default_factory=dict)
    knows_me: dict[int, Body] = field(default_factory=dict)
    sharing: set[int] = field(default_factory=set)  # contacts who share with the account
    seen: set[tuple[str, str]] = field(default_factory=set)

    def tie(self, person: int, kind: str, what: Json) -> None:
        """Note a tie of a person to the account."""
        self.people.add(person)
        self.of_person.setdefault(person, {}).setdefault(kind, []).append(what)


class Batch:
    """Everything a table's reader needs: who is in the batch, and how to query."""

    def __init__(
        self,
        connection: Connection,
        schema: Schema,
        accounts: Iterable[SourceAccount],
        pod_url: str,
        pace: Pace | None = None,
    ) -> None:
        self.connection = connection
        self.schema = schema
        self.pod_url = pod_url
        self._pace = pace or Pace()
        self._portion = self._pace.portion(STREAM)
        self._extra: dict[tuple[str, frozenset[str]], list[str]] = {}
        self.by_user = {account.key: account for account in accounts}
        self.ties = {account.key: Ties() for account in self.by_user.values()}
        people = schema["people"]
        self.by_person: dict[int, SourceAccount] = {}
        self.person_of: dict[int, int] = {}
        self.scope = ListScope(self.users, [], connection.dialect.name)
        query = select(people.c.id, people.c.owner_id).where(self.scope.users(people.c.owner_id))
        for row in self.rows(query):
            self.by_person[row["id"]] = self.by_user[row["owner_id"]]
            self.person_of[row["owner_id"]] = row["id"]
        self.scope = ListScope(self.users, self.persons, connection.dialect.name)

    @property
    def users(self) -> list[int]:
        """The users.id of the batch."""
        return list(self.by_user)

    @property
    def persons(self) -> list[int]:
        """The people.id of the batch."""
        return list(self.by_person)

    def rows(self, query: Select[Any]) -> Iterator[Row]:
        """Stream the rows of a query by column name."""
        names = [str(column.key) for column in query.selected_columns]
        for part in portions(self.connection, query, self._portion):
            yield from [dict(zip(names, row, strict=True)) for row in part]
            self._pace.passed(len(part))

    def fetch(self, query: Select[Any]) -> Sequence[Any]:
        """Return the rows of a narrow table at once, which costs a fraction of a stream."""
        rows = fetch_all(self.connection, query)
        self._pace.passed(len(rows))
        return rows

    def ask(self, question: Question | None) -> Iterator[Row]:
        """Stream the rows of a question in its order; a table that a pod lacks has none."""
        return iter(()) if question is None else self.rows(question.ordered)

    def runs(
        self,
        question: Question,
        columns: Sequence[str],
        more: Sequence[str] = (),
        first: Callable[[Sequence[Any]], None] | None = None,
    ) -> Runs:
        """Stream the rows of a question account by account, as tuples of these columns.

        `columns` start with the one that says whose a row is. `first` sees the rows of many
        accounts before they are yielded.
        """
        found = {str(column.key): column for column in question.select.selected_columns}
        chosen = [found[name] for name in (*columns, *more)]
        query = question.ordered.with_only_columns(*chosen)
        owners = self.by_person if question.by_person else self.by_user
        for part in portions(self.connection, query, self._portion):
            if first is not None:
                first(part)
            for owner, rows in groupby(part, _FIRST):
                yield owners[owner], list(rows)
            self._pace.passed(len(part))

    def more(self, table: str, known: frozenset[str]) -> list[str]:
        """Return the columns of a table that no other part of a body holds, sorted."""
        names = self._extra.get((table, known))
        if names is None:
            names = self.schema.unknown(table, known | NOISE)
            self._extra[table, known] = names = list(map(str, names))
        return names

    def lookup(self, query: Select[Any], column: Any, ids: Iterable[int]) -> Iterator[Row]:
        """Stream a query for many ids, some thousands at a time."""
        wanted = sorted(set(ids))
        for start in range(0, max(len(wanted), 1), CHUNK):
            yield from self.rows(query.where(column.in_(wanted[start : start + CHUNK])))

    def extra(self, table: str, row: Row, known: frozenset[str]) -> Body:
        """Return the columns that no other part of a body holds, unknown ones included."""
        return {name: json_safe(row[name]) for name in self.more(table, known)}

    def meet(
        self, account: SourceAccount, people: Iterable[int | None], reason: str | None = None
    ) -> None:
        """Note people whom an account has to do with, and why they are part of its audience."""
        ties, met = self.ties[account.key], set(people)
        met.discard(None)
        ties.people |= met  # type: ignore[arg-type]
        if reason is not None:
            ties.reasons[reason] |= met  # type: ignore[arg-type]

    def record(
        self,
        account: SourceAccount,
        kind: str,
        record_id: str | None,
        row_id: int,
        record: Body,
        *,
        file: str | None = None,
        finish: Finish | None = None,
    ) -> Item:
        """Return a record under an id that is unique for its account and kind."""
        own = self.own_id(account, kind, record_id, row_id)
        return account, Record(kind, own, record, False, file, finish)

    def own_id(self, account: SourceAccount, kind: str, record_id: str | None, row_id: int) -> str:
        """Return an id that is unique for its account and kind: the row's number at need."""
        own = name_of(record_id, row_id)
        if kind not in _UNIQUE:
            seen = self.ties[account.key].seen
            if (kind, own) in seen:
                own = f"row:{row_id}"
            seen.add((kind, own))
        return own


# The database's own unique indexes on GUIDs keep these apart; remembering each id costs memory.
_UNIQUE: Final = frozenset(
    "comment like poll_vote received_comment received_like received_poll_vote "
    "received_reshare post photo message shared_post shared_photo shared_comment shared_like "
    "shared_poll_vote".split()
)
