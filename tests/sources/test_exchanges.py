"""Values that rows exchange: a sum over rows stays the same if their hashes have a structure."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Boolean, Connection, Table, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from tests.sources.test_fingerprints import TABLES, Bodies, Pod, pod
from vaultd.demo.pod import POD_URL
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.changes import candidates as changes
from vaultd.sources.diaspora.changes import fingerprints
from vaultd.sources.diaspora.changes import write_position as moment

__all__ = ["pod"]

_TURNS = 45
# Whose rows these are: exchanges happen within one account, where nothing else gives them away.
_OWNERS = ("user_id", "author_id", "person_id", "aspect_id", "contact_id", "commentable_id",
           "status_message_id", "conversation_id", "mentions_container_id", "poll_id",
           "target_id", "shareable_id", "taggable_id")  # fmt: skip


class Exchanges:
    """Random exchanges, rotations and moves of values between rows, deletes with reinserts."""

    def __init__(self, pod: Pod, seed: int) -> None:
        self.pod, self.rng = pod, random.Random(seed)

    def one(self, connection: Connection) -> tuple[object, ...] | None:
        """Do one of them; None where the schema forbids it or nothing would differ."""
        table = self.pod.table(self.rng.choice(TABLES))
        what: Callable[..., object] = self.rng.choice(
            (self._rotate, self._rotate, self._move, self._reinsert)
        )
        rows = self._kin(connection, table)
        if len(rows) < 2:
            return None
        try:
            with connection.begin_nested():
                told = what(connection, table, rows)
        except IntegrityError:
            return None
        return None if told is None else (table.name, what.__name__, told)

    def _kin(self, connection: Connection, table: Table) -> list[Any]:
        """Return two to four rows that mostly are one account's."""
        query = select(table).order_by(*table.columns)
        owners = [name for name in _OWNERS if name in table.c]
        if owners and self.rng.random() < 0.8:
            column = table.c[owners[0]]
            found = connection.execute(select(column).order_by(column)).scalars().all()
            if not found:
                return []
            query = query.where(column == self.rng.choice(found))
        rows = list(connection.execute(query.limit(400)).mappings())
        return self.rng.sample(rows, min(len(rows), self.rng.choice((2, 2, 2, 3, 4))))

    def _column(self, table: Table, rows: list[Any]) -> Any:
        differing = [c for c in list(table.columns)[1:] if len({row[c.name] for row in rows}) > 1]
        return self.rng.choice(differing) if differing else None

    def _set(self, connection: Connection, table: Table, column: Any, values: Any) -> object:
        key = next(iter(table.columns))
        # One statement: many a unique index would forbid the way there in two.
        connection.execute(
            update(table)
            .where(key.in_([number for number, _ in values]))
            .values({column.name: case(*((key == n, v) for n, v in values), else_=column)})
        )
        return column.name, values

    def _rotate(self, connection: Connection, table: Table, rows: list[Any]) -> object:
        column, key = self._column(table, rows), next(iter(table.columns)).name
        if column is None:
            return None
        others = [*rows[1:], rows[0]]
        values = [(row[key], o[column.name]) for row, o in zip(rows, others, strict=True)]
        return self._set(connection, table, column, values)

    def _move(self, connection: Connection, table: Table, rows: list[Any]) -> object:
        column, key = self._column(table, rows), next(iter(table.columns)).name
        if column is None or not (column.nullable or isinstance(column.type, Boolean)):
            return None
        nothing = None if column.nullable else False
        here, there = rows[:2]
        values = [(here[key], nothing), (there[key], here[column.name])]
        return self._set(connection, table, column, values)

    def _reinsert(self, connection: Connection, table: Table, rows: list[Any]) -> object:
        """Delete rows and insert them again, each under the number of the next."""
        key = next(iter(table.columns))
        connection.execute(delete(table).where(key.in_([row[key.name] for row in rows])))
        others = [*rows[1:], rows[0]]
        again = [{**row, key.name: o[key.name]} for row, o in zip(rows, others, strict=True)]
        connection.execute(insert(table), again)
        return [row[key.name] for row in rows]


def _until(pod: Pod) -> bytes | None:
    return pod.source.changes(None).until


def _changed(before: Bodies, after: Bodies) -> set[int]:
    return {key for key in after if before.get(key) != after[key]}


@pytest.mark.parametrize("seed", [1, 2])
def test_no_exchange_between_rows_escapes(pod: Pod, seed: int) -> None:
    exchanges = Exchanges(pod, seed)
    since, prints, bodies = _until(pod), pod.prints(), pod.bodies()
    names = {account.key: account.username for account in pod.source.accounts()}
    seen = 0
    for _ in range(_TURNS):
        done = None
        while done is None:
            with pod.engine.begin() as connection:
                done = exchanges.one(connection)
        found = pod.source.changes(since)
        new_prints, new_bodies = pod.prints(), pod.bodies()
        changed = _changed(bodies, new_bodies)
        escaped = {key for key in changed if prints.get(key) == new_prints[key]}
        assert not escaped, done
        if found.usernames is not None:
            assert {names[key] for key in changed if key in names} <= found.usernames, done
        seen += len(changed)
        since, prints, bodies = found.until, new_prints, new_bodies
        names = {account.key: account.username for account in pod.source.accounts()}
    assert seen > 15


def test_two_rows_of_one_account_that_exchange_a_value_change_its_fingerprint(pod: Pod) -> None:
    before = pod.prints()
    aspects, contacts = pod.table("aspects"), pod.table("contacts")
    with pod.engine.begin() as connection:
        first, second = connection.execute(
            select(aspects.c.id).where(aspects.c.user_id == 1).order_by(aspects.c.id).limit(2)
        ).scalars()
        orders = {first: 1, second: 2}
        _order(connection, aspects, orders)
    ordered = pod.prints()
    assert {key for key in before if before[key] != ordered[key]} <= {1}
    with pod.engine.begin() as connection:
        _order(connection, aspects, {first: 2, second: 1})
    turned = pod.prints()
    assert {key for key in before if ordered[key] != turned[key]} == {1}
    with pod.engine.begin() as connection:
        some = connection.execute(
            select(contacts.c.id).where(contacts.c.user_id == 1).order_by(contacts.c.id).limit(2)
        ).scalars().all()  # fmt: skip
        _share(connection, contacts, dict(zip(some, (True, False), strict=True)))
    shared = pod.prints()
    with pod.engine.begin() as connection:
        _share(connection, contacts, dict(zip(some, (False, True), strict=True)))
    assert {key for key in before if shared[key] != pod.prints()[key]} == {1}


def _order(connection: Connection, aspects: Table, orders: dict[int, int]) -> None:
    for number, order in orders.items():
        connection.execute(update(aspects).where(aspects.c.id == number).values(order_id=order))


def _share(connection: Connection, contacts: Table, sharing: dict[int, bool]) -> None:
    for number, value in sharing.items():
        connection.execute(update(contacts).where(contacts.c.id == number).values(sharing=value))


def test_what_was_hashed_otherwise_is_looked_at_again(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (changes, fingerprints, moment):
        monkeypatch.setattr(module, "READING", 1)
    old = DiasporaSource(pod.url, POD_URL, Path("/nowhere"))
    prints, since, then = old.fingerprints(old.accounts()), old.changes(None).until, old.moment()
    assert old.fingerprints(old.accounts()) == prints
    monkeypatch.undo()
    assert not set(pod.prints().values()) & set(prints.values())
    assert then is None or pod.source.moment() != then
    assert pod.source.changes(since).usernames is None
