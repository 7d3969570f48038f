"""The tables of the state database; `migrations/` builds them, a test compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Constraints have names, so that later migrations can address them on every database.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all state tables. Times are RFC 3339 texts in UTC."""

    metadata = MetaData(naming_convention=_NAMING)


class EnrollmentRow(Base):
    """One account that is backed up, and to whom it is sealed.

    `escrow` is the recovery secret sealed to the podmin's offline key, NULL when the user holds
    the only copy; `blob_key` names the pictures of this vault.
    """

    __tablename__ = "enrollment"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(255), unique=True)
    guid: Mapped[str] = mapped_column(String(255))
    handle: Mapped[str] = mapped_column(String(255))
    recipient: Mapped[str] = mapped_column(String(255))
    vault_id: Mapped[str] = mapped_column(String(32))
    blob_key: Mapped[bytes] = mapped_column(LargeBinary)
    escrow: Mapped[bytes | None] = mapped_column(LargeBinary)
    enrolled_at: Mapped[str] = mapped_column(String(32))


class _VaultColumns:
    """What is known of one account's vault on one target after an archive."""

    enrollment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True
    )
    target: Mapped[str] = mapped_column(String(255), primary_key=True)
    last_sequence: Mapped[int]
    last_name: Mapped[str | None] = mapped_column(String(255))
    last_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    last_size: Mapped[int | None]
    last_at: Mapped[str | None] = mapped_column(String(32))
    archives: Mapped[bytes] = mapped_column(LargeBinary)
    records: Mapped[int]
    photos: Mapped[bytes] = mapped_column(LargeBinary)
    blobs: Mapped[bytes] = mapped_column(LargeBinary)
    scrubbed_at: Mapped[str | None] = mapped_column(String(32))


class VaultRow(_VaultColumns, Base):
    """The committed point. `last_name` is NULL when the next archive must stand on its own."""

    __tablename__ = "vault"


class StagedRow(_VaultColumns, Base):
    """The point that a create in flight will make; becomes the vault's row when it is there."""

    __tablename__ = "staged"


class PieceRow(Base):
    """A piece of the index that belongs to a vault's (or a staged) point, by its sequence."""

    __tablename__ = "index_piece"

    enrollment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True
    )
    target: Mapped[str] = mapped_column(String(255), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class DoomedRow(Base):
    """An object that retention gave up; it is deleted from its target before its row goes."""

    __tablename__ = "doomed"

    enrollment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True
    )
    target: Mapped[str] = mapped_column(String(255), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    size: Mapped[int]


class MarkRow(Base):
    """What the source looked like when all vaults of an account were last up to date."""

    __tablename__ = "mark"

    enrollment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True
    )
    value: Mapped[bytes] = mapped_column(LargeBinary)


class SuspectRow(Base):
    """An account in hand when a process died; `alone` where it was the only one."""

    __tablename__ = "suspect"

    enrollment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True
    )
    alone: Mapped[bool]


class WatermarkRow(Base):
    """Moments of the source: 1, at which every account was up to date; 2, before all marks."""

    __tablename__ = "watermark"

    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[bytes] = mapped_column(LargeBinary)


class RunRow(Base):
    """One run of the engine; `finished` is NULL while it runs or when it was killed."""

    __tablename__ = "run"

    id: Mapped[int] = mapped_column(primary_key=True)
    started: Mapped[str] = mapped_column(String(32))
    finished: Mapped[str | None] = mapped_column(String(32))
    accounts: Mapped[int]
    looked_at: Mapped[int]
    changed: Mapped[int]
    failed: Mapped[int]
    bytes: Mapped[int]
    error: Mapped[str | None] = mapped_column(Text)


class AccountResultRow(Base):
    """How the last run that looked at an account ended for it."""

    __tablename__ = "account_result"

    enrollment_id: Mapped[int] = mapped_column(
        ForeignKey("enrollment.id", ondelete="CASCADE"), primary_key=True
    )
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[str] = mapped_column(String(32))
    missing: Mapped[int]


class ProbeRow(Base):
    """What a target honoured when `vaultd check` last asked it."""

    __tablename__ = "probe"

    target: Mapped[str] = mapped_column(String(255), primary_key=True)
    at: Mapped[str] = mapped_column(String(32))
    findings: Mapped[bytes] = mapped_column(LargeBinary)


class OwnTargetRow(Base):
    """The target that a user gave, by the account's guid: it outlives a new recipient.

    `sealed` holds URL and credentials, `shown` the URL for listings (it is bound into the seal);
    `only`: in place of the pod's targets. `result` is how the last run ended there; `move` whose
    move it is then, and `failing_since` when the failures began (or when it last took something).
    """

    __tablename__ = "own_target"

    guid: Mapped[str] = mapped_column(String(255), primary_key=True)
    shown: Mapped[str] = mapped_column(Text)
    only: Mapped[bool]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(16))
    set_at: Mapped[str] = mapped_column(String(32))
    tried_at: Mapped[str | None] = mapped_column(String(32))
    result: Mapped[str] = mapped_column(Text)
    failing_since: Mapped[str | None] = mapped_column(String(32))
    move: Mapped[str] = mapped_column(String(8))


class OldVaultRow(Base):
    """A vault that an account left behind, on one target; see `OldVault`."""

    __tablename__ = "old_vault"
    __table_args__ = (UniqueConstraint("vault_id", "target", "guid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    vault_id: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(255))
    username: Mapped[str] = mapped_column(String(255))
    guid: Mapped[str] = mapped_column(String(255))
    handle: Mapped[str] = mapped_column(String(255))
    escrow: Mapped[bool]
    due: Mapped[bool]
    replaced: Mapped[bool]
    since: Mapped[str] = mapped_column(String(32))
    locked_until: Mapped[str | None] = mapped_column(String(32))
    tried_at: Mapped[str | None] = mapped_column(String(32))
    result: Mapped[str] = mapped_column(Text)
    objects: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    done_at: Mapped[str | None] = mapped_column(String(32))


class OptOutRow(Base):
    """An account that was unenrolled and is not enrolled by policy: a digest of its guid.

    It is not keyed: with a lost key people would be enrolled who did not want to be.
    """

    __tablename__ = "opt_out"

    id: Mapped[bytes] = mapped_column(LargeBinary(8), primary_key=True)


class CensusRow(Base):
    """How many accounts were not enrolled when the pod was last asked; one row, see `Count`."""

    __tablename__ = "census"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(32))
    not_enrolled: Mapped[int]
    opted_out: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    moment: Mapped[bytes | None] = mapped_column(LargeBinary)


class TallyRow(Base):
    """What was counted of a target since the state is there, and its room when last asked."""

    __tablename__ = "tally"

    target: Mapped[str] = mapped_column(String(255), primary_key=True)
    counters: Mapped[bytes] = mapped_column(LargeBinary)
    resting: Mapped[bool]
    asked_at: Mapped[str | None] = mapped_column(String(32))
    total: Mapped[int | None] = mapped_column(BigInteger)
    free: Mapped[int | None] = mapped_column(BigInteger)
    trouble: Mapped[str] = mapped_column(Text)
    trouble_since: Mapped[str | None] = mapped_column(String(32))
