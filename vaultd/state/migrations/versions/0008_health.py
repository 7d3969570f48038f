"""What `vaultd status` tells besides results: missing picture files, targets that do not answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "account_result", sa.Column("missing", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column("tally", sa.Column("trouble", sa.Text, nullable=False, server_default=""))
    op.add_column("tally", sa.Column("trouble_since", sa.String(32)))
