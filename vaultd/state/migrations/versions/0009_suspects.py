"""Accounts in hand when the process that read them died."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "suspect",
        sa.Column("enrollment_id", sa.Integer(), nullable=False),
        sa.Column("alone", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment.id"],
            name="fk_suspect_enrollment_id_enrollment",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("enrollment_id", name="pk_suspect"),
    )
