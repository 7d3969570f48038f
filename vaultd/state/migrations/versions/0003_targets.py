"""What targets were found to honour, and targets that users brought themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "probe",
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("findings", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("target", name="pk_probe"),
    )
    op.create_table(
        "own_target",
        sa.Column("enrollment_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"],
            ["enrollment.id"],
            name="fk_own_target_enrollment_id_enrollment",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("enrollment_id", name="pk_own_target"),
    )
