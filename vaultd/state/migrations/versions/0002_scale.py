"""Levels, retention, marks: what a vault holds beyond its newest point.

The vault rows of 0001 do not say what their archives stand on, so they start anew: the next
archive of each account holds everything, and what is in the vaults stays restorable.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _account(table: str) -> list[sa.Column[int] | sa.ForeignKeyConstraint]:
    return [
        sa.Column("enrollment_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment.id"],
            name=f"fk_{table}_enrollment_id_enrollment",
            ondelete="CASCADE",
        ),
    ]


def upgrade() -> None:
    """Apply."""
    op.execute("DELETE FROM index_piece")
    for table in ("vault", "staged"):
        op.drop_table(table)
        op.create_table(
            table,
            *_account(table),
            sa.Column("target", sa.String(255), nullable=False),
            sa.Column("last_sequence", sa.Integer(), nullable=False),
            sa.Column("last_name", sa.String(255), nullable=True),
            sa.Column("last_hash", sa.LargeBinary(), nullable=True),
            sa.Column("last_size", sa.Integer(), nullable=True),
            sa.Column("last_at", sa.String(32), nullable=True),
            sa.Column("archives", sa.LargeBinary(), nullable=False),
            sa.Column("records", sa.Integer(), nullable=False),
            sa.Column("photos", sa.LargeBinary(), nullable=False),
            sa.Column("blobs", sa.LargeBinary(), nullable=False),
            sa.Column("scrubbed_at", sa.String(32), nullable=True),
            sa.PrimaryKeyConstraint("enrollment_id", "target", name=f"pk_{table}"),
        )
    op.create_table(
        "doomed",
        *_account("doomed"),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("enrollment_id", "target", "name", name="pk_doomed"),
    )
    op.create_table(
        "mark",
        *_account("mark"),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("enrollment_id", name="pk_mark"),
    )
    op.create_table(
        "watermark",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_watermark"),
    )
