"""What a source of accounts promises, whether a live pod's database or an export file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

from vaultd.records import Record, Records


@dataclass(frozen=True, slots=True)
class SourceAccount:
    """One local account: `key` is the source's own id of it; `state` is one of
    `active`, `locked`, `closed`, `incomplete` (user without person, person without profile)."""

    key: int
    username: str
    handle: str
    guid: str
    public_key: str
    state: str


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What `check` shows: the engine and its version, the schema version, the release it means."""

    engine: str
    schema_version: str
    release: str
    accounts: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A row that could not be read as it should; it is reported, the others go on."""

    table: str
    row: str
    reason: str


def singly(
    items: Iterable[tuple[SourceAccount, Record | Records | Trouble]],
) -> Iterator[tuple[SourceAccount, Record | Trouble]]:
    """Yield what a source reads one by one, for those who want to look at single bodies."""
    for account, item in items:
        if not isinstance(item, Records):
            yield account, item
            continue
        for record in item.singly():
            yield account, record


@dataclass(frozen=True, slots=True)
class Changes:
    """Whose fingerprints may be others than at an earlier moment; `usernames` is None: anybody's.

    `until` is to be given back the next time, None where it may not be taken as a moment.
    """

    until: bytes | None
    usernames: frozenset[str] | None


ANY: Final = Changes(None, None)


class Source(Protocol):
    """Where accounts are read from; nothing here writes to it."""

    def info(self) -> SourceInfo:
        """Describe the source. Raises DatabaseError / ExportFileError."""
        ...

    def accounts(self, usernames: Sequence[str] | None = None) -> list[SourceAccount]:
        """Return these accounts (unknown names are simply not in the list), or all of them."""
        ...

    def open_accounts(self) -> dict[str, str]:
        """Return person guid and username of every account that is whole and not closed, cheaply.

        Raises DatabaseError.
        """
        ...

    def read(
        self, accounts: Sequence[SourceAccount]
    ) -> Iterator[tuple[SourceAccount, Record | Records | Trouble]]:
        """Yield the records of a batch of accounts, table by table, from one consistent snapshot.

        Records of different accounts come interleaved, one by one or some of a kind together,
        encoded; an id is there once for its account and kind. The number of queries does not depend
        on the number of accounts. Raises DatabaseError.
        """
        ...

    def weights(self, accounts: Sequence[SourceAccount]) -> dict[int, int]:
        """Return a rough number of records per account key, cheaply; raises DatabaseError."""
        ...

    def fingerprints(self, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        """Return 16 bytes per account key.

        Two calls give the same bytes for an account only if no row changed in between from which
        a record that may cause an archive (one that is not `passive`) is made. Rows that only
        make passive records never change them, and neither does noise (last_seen, sign-in
        counters, counter caches, updated_at). The number of queries does not depend on the
        number of accounts. Raises DatabaseError.
        """
        ...

    def changes(self, since: bytes | None) -> Changes:
        """Tell for whom `fingerprints` may give something else than at `since`, an earlier `until`.

        Any bytes may be given; `ANY` where the source cannot tell. Raises DatabaseError.
        """
        ...

    def moment(self) -> bytes | None:
        """Return bytes that are equal at two times only if nothing was written in between.

        Take it before what is to be trusted is read. None where the source cannot tell.
        Raises DatabaseError.
        """
        ...

    def open_file(self, name: str) -> BinaryIO:
        """Open a picture by the bare name in `Record.file`. Raises FileNotFoundError, OSError."""
        ...
