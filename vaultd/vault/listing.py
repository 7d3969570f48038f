"""A vault as its place lists it: archives in order, their clear headers, and the chain's state."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from vaultd.errors import DamageError, ObjectMissing, VaultdError
from vaultd.vault.clear_header import read_clear_header
from vaultd.vault.header import Header
from vaultd.vault.layout import parse_archive_name, vault_of
from vaultd.vault.place import Place
from vaultd.vault.stream import ObjectStream


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a vault: a stable code, the object, and a clear sentence."""

    code: str
    object: str
    sentence: str


class Entry(msgspec.Struct, frozen=True):
    """One archive in a listing; `header` is None where it could not be read."""

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

    @property
    def last_sequence(self) -> int:
        """The highest sequence number in the listing, 0 for an empty vault."""
        return self.entries[-1].sequence if self.entries else 0


def vault_ids(place: Place) -> list[str]:
    """Return the ids of all vaults in a place, sorted. Raises PlaceError."""
    found = {vault for item in place.list() if (vault := vault_of(item.name)) is not None}
    return sorted(found)


def open_vault(place: Place, vault_id: str, *, headers: bool = True) -> VaultListing:
    """List one vault, read its headers (first 16 KB of each archive) and check the chain.

    Damage becomes `problems`, not exceptions; raises PlaceError when the place cannot be read.
    """

    def header(name: str, _size: int) -> Header:
        return read_clear_header(ObjectStream(place, name), name)[0]

    return arrange(vault_id, list_vault(place, vault_id), header if headers else None)


def list_vault(place: Place, vault_id: str) -> dict[str, int]:
    """Return names and sizes of a vault's objects. Raises PlaceError."""
    return {item.name: item.size for item in place.list(f"{vault_id}/")}


def arrange(
    vault_id: str, objects: Mapping[str, int], header_of: Callable[[str, int], Header] | None
) -> VaultListing:
    """Put a vault's objects, names with sizes, in order; check the chain if there are headers.

    `header_of(name, size)` may raise DamageError or ObjectMissing, which become `problems`.
    """
    listing = VaultListing(vault_id)
    # A host that is in disorder must not hide which archive is the newest.
    for name, size in sorted(objects.items()):
        parts = parse_archive_name(name)
        if parts is not None:
            header = None if header_of is None else _header(header_of, name, size, listing)
            listing.entries.append(Entry(name, parts[1], parts[2], size, header))
        elif name.startswith(f"{vault_id}/blob-"):
            listing.blobs[name] = size
        elif name.startswith(f"{vault_id}/escrow-"):
            listing.escrows.append(name)
        else:
            listing.problems.append(
                Problem("stray", name, f"{name} is no object of a vault; ignored.")
            )
    if header_of is not None:
        _check_chain(listing)
    return listing


def _header(
    header_of: Callable[[str, int], Header], name: str, size: int, listing: VaultListing
) -> Header | None:
    try:
        return header_of(name, size)
    except (DamageError, ObjectMissing) as error:
        listing.problems.append(Problem(error.code, name, str(error)))
        return None


def _check_chain(listing: VaultListing) -> None:
    hashes: dict[int, list[bytes]] = {}
    for entry in listing.entries:
        hashes.setdefault(entry.sequence, []).append(entry.hash)
    for sequence, found in hashes.items():
        if len(found) > 1:
            names = [e.name for e in listing.entries if e.sequence == sequence]
            listing.problems.append(
                Problem(
                    "fork",
                    names[0],
                    f"There are {len(found)} archives {sequence}: two writers used this vault, "
                    "or an old state was put back. Each of them still restores.",
                )
            )
    for entry in listing.entries:
        if entry.header is None or entry.header.previous is None:
            continue
        before = hashes.get(entry.sequence - 1, [])
        if entry.header.previous not in before and before:
            listing.problems.append(
                Problem(
                    "chain",
                    entry.name,
                    f"Archive {entry.sequence} was not written after the archive "
                    f"{entry.sequence - 1} that is here; one of them was swapped.",
                )
            )
    _check_newest(listing)


def _check_newest(listing: VaultListing) -> None:
    """Retention removes old points; what the newest stands on must be there."""
    for entry in listing.entries:
        if entry.sequence != listing.last_sequence or entry.header is None:
            continue
        for number in missing_needs(entry, listing):
            listing.problems.append(
                Problem(
                    "gap",
                    entry.name,
                    f"Archive {number}, which archive {entry.sequence} stands on, is not here; "
                    "it was removed or has not arrived.",
                )
            )


def missing_needs(entry: Entry, listing: VaultListing) -> list[int]:
    """Return the sequences of archives that an archive stands on and that are not there.

    An archive whose header does not say (before `needs` was written) stands on the one before.
    """
    if entry.header is None:
        return []
    needs = entry.header.needs
    if needs is None:
        needs = (entry.sequence - 1,) if entry.header.previous is not None else ()
    there = {each.sequence for each in listing.entries}
    return [number for number in needs if number not in there]


def describe(error: VaultdError, name: str) -> Problem:
    """Turn a typed error about an object into a problem for a report."""
    return Problem(error.code, name, str(error))
