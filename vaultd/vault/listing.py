"""A vault as its place lists it: archives in order, their clear headers, and the chain's state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

import msgspec

from vaultd.errors import DamageError, ObjectMissing, PlaceError, VaultdError
from vaultd.vault.clear_header import read_clear_header
from vaultd.vault.coding.object_stream import ObjectStream
from vaultd.vault.header import Header
from vaultd.vault.layout import parse_archive_name
from vaultd.vault.place import Place

MAX_OBJECTS: Final = 500_000  # of one vault: ten years of days and half a million pictures
MAX_PROBLEMS: Final = 1_000
_WHOLE: Final = 16  # forks of the newest archive of which all is kept
_SHOWN: Final = 20
_sequence: Final = attrgetter("sequence")


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a vault: a stable code, the object, and a clear sentence."""

    code: str
    object: str
    sentence: str


class Entry(msgspec.Struct, frozen=True):
    """One archive in a listing; `header` is None where it could not be read, and keeps what it
    needs and for whom it is sealed only where that is of use (see `arrange`)."""

    name: str
    sequence: int
    hash: bytes
    size: int
    header: Header | None


class VaultListing(msgspec.Struct):
    """All objects of one vault: archives by sequence (forks side by side), blobs, others."""

    vault_id: str
    entries: list[Entry] = []
    blobs: dict[str, int] = {}
    escrows: list[str] = []
    problems: list[Problem] = []

    unlisted: int = 0

    def note(self, problem: Problem) -> None:
        """Add a problem; of more than can be of use only the number is kept."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.unlisted += 1

    @property
    def last_sequence(self) -> int:
        """The highest sequence number in the listing, 0 for an empty vault."""
        return self.entries[-1].sequence if self.entries else 0


def open_vault(
    place: Place, vault_id: str, *, headers: bool = True, whole: Collection[bytes] = ()
) -> VaultListing:
    """List one vault, read its headers (first 16 KB of each archive) and check the chain.

    Headers by the pod keys `whole` are kept whole. Damage becomes `problems`, not exceptions;
    raises PlaceError when the place cannot be read.
    """

    def header(name: str, _size: int) -> Header:
        return read_clear_header(ObjectStream(place, name), name)[0]

    objects = list_vault(place, vault_id)
    return arrange(vault_id, objects, header if headers else None, whole)


def list_vault(place: Place, vault_id: str, start: str = "") -> dict[str, int]:
    """Return names and sizes of a vault's objects whose names begin with `start`.

    Raises PlaceError, also for a place that lists without end.
    """
    objects = {
        item.name: item.size for item in islice(place.list(f"{vault_id}/{start}"), MAX_OBJECTS + 1)
    }
    if len(objects) > MAX_OBJECTS:
        raise PlaceError(
            f"The place lists more than {MAX_OBJECTS:,} objects in the vault {vault_id}.",
            hint="No vault has so many: ask its owner what wrote them.",
        )
    return objects


def arrange(
    vault_id: str,
    objects: Mapping[str, int],
    header_of: Callable[[str, int], Header] | None,
    whole: Collection[bytes] = (),
) -> VaultListing:
    """Put a vault's objects, names with sizes, in order; check the chain if there are headers.

    Headers are kept whole where one of the pod keys `whole` signed them, and of the newest archive
    (and a few forks of it): what others claim to need takes no memory.
    `header_of(name, size)` may raise DamageError or ObjectMissing, which become `problems`.
    """
    listing = VaultListing(vault_id)
    newest: list[int] = []  # positions of the newest archives
    # A host that is in disorder must not hide which archive is the newest.
    for name, size in sorted(objects.items()):
        parts = parse_archive_name(name)
        if parts is not None:
            header = None if header_of is None else _header(header_of, name, size, listing)
            if header is not None:
                newest = _newest(listing, newest, parts[1], whole)
                newest.append(len(listing.entries))
                if len(newest) > _WHOLE and header.pod not in whole:
                    header = _slim(header)
            listing.entries.append(Entry(name, parts[1], parts[2], size, header))
        elif name.startswith(f"{vault_id}/blob-"):
            listing.blobs[name] = size
        elif name.startswith(f"{vault_id}/escrow-"):
            listing.escrows.append(name)
        else:
            listing.note(Problem("stray", name, f"{name} is no object of a vault; ignored."))
    if header_of is not None:
        _check_chain(listing, newest[:_WHOLE])
    if listing.unlisted:
        listing.problems.append(
            Problem("more", vault_id, f"{listing.unlisted:,} more problems of {vault_id}.")
        )
    return listing


def _newest(
    listing: VaultListing, newest: list[int], sequence: int, whole: Collection[bytes]
) -> list[int]:
    """Return the positions of the newest archives so far when one of `sequence` comes."""
    if not newest or listing.entries[newest[0]].sequence == sequence:
        return newest
    for position in newest:
        entry = listing.entries[position]
        if entry.header is not None and entry.header.pod not in whole:
            listing.entries[position] = msgspec.structs.replace(entry, header=_slim(entry.header))
    return []


def _slim(header: Header) -> Header:
    return msgspec.structs.replace(header, recipients=(), needs=())


def _header(
    header_of: Callable[[str, int], Header], name: str, size: int, listing: VaultListing
) -> Header | None:
    try:
        return header_of(name, size)
    except (DamageError, ObjectMissing) as error:
        listing.note(Problem(error.code, name, str(error)))
        return None


def _check_chain(listing: VaultListing, newest: Iterable[int]) -> None:
    # Archives stand in order, so that a look at neighbours is enough: a place may list very many.
    for sequence, group in groupby(listing.entries, _sequence):
        found = list(group)
        if len(found) > 1:
            listing.note(
                Problem(
                    "fork",
                    found[0].name,
                    f"There are {len(found)} archives {sequence}: two writers used this vault, "
                    "or an old state was put back. Each of them still restores.",
                )
            )
    before: tuple[int, set[bytes]] = (0, set())
    for sequence, group in groupby(listing.entries, _sequence):
        found = list(group)
        for entry in found if before[0] == sequence - 1 and before[1] else ():
            if entry.header is None or (
                entry.header.previous is None or entry.header.previous in before[1]
            ):
                continue
            listing.note(
                Problem(
                    "chain",
                    entry.name,
                    f"Archive {entry.sequence} was not written after the archive "
                    f"{entry.sequence - 1} that is here; one of them was swapped.",
                )
            )
        before = (sequence, {each.hash for each in found})
    there = {entry.sequence for entry in listing.entries}
    # Retention removes old points; what the newest stands on must be there.
    for entry in (listing.entries[position] for position in newest):
        missing = missing_needs(entry, there)
        if missing:
            one = len(missing) == 1
            listing.note(
                Problem(
                    "gap",
                    entry.name,
                    f"{'Archive' if one else 'Archives'} {_ranges(missing)}, which archive "
                    f"{entry.sequence} stands on, {'is' if one else 'are'} not here: removed, or "
                    "not arrived.",
                )
            )


def _ranges(numbers: Iterable[int]) -> str:
    """Return rising numbers for a sentence: `3 to 7, 9`."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    shown = [f"{a}" if a == b else f"{a} to {b}" for a, b in ranges[:_SHOWN]]
    return ", ".join(shown) + (f" and {len(ranges) - _SHOWN} more" if ranges[_SHOWN:] else "")


def missing_needs(entry: Entry, there: Collection[int]) -> list[int]:
    """Return the sequences of archives that an archive stands on and that are not `there`.

    An archive whose header does not say (before `needs` was written) stands on the one before.
    """
    if entry.header is None:
        return []
    needs = entry.header.needs
    if needs is None:
        needs = (entry.sequence - 1,) if entry.header.previous is not None else ()
    return [number for number in needs if number not in there]


def describe(error: VaultdError, name: str) -> Problem:
    """Turn a typed error about an object into a problem for a report."""
    return Problem(error.code, name, str(error))
