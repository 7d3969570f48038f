"""A point in time, opened from kit and place only: newest archive first, streaming.

Memory holds one 8-byte digest per record of all archives but the oldest, never the records; and of
all points their manifests, up to a bound.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import chain, islice
from typing import Final

import msgspec

from vaultd.clock import parse_rfc3339
from vaultd.errors import (
    DamageError,
    ForgeryError,
    NoVaultError,
    ObjectMissing,
    PlaceError,
    TooLargeError,
    UsageError,
    VaultdError,
    WrongKeyError,
)
from vaultd.keys import Secrets, fingerprint
from vaultd.records import Body, StoredRecord
from vaultd.restore.seen import Seen
from vaultd.selection import EVERYTHING, Selection
from vaultd.vault.blobs import read_blob
from vaultd.vault.coding.allowance import Allowance
from vaultd.vault.listing import (
    MAX_PROBLEMS,
    Entry,
    Problem,
    VaultListing,
    describe,
    open_vault,
)
from vaultd.vault.manifest import ArchiveRef, Manifest
from vaultd.vault.place import Place
from vaultd.vault.reader import ArchiveReader

_MEMORY: Final = 48 * 1024 * 1024  # of manifests, about
_REFERENCE: Final = 350
_BLOB_KEYS: Final = 64
_NOTED: Final = 5_000


@dataclass(slots=True)
class Point:
    """One point in time: its archive's place in the listing and its manifest.

    It is not `complete` once retention let go of an archive that it stood on.
    """

    entry: Entry
    manifest: Manifest
    complete: bool = True


@dataclass(slots=True)
class Vault:
    """A vault opened with its secrets: listing, trusted pod keys, points, problems so far.

    It is `pinned` where the pod keys were given, not taken from the vault itself. `chosen` is the
    point taken where none is asked for, the newest if it is None; `remarks` are for the person.
    """

    place: Place
    secrets: Secrets
    listing: VaultListing
    pods: frozenset[bytes]
    points: list[Point]
    problems: list[Problem] = field(default_factory=list)
    pinned: bool = True
    chosen: Point | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def account(self) -> str:
        """The diaspora* ID that the newest readable archive names; empty if there is none."""
        return self.points[-1].manifest.account if self.points else ""

    def at(self, when: str | None) -> Point:
        """Return the point for `--at`: a sequence number, an RFC 3339 time, a day (its end), or
        None for the newest.

        Raises UsageError when there is no such point.
        """
        if not self.points:
            raise DamageError("No archive of this vault can be opened.", hint=self._first_problem())
        if self.chosen is not None:
            return self.chosen
        if when is None:
            whole = [point for point in self.points if not point.manifest.selection]
            return (whole or self.points)[-1]
        found = self.candidates(when)
        if found:
            return found[-1]
        if is_number(when):
            raise UsageError(
                f"There is no readable archive {when}; `vaultd archives` lists what there is."
            )
        first = self.points[0].manifest.time
        raise UsageError(
            f"There is no archive from {when[:40]} or before; the oldest is of {first}."
        )

    def candidates(self, when: str | None) -> list[Point]:
        """Return the points that may be meant by `when`, the best last. Raises UsageError."""
        if when is not None and is_number(when):
            return [point for point in self.points if point.entry.sequence == int(when)]
        whole = [point for point in self.points if point.complete and not point.manifest.selection]
        if when is None:
            return whole
        moment = moment_asked(when)
        return [point for point in whole if moment_of(point) <= moment]

    def _first_problem(self) -> str:
        return self.problems[0].sentence if self.problems else ""


def is_number(when: str | None) -> bool:
    """Whether `--at` names a sequence, not a time."""
    return when is not None and when.isascii() and when.isdecimal() and len(when) <= 10


def moment_of(point: Point) -> datetime:
    """Return the moment of a point, aware."""
    return parse_rfc3339(point.manifest.time)


def moment_asked(when: str) -> datetime:
    """Return the moment that `--at` names, aware; of a day its end. Raises UsageError."""
    try:
        # A day is over when it is over: what was backed up on it counts.
        return datetime.combine(date.fromisoformat(when), time.max, UTC)
    except ValueError:
        pass
    try:
        return parse_rfc3339(when)
    except ValueError as error:
        raise UsageError(
            f"{when[:40]!r} is neither a sequence number nor a time.",
            hint="A time reads like 2026-11-23T20:46:00Z, or 2026-11-23 for the end of that day.",
        ) from error


def open_with_kit(place: Place, secrets: Secrets, pods: Collection[bytes]) -> Vault:
    """Open the vault of these secrets in a place.

    `pods` are the pod keys the kit names; when there are none, all archives must be signed by one
    key, which is then trusted. Raises ForgeryError when they are not, WrongKeyError when the place
    holds no vault of this kit, PlaceError.
    """
    listing = open_vault(place, secrets.recipient.vault_id)
    if not listing.entries:
        raise NoVaultError(
            f"There is no vault of this kit here (vault id {secrets.recipient.vault_id}).",
            hint="The words are valid, but belong to another vault or another place.",
        )
    trusted = frozenset(pods)
    if not trusted:
        trusted = frozenset(e.header.pod for e in listing.entries if e.header is not None)
        if len(trusted) > 1:
            names = " and ".join(sorted(fingerprint(pod) for pod in trusted))
            raise ForgeryError(
                f"This vault holds archives signed by more than one pod key ({names}), and nothing "
                "says which is yours: somebody may have forged some.",
                hint="Use the kit file that names the pod key, or say --pod-key pod1….",
            )
    vault = Vault(place, secrets, listing, trusted, [], list(listing.problems), bool(pods))
    _read_points(vault)
    if not vault.points and vault.problems and all(p.code == "wrong-key" for p in vault.problems):
        raise WrongKeyError(vault.problems[0].sentence)
    if not vault.points and any(p.code == "forged" for p in vault.problems):
        raise ForgeryError(next(p.sentence for p in vault.problems if p.code == "forged"))
    return vault


def _read_points(vault: Vault) -> None:
    """Open the archives, newest first: what is hostile must not hide the newest."""
    stored = {entry.name for entry in vault.listing.entries}
    shared: dict[ArchiveRef, ArchiveRef] = {}
    memory = 0
    problems: list[Problem] = []
    for entry in reversed(vault.listing.entries):
        if entry.header is None:
            continue
        try:
            reader = ArchiveReader(vault.place, entry.name, vault.secrets, vault.pods)
        except VaultdError as error:
            if isinstance(error, PlaceError) and not isinstance(error, ObjectMissing):
                raise
            problems.append(describe(error, entry.name))
            continue
        known = len(shared)
        refs = tuple(shared.setdefault(ref, ref) for ref in reader.manifest.archives)
        memory += reader.manifest.weight + 8 * len(refs) + _REFERENCE * (len(shared) - known)
        if memory > _MEMORY and vault.points:
            problems.append(_too_many(vault, entry))
            break
        manifest = msgspec.structs.replace(reader.manifest, archives=refs)
        vault.points.append(Point(entry, manifest, all(ref.name in stored for ref in refs)))
    vault.points.reverse()
    vault.problems += reversed(problems[:MAX_PROBLEMS])


def _too_many(vault: Vault, entry: Entry) -> Problem:
    return Problem(
        TooLargeError.code,
        vault.listing.vault_id,
        f"Archive {entry.sequence} and those before it are left out: what this vault's archives "
        "say of themselves is more than that of any account.",
    )


class Snapshot:
    """The account at one point; satisfies `vaultd.restore.point.RestorePoint`."""

    def __init__(
        self,
        vault: Vault,
        point: Point,
        selection: Selection = EVERYTHING,
        *,
        unpack_limit: int = 0,
    ) -> None:
        self._unpack_limit = unpack_limit
        self._vault = vault
        self._selection = selection
        self._part = selection.part
        self.manifest = point.manifest
        self.sequence = point.entry.sequence
        self.damage: list[str] = []
        self._noted: set[str] = set()
        self._opened: set[str] = set()
        self._pictures = Allowance(unpack_limit)
        self.restored: Counter[str] = Counter()
        refs = sorted(point.manifest.archives, key=lambda ref: ref.sequence, reverse=True)
        self._names = [point.entry.name, *(ref.name for ref in refs)]
        # A lost state begins a new one; more than a few would be tried on every picture.
        keys = dict.fromkeys(p.manifest.blob_key for p in reversed(vault.points))
        self._blob_keys = frozenset(islice(keys, _BLOB_KEYS))

    @property
    def part(self) -> str:
        """What part of the account this is, in words; empty for the whole."""
        return self._selection.sentence or self.manifest.selection

    def records(self, kinds: Collection[str] | None = None) -> Iterator[StoredRecord]:
        """Yield the newest version of each record (of these kinds); deleted ones are left out.

        Damage is named in `damage`, and what is undamaged still comes.
        """
        return chain.from_iterable(self._batches(kinds))

    def _batches(self, kinds: Collection[str] | None) -> Iterator[list[StoredRecord]]:
        seen, allowance = Seen(), Allowance(self._unpack_limit)
        for number, name in enumerate(self._names):
            oldest = number == len(self._names) - 1
            for batch in self._archive(name, allowance):
                if kinds is not None:
                    batch = [record for record in batch if record.kind in kinds]
                if number or not oldest:
                    batch = seen.new(batch, remember=not oldest)
                yield [
                    record
                    for record in batch
                    if record.body is not None
                    and (
                        not self._part or self._selection.takes(record.kind, record.id, record.body)
                    )
                ]

    def _archive(self, name: str, allowance: Allowance) -> Iterator[list[StoredRecord]]:
        try:
            reader = ArchiveReader(self._vault.place, name, self._vault.secrets, self._vault.pods)
            yield from reader.batches(allowance)
        except TooLargeError:
            raise
        except VaultdError as error:
            if isinstance(error, PlaceError) and error.code != "missing":
                raise
            self.note(
                f"{error} What it held after that point is missing or may be an older version."
            )

    def note(self, sentence: str) -> None:
        """Add a damage sentence once; of more than can be of use, that there are more."""
        if len(self._noted) == _NOTED:
            sentence = "There is more damage than is listed here; `vaultd verify` counts it."
        if len(self._noted) <= _NOTED and sentence not in self._noted:
            self._noted.add(sentence)
            self.damage.append(sentence)

    @property
    def pictures(self) -> Mapping[str, int]:
        """The names and sizes of the pictures that the place lists."""
        return self._vault.listing.blobs

    def open_blob(self, body: Body) -> Iterator[bytes]:
        """Yield the plain pieces of a photo record's picture.

        Raises DamageError / ObjectMissing (named in `damage` too).
        """
        blob = body.get("blob")
        name = blob.get("name") if isinstance(blob, dict) else None
        if not isinstance(name, str) or not name.startswith(self._vault.listing.vault_id + "/"):
            raise DamageError("The photo record names no picture of this vault.")
        again = name in self._opened
        self._opened.add(name)
        try:
            for piece in read_blob(
                self._vault.place, name, self._vault.secrets, self._blob_keys, self._vault.pods
            ):
                # Many photo records may name one picture.
                self._pictures.take(name, len(piece), 0 if again else len(piece))
                yield piece
        except (DamageError, PlaceError) as error:
            if isinstance(error, DamageError) or error.code == "missing":
                self.note(str(error))
            raise
