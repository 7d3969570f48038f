"""A question: one query of the readers, with what a fingerprint must know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Select, case


class Scope(Protocol):
    """Whose rows are asked for, as a condition on a column."""

    def users(self, column: Any) -> Any:
        """Return the condition that a column holds the users.id of an account."""
        ...

    def persons(self, column: Any) -> Any:
        """Return the condition that a column holds the people.id of an account."""
        ...


def when(kind: Any, name: str, number: Any) -> Any:
    """Return an id if it is one of this kind, else NULL: then nothing is looked up for it."""
    return case((kind == name, number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One query, defined once: readers stream its rows, fingerprints hash them in the database.

    `owner` is the column that says whose a row is: a people.id if `by_person`, else a users.id.
    `order` is the readers' order; what it sorts by shows in lists, so it is hashed too.
    `tied` is the joined row of `people` that becomes part of the audience.
    `unused` are columns of the rows that no record holds.
    """

    name: str
    select: Select[Any]
    owner: Any
    by_person: bool
    order: tuple[Any, ...]
    tied: Any = None
    unused: frozenset[str] = frozenset()

    @property
    def ordered(self) -> Select[Any]:
        """The query as the readers run it."""
        return self.select.order_by(*self.order)
