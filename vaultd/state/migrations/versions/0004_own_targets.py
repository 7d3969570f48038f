"""Targets that users gave, and what is counted of each target."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "own_target",
        sa.Column("guid", sa.String(255), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("only", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("set_at", sa.String(32), nullable=False),
        sa.Column("tried_at", sa.String(32), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("guid", name="pk_own_target"),
    )
    op.create_table(
        "tally",
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("counters", sa.LargeBinary(), nullable=False),
        sa.Column("resting", sa.Boolean(), nullable=False),
        sa.Column("asked_at", sa.String(32), nullable=True),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("free", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("target", name="pk_tally"),
    )
