"""Whose rows are asked for: a list of ids for the readers, a stretch of them for fingerprints."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ARRAY, BigInteger, Text, bindparam, cast, func, select

from vaultd.sources.diaspora.schema import Schema

# Below this share of wanted ids in their stretch, naming each is cheaper than reading all.
_DENSE: Final = 0.5


class ListScope:
    """The accounts of a batch by their ids, as the readers ask."""

    def __init__(self, users: Sequence[int], persons: Sequence[int], dialect: str) -> None:
        self._users, self._persons = _given(users, dialect), _given(persons, dialect)
        self._dialect = dialect

    def users(self, column: Any) -> Any:
        """Return the condition that a column holds one of the users."""
        return _among(column, self._users, self._dialect)

    def persons(self, column: Any) -> Any:
        """Return the condition that a column holds one of the persons."""
        return _among(column, self._persons, self._dialect)


def among(column: Any, ids: Collection[int], dialect: str) -> Any:
    """Return the condition that a column holds one of these ids."""
    return _among(column, _given(ids, dialect), dialect)


def _given(ids: Collection[int], dialect: str) -> Any:
    """Return ids as a parameter: on PostgreSQL one, an array's text, which is written once."""
    if dialect == "postgresql":
        return f"{{{','.join(map(str, ids))}}}"
    return ids


def _among(column: Any, ids: Any, dialect: str) -> Any:
    if dialect == "postgresql":
        return column == func.any(cast(bindparam(None, ids, type_=Text), ARRAY(BigInteger)))
    return column.in_(ids)


class JoinScope:
    """The accounts through `people`, so that the planner chooses how to find their rows.

    The statement has the parameters `low` and `high`, or `ids`, and is the same for every batch.
    """

    def __init__(self, schema: Schema, dialect: str, *, dense: bool) -> None:
        self._local = schema["people"].alias("local")
        self._dialect, self._dense = dialect, dense

    def users(self, column: Any) -> Any:
        """Return the condition that a column holds one of the users."""
        if self._dense:
            return column.between(
                bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
            )
        if self._dialect == "postgresql":
            return column == func.any(bindparam("ids", type_=ARRAY(BigInteger)))
        return column.in_(bindparam("ids", type_=BigInteger, expanding=True))

    def persons(self, column: Any) -> Any:
        """Return the condition that a column holds the person of one of the users."""
        if self._dialect == "postgresql":
            return column.in_(select(func.unnest(bindparam("persons", type_=ARRAY(BigInteger)))))
        local = self._local
        return column.in_(select(local.c.id).where(self.users(local.c.owner_id)))


def is_dense(ids: Sequence[int]) -> bool:
    """Tell whether most ids between the least and the greatest are wanted."""
    return len(ids) >= _DENSE * (max(ids) - min(ids) + 1)


def parameters(ids: Sequence[int], *, dense: bool) -> dict[str, Any]:
    """Return the parameters of a statement that asks by users.id."""
    return {"low": min(ids), "high": max(ids)} if dense else {"ids": list(ids)}
