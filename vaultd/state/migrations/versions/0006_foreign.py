"""What an account found in its vault, and this state did not write, is not taken for its own."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from alembic import op
from msgspec.structs import replace

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


class _Archive(msgspec.Struct, array_like=True):
    sequence: int
    name: str
    size: int
    hash: bytes
    time: str = ""
    records: int = 0
    needs: tuple[int, ...] = ()
    bad: bool = False
    foreign: bool = False


class _Blob(msgspec.Struct, array_like=True):
    digest: bytes
    size: int
    gone: int = 0
    bad: bool = False
    foreign: bool = False


def upgrade() -> None:
    """Apply. Adopted archives count no records; pictures beside them may be anybody's.

    Two accounts with one recipient gave up each other's archives: what they gave up stays.
    """
    connection = op.get_bind()
    for name in ("vault", "staged"):
        table = sa.table(
            name,
            *(sa.column(each) for each in ("enrollment_id", "target", "archives", "blobs")),
        )
        for account, target, archives, blobs in connection.execute(sa.select(table)).all():
            found = msgspec.msgpack.decode(archives, type=list[_Archive])
            if all(each.records for each in found):
                continue
            pictures = msgspec.msgpack.decode(blobs, type=list[_Blob])
            connection.execute(
                sa.update(table)
                .where(table.c.enrollment_id == account, table.c.target == target)
                .values(
                    archives=msgspec.msgpack.encode(
                        [replace(each, foreign=not each.records) for each in found]
                    ),
                    blobs=msgspec.msgpack.encode(
                        [replace(each, foreign=bool(each.gone)) for each in pictures]
                    ),
                )
            )
    op.execute(
        "DELETE FROM doomed WHERE enrollment_id IN (SELECT id FROM enrollment WHERE vault_id IN "
        "(SELECT vault_id FROM enrollment GROUP BY vault_id HAVING count(*) > 1))"
    )
