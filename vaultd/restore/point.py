"""What every kind of restore needs of a point in time; `Snapshot` is the real one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

from vaultd.records import Body, StoredRecord


class PointManifest(Protocol):
    """The part of an archive's manifest that restores look at."""

    @property
    def account(self) -> str:
        """The diaspora* ID."""
        ...

    @property
    def guid(self) -> str:
        """The guid of the account's person."""
        ...

    @property
    def username(self) -> str:
        """The user name."""
        ...

    @property
    def time(self) -> str:
        """The moment, RFC 3339."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """Records of the whole account by kind."""
        ...

    @property
    def pod_url(self) -> str:
        """The address of the pod that was backed up."""
        ...


class RestorePoint(Protocol):
    """One account at one moment, readable as often as wanted."""

    damage: list[str]

    @property
    def part(self) -> str:
        """What part of the account this is, in words; empty for the whole."""
        ...

    @property
    def manifest(self) -> PointManifest:
        """What the archive says of the account at that moment."""
        ...

    def records(self, kinds: Collection[str] | None = None) -> Iterator[StoredRecord]:
        """Yield the newest version of each record (of these kinds); deleted ones are left out."""
        ...

    def open_blob(self, body: Body) -> Iterator[bytes]:
        """Yield a photo record's picture piece by piece. Raises DamageError, ObjectMissing."""
        ...
