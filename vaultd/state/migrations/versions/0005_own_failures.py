"""Since when a user's own target fails, and whose move it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. What failed last is taken to fail since then, and is tried with the next run."""
    op.add_column("own_target", sa.Column("failing_since", sa.String(32), nullable=True))
    op.add_column("own_target", sa.Column("move", sa.String(8), nullable=False, server_default=""))
    op.execute(
        "UPDATE own_target SET failing_since = tried_at, move = 'wait' "
        "WHERE result <> '' AND tried_at IS NOT NULL"
    )
