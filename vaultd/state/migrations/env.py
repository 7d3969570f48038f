"""What Alembic runs: the migrations on the connection that `upgrade.py` hands over."""

from __future__ import annotations

from alembic import context

from vaultd.state.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter columns in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
