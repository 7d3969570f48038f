"""Indexes and picture lists are sealed with a key that is not in here any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. The key itself was written to its file before."""
    seal = context.config.attributes["seal"]
    connection = op.get_bind()
    for table, column in (("index_piece", "data"), ("vault", "photos"), ("staged", "photos")):
        rows = sa.table(table, sa.column("rowid"), sa.column(column))
        numbers = list(connection.scalars(sa.select(rows.c.rowid)))
        for number in numbers:
            where = rows.c.rowid == number
            data = connection.scalar(sa.select(rows.c[column]).where(where))
            if data:
                sealed = {column: seal(bytes(data))}
                connection.execute(sa.update(rows).where(where).values(sealed))
    op.drop_table("secret")
