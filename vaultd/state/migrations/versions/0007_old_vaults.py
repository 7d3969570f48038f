"""Vaults that accounts left behind, and accounts that want none."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "old_vault",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("vault_id", sa.String(32), nullable=False),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("guid", sa.String(255), nullable=False),
        sa.Column("handle", sa.String(255), nullable=False),
        sa.Column("escrow", sa.Boolean(), nullable=False),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.Column("replaced", sa.Boolean(), nullable=False),
        sa.Column("since", sa.String(32), nullable=False),
        sa.Column("locked_until", sa.String(32), nullable=True),
        sa.Column("tried_at", sa.String(32), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("objects", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.String(32), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_old_vault"),
        sa.UniqueConstraint("vault_id", "target", "guid", name="uq_old_vault_vault_id"),
    )
    op.create_table(
        "opt_out",
        sa.Column("id", sa.LargeBinary(8), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_opt_out"),
    )
