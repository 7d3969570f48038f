"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "secret",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_secret"),
    )
    op.create_table(
        "enrollment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("guid", sa.String(255), nullable=False),
        sa.Column("handle", sa.String(255), nullable=False),
        sa.Column("recipient", sa.String(255), nullable=False),
        sa.Column("vault_id", sa.String(32), nullable=False),
        sa.Column("blob_key", sa.LargeBinary(), nullable=False),
        sa.Column("escrow", sa.LargeBinary(), nullable=True),
        sa.Column("enrolled_at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrollment"),
        sa.UniqueConstraint("username", name="uq_enrollment_username"),
    )
    for table in ("vault", "staged"):
        op.create_table(
            table,
            sa.Column("enrollment_id", sa.Integer(), nullable=False),
            sa.Column("target", sa.String(255), nullable=False),
            sa.Column("last_sequence", sa.Integer(), nullable=False),
            sa.Column("last_name", sa.String(255), nullable=True),
            sa.Column("last_hash", sa.LargeBinary(), nullable=True),
            sa.Column("last_size", sa.Integer(), nullable=True),
            sa.Column("last_at", sa.String(32), nullable=True),
            sa.Column("archives", sa.LargeBinary(), nullable=False),
            sa.Column("records", sa.Integer(), nullable=False),
            sa.Column("photos", sa.LargeBinary(), nullable=False),
            sa.ForeignKeyConstraint(
                ["enrollment_id"],
                ["enrollment.id"],
                name=f"fk_{table}_enrollment_id_enrollment",
                ondelete="CASCADE",
            ),
            sa.PrimaryKeyConstraint("enrollment_id", "target", name=f"pk_{table}"),
        )
    op.create_table(
        "index_piece",
        sa.Column("enrollment_id", sa.Integer(), nullable=False),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment.id"],
            name="fk_index_piece_enrollment_id_enrollment",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "enrollment_id", "target", "sequence", "number", name="pk_index_piece"
        ),
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started", sa.String(32), nullable=False),
        sa.Column("finished", sa.String(32), nullable=True),
        sa.Column("accounts", sa.Integer(), nullable=False),
        sa.Column("looked_at", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
    )
    op.create_table(
        "account_result",
        sa.Column("enrollment_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment.id"],
            name="fk_account_result_enrollment_id_enrollment",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("enrollment_id", name="pk_account_result"),
    )
