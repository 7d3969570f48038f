"""About how many records an account has: enough to cut batches by, for a few index scans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, select

from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.schema import Schema
from vaultd.sources.diaspora.scope import ListScope

# What comes along with a row of one's own: a post brings comments, likes and people.
_BRINGS: Final = (("posts", 6), ("comments", 2), ("likes", 2))
_EVERYBODY: Final = 50


def weights(
    connection: Connection, schema: Schema, accounts: Sequence[SourceAccount]
) -> dict[int, int]:
    """Return a rough number of records per account key."""
    dialect = connection.dialect.name
    people = schema["people"]
    scope = ListScope([account.key for account in accounts], [], dialect)
    owners = select(people.c.id, people.c.owner_id).where(scope.users(people.c.owner_id))
    user_of: dict[int, int] = {row[0]: row[1] for row in connection.execute(owners)}
    found = {account.key: _EVERYBODY for account in accounts}
    mine = ListScope([], list(user_of), dialect)
    for name, brings in _BRINGS:
        author = schema[name].c.author_id
        counts = select(author, func.count()).where(mine.persons(author)).group_by(author)
        for person, count in connection.execute(counts):
            found[user_of[person]] += count * brings
    return found
