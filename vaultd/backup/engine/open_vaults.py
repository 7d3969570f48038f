"""Opening vaults: where the vaults of a run's accounts stand, by state and place."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.accounts.escrow import store_escrow
from vaultd.backup.engine.context import RunContext
from vaultd.backup.engine.vault_run import BLOB, VaultRun, not_ours
from vaultd.clock import now, rfc3339
from vaultd.errors import DamageError
from vaultd.state.index.vault_index import VaultIndex
from vaultd.state.store import Enrollment
from vaultd.state.vaults.photos import PhotoCache
from vaultd.state.vaults.points import NOTHING, StoredArchive, StoredBlob, VaultPoint
from vaultd.state.vaults.vaults import VaultKey
from vaultd.vault.listing import Entry, open_vault

_PLAUSIBLE: Final = 500_000_000


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the vaults of a batch stand, asked of the state at once."""

    points: Mapping[VaultKey, VaultPoint]
    staged: Mapping[VaultKey, str]


def where_they_stand(context: RunContext, accounts: Collection[int]) -> Standing:
    """Ask the state about all vaults of these accounts (ids of enrolments)."""
    vaults = context.state.vaults
    return Standing(vaults.points(accounts), vaults.staged(accounts))


def open_vault_run(
    context: RunContext,
    enrollment: Enrollment,
    target: str,
    backend: Backend,
    standing: Standing | None = None,
) -> tuple[VaultRun, VaultIndex]:
    """Find out where a vault stands; a vault with a known point costs the place no request.

    `standing`, where given, spares asking the state again. Raises PlaceError.
    """
    vaults = context.state.vaults
    key = (enrollment.id, target)
    known = standing or where_they_stand(context, [enrollment.id])
    point = known.points.get(key, NOTHING)
    staged = known.staged.get(key)
    if staged is not None:
        if any(o.name == staged for o in backend.list(staged)):
            vaults.promote([key])
        else:
            vaults.unstage(*key)
        point = vaults.point(*key) or NOTHING
    damage = ""
    if point.last is not None:
        try:
            pieces = vaults.index_pieces(enrollment.id, target, point.sequence)
            index = VaultIndex.load(context.state.digests, pieces)
            photos = PhotoCache(context.state.digests, point.photos)
        except DamageError as error:
            damage = f"{target}: {error}"
            vaults.restart(enrollment.id, target, point.sequence)
            point = replace(NOTHING, sequence=point.sequence)
        else:
            bad = {blob.digest: blob for blob in point.blobs if blob.bad}
            photos.forget(bad)
            vault = VaultRun(
                context=context,
                enrollment=enrollment,
                target=target,
                backend=backend,
                point=replace(
                    point,
                    photos=b"",
                    blobs=tuple(b for b in point.blobs if not b.bad),
                ),
                photos=photos,
                sequence=point.sequence + 1,
                previous=point.archives[-1].hash,
                blobs={b.digest: b.size for b in point.blobs if not b.bad},
                bad_blobs=bad,
            )
            return vault, index
    vault = _open_fresh(context, enrollment, (target, backend), point)
    vault.note = damage or vault.note
    return vault, VaultIndex(context.state.digests)


def _open_fresh(
    context: RunContext,
    enrollment: Enrollment,
    place: tuple[str, Backend],
    point: VaultPoint,
) -> VaultRun:
    """Open a vault whose next archive stands on its own, after all that is there already."""
    target, backend = place
    own_key = context.pod_key.public
    listing = open_vault(backend, enrollment.vault_id, whole=(own_key,))
    if not listing.entries and not point.sequence:
        context.rooms.check_new(target, backend)
    if enrollment.escrow is not None:
        store_escrow(backend, enrollment.vault_id, enrollment.escrow)
    readable = [entry for entry in listing.entries if entry.header is not None]
    ours = [entry for entry in readable if entry.header and entry.header.pod == own_key]
    # A number that somebody else claims is passed by if it can be, and never believed.
    numbers = [point.sequence, *(entry.sequence for entry in readable)]
    numbers = [number for number in numbers if number < _PLAUSIBLE]
    sequence = max(0, *numbers, *(entry.sequence for entry in ours)) + 1
    # One that cannot be read may be ours, damaged: two of one number would be a fork.
    taken = {entry.sequence for entry in listing.entries}
    while sequence in taken:
        sequence += 1
    blobs = {
        bytes.fromhex(name.partition(BLOB)[2]): size
        for name, size in listing.blobs.items()
        if _is_hash(name.partition(BLOB)[2])
    }
    adopted = _adopted(context, enrollment, ours)
    strangers = len(listing.entries) - len(ours)
    foreign = strangers > 0 or any(archive.foreign for archive in adopted)
    before = [entry.hash for entry in readable if entry.sequence == sequence - 1]
    note = not_ours(target, strangers) if strangers else ""
    if ours and point.sequence == 0:
        note = (
            f"{target}: the vault already holds archives up to {sequence - 1} that this state does "
            f"not know (the state was lost); archive {sequence} holds the whole account on its own."
        )
    return VaultRun(
        context=context,
        enrollment=enrollment,
        target=target,
        backend=backend,
        # Old points stay until retention lets them go, and so does every picture they may show.
        point=replace(
            point,
            archives=adopted,
            # Pictures do not tell whose they are: beside another's archives none is taken for ours.
            blobs=tuple(
                StoredBlob(d, size, sequence, foreign=foreign) for d, size in sorted(blobs.items())
            ),
        ),
        photos=PhotoCache(context.state.digests),
        sequence=sequence,
        previous=before[0] if len(before) == 1 else None,
        blobs=blobs,
        note=note,
    )


def _adopted(
    context: RunContext, enrollment: Enrollment, ours: Sequence[Entry]
) -> tuple[StoredArchive, ...]:
    """Return what the clear headers, signed by this pod, tell of archives that the state lacks."""
    found: list[StoredArchive] = []
    there = {entry.sequence for entry in ours}
    lacking = next(number for number in count(1) if number not in there)
    for entry in ours:
        header = entry.header
        if header is None:
            continue
        needs, time = header.needs, header.time or rfc3339(now())
        if needs is None:  # written before headers told: all that was there before
            needs = tuple(n for n in sorted({*there, lacking}) if n < entry.sequence)
        own = hmac.compare_digest(header.owner or b"", context.owner_tag(enrollment))
        found.append(
            StoredArchive(
                entry.sequence, entry.name, entry.size, entry.hash, time, 0, needs, foreign=not own
            )
        )
    return tuple(found)


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(c in "0123456789abcdef" for c in text)
