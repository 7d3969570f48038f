"""The schema found by introspection, and the diaspora* release it means (facts A2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select

from vaultd.errors import DatabaseError
from vaultd.sources.diaspora.lenient import reflect_leniently

NEEDED: Final = (
    "users people profiles aspects aspect_memberships aspect_visibilities blocks comments contacts "
    "conversation_visibilities conversations likes mentions messages participations photos pods "
    "poll_answers poll_participations polls posts share_visibilities tags taggings tag_followings"
).split()
OPTIONAL: Final = (
    "roles user_preferences locations references invitation_codes services reports "
    "account_migrations account_deletions comment_signatures like_signatures "
    "poll_participation_signatures signature_orders schema_migrations"
).split()

# Noise and derived values: never in a body (facts A5).
NOISE: Final = frozenset(
    "updated_at likes_count comments_count reshares_count interacted_at o_embed_cache_id "
    "open_graph_cache_id vote_count taggings_count last_seen sign_in_count current_sign_in_at "
    "last_sign_in_at current_sign_in_ip last_sign_in_ip remember_created_at reset_password_token "
    "reset_password_sent_at consumed_timestep export exported_at exporting exported_photos_file "
    "exported_photos_at exporting_photos remove_after confirm_email_token "
    "authentication_token".split()
)

_RELEASES: Final = (
    ("20260428000000", "0.10"),
    ("20230604015559", "0.9"),
    ("20211027230348", "0.7.16 - 0.7.18"),
    ("20190703231700", "0.7.13 - 0.7.15"),
    ("20170813222333", "0.7.0 - 0.7.12"),
)


class Schema:
    """The reflected tables a pod has; missing optional ones are simply not there."""

    def __init__(self, connection: Connection) -> None:
        present = set(inspect(connection).get_table_names())
        missing = [name for name in NEEDED if name not in present]
        if missing:
            raise DatabaseError(
                f"This is not a diaspora* database: it has no table {missing[0]!r}.",
                hint="pod.database must name the pod's own database.",
            )
        wanted = [name for name in (*NEEDED, *OPTIONAL) if name in present]
        metadata = MetaData()
        reflect_leniently(metadata, connection.engine)
        metadata.reflect(connection, only=wanted, resolve_fks=False)
        self._tables = metadata.tables
        self.version = self._version(connection)

    def _version(self, connection: Connection) -> str:
        table = self.get("schema_migrations")
        if table is None:
            return ""
        return str(connection.execute(select(func.max(table.c.version))).scalar() or "")

    @property
    def release(self) -> str:
        """The release that this schema belongs to, as a person would say it."""
        return next((r for v, r in _RELEASES if self.version >= v), "of an unknown, older release")

    def __getitem__(self, name: str) -> Table:
        return self._tables[name]

    def get(self, name: str) -> Table | None:
        """Return an optional table, or None."""
        return self._tables.get(name)

    def unknown(self, name: str, known: Iterable[str]) -> list[str]:
        """Return the columns of a table that the project does not know, sorted."""
        return sorted(set(self._tables[name].columns.keys()) - set(known))


def kept(table: Table) -> list[Column[Any]]:
    """Return the columns of a table that a record may hold: all but the noise."""
    return [column for column in table.columns if column.name not in NOISE]
