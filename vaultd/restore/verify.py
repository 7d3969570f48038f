"""`vaultd verify`: whole places without keys, and one vault's records with a kit."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from vaultd.backends.folder.backend import FolderBackend
from vaultd.errors import DamageError, ObjectMissing, TooLargeError, VaultdError
from vaultd.restore.forks import in_forks
from vaultd.vault.header import Header
from vaultd.vault.integrity import ArchiveCheck, check_blob
from vaultd.vault.layout import vault_of
from vaultd.vault.listing import Problem, arrange, describe, list_vault
from vaultd.vault.place import Place

if TYPE_CHECKING:
    from vaultd.records import Body
    from vaultd.restore.snapshot import Snapshot, Vault

_AT_ONCE: Final = 8  # vaults of a far place read at the same time
_FIRST: Final = 10
_FAR: Final = 0.01  # seconds a vault
_STEP: Final = 16  # vaults of a near place that a thread takes at a time
_IN_MEMORY: Final = 200_000  # names
_PROBLEMS: Final = 10_000

_Listed: TypeAlias = "tuple[str, dict[str, int] | None]"


class Verification(msgspec.Struct):
    """What was checked, and every problem found, named."""

    vaults: int = 0
    archives: int = 0
    blobs: int = 0
    bytes: int = 0
    records: int = 0
    problems: list[Problem] = []
    known: set[Problem] = set()  # those in `problems`
    unlisted: int = 0

    def add(self, problem: Problem) -> None:
        """Note a problem once; of more than can be of use only the number is kept."""
        if problem in self.known:
            return
        if len(self.problems) >= _PROBLEMS:
            self.unlisted += 1
            return
        self.known.add(problem)
        self.problems.append(problem)

    @property
    def found(self) -> int:
        """How many problems there are, those not listed included."""
        return len(self.problems) + self.unlisted

    def take(self, other: Verification) -> None:
        """Add what was found elsewhere."""
        self.vaults += other.vaults
        self.archives += other.archives
        self.blobs += other.blobs
        self.bytes += other.bytes
        self.records += other.records
        self.unlisted += other.unlisted
        for problem in other.problems:
            self.add(problem)


def verify_place(place: Place) -> Verification:
    """Check every object of every vault in a place with public keys only.

    Reads each object once, in bounded memory. Raises PlaceError when the place cannot be listed.
    """
    result = Verification()
    vaults = _listed(place)
    begun = time.monotonic()
    first, rest = vaults[:_FIRST], vaults[_FIRST:]
    result.take(_verify_vaults(place, first))
    far = time.monotonic() - begun > _FAR * max(1, len(first))
    step = 1 if far else _STEP
    parts = [rest[start : start + step] for start in range(0, len(rest), step)]
    for found in _at_once(place, parts, far=far):
        result.take(found)
    return result


def _at_once(place: Place, parts: Sequence[list[_Listed]], *, far: bool) -> Iterator[Verification]:
    """Verify parts of a place: on a near one they wait for a core, on a far one for the place."""
    work = partial(_verify_vaults, place)
    cores = min(os.cpu_count() or 1, _AT_ONCE)
    if not far and _is_folder(place):
        yield from in_forks(work, parts, Verification, min(cores, len(parts)))
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE if far else cores, thread_name_prefix="verify") as pool:
        yield from pool.map(work, parts)


def _is_folder(place: Place) -> bool:
    """Whether forks can use a place side by side: they would share another's connections."""
    if isinstance(place, FolderBackend):
        return True
    from vaultd.backends.wrappers.retrying import RetryingBackend

    return isinstance(place, RetryingBackend) and isinstance(place.inner, FolderBackend)


def _listed(place: Place) -> list[_Listed]:
    """Return the vaults of a place with their objects, from one listing.

    Of a place with more objects than should lie in memory, the later ones are left to be listed
    when their turn comes.
    """
    found: dict[str, dict[str, int] | None] = {}
    left = _IN_MEMORY
    for item in place.list():
        vault_id = vault_of(item.name)
        if vault_id is None:
            continue
        objects = found.setdefault(vault_id, {})
        left -= 1
        if left < 0:
            found[vault_id] = None
        elif objects is not None:
            objects[item.name] = item.size
    return sorted(found.items())


def _verify_vaults(place: Place, vaults: Iterable[_Listed]) -> Verification:
    result = Verification()
    for vault_id, objects in vaults:
        if objects is not None:
            found = _verify_vault(place, vault_id, objects)
            if all(problem.code != ObjectMissing.code for problem in found.problems):
                result.take(found)
                continue
            # Retention may have removed it since the place was listed.
        result.take(_verify_vault(place, vault_id, list_vault(place, vault_id)))
    return result


def _verify_vault(place: Place, vault_id: str, objects: Mapping[str, int]) -> Verification:
    result = Verification(vaults=1)
    pods: dict[bytes, str] = {}
    later = Verification()

    def header_of(name: str, size: int) -> Header:
        check = ArchiveCheck(place, name, size)
        try:
            check.finish()
        except (DamageError, ObjectMissing) as error:
            later.add(describe(error, name))
        else:
            pods.setdefault(check.header.pod, name)
        return check.header

    listing = arrange(vault_id, objects, header_of)
    for problem in listing.problems:
        result.add(problem)
    result.take(later)
    result.archives = len(listing.entries)
    result.blobs = len(listing.blobs)
    result.bytes = sum(entry.size for entry in listing.entries) + sum(listing.blobs.values())
    for name, size in listing.blobs.items():
        try:
            header = check_blob(place, name, size)
        except (DamageError, ObjectMissing) as error:
            result.add(describe(error, name))
        else:
            pods.setdefault(header.pod, name)
    first, *others = pods or {b"": ""}
    for pod in others:
        from vaultd.keys import fingerprint

        result.add(
            Problem(
                "forged",
                pods[pod],
                f"{pods[pod]} is signed by {fingerprint(pod)}, but this vault began with "
                f"{fingerprint(first)}: it is forged, or the pod lost its key and made a new one; "
                "then restore takes both with --pod-key.",
            )
        )
    return result


def verify_records(vault: Vault, result: Verification) -> None:
    """Decrypt and check every record of every archive, the newest point's counts and pictures."""
    from vaultd.vault.reader import ArchiveReader

    for problem in vault.problems:
        result.add(problem)
    for point in vault.points:
        try:
            reader = ArchiveReader(vault.place, point.entry.name, vault.secrets, vault.pods)
            for batch in reader.batches():
                result.records += len(batch)
        except VaultdError as error:
            result.add(describe(error, point.entry.name))
    if vault.points:
        _verify_newest(vault, result)


def _verify_newest(vault: Vault, result: Verification) -> None:
    from vaultd.restore.snapshot import Snapshot

    snapshot = Snapshot(vault, vault.points[-1])
    name = vault.points[-1].entry.name
    counts: Counter[str] = Counter()
    pictures: set[str] = set()
    try:
        for record in snapshot.records():
            counts[record.kind] += 1
            if record.kind == "photo" and record.body is not None and "blob" in record.body:
                _verify_picture(snapshot, record.id, record.body, pictures, result)
    except TooLargeError as error:
        result.add(describe(error, name))
        return
    named = {problem.object for problem in result.problems}
    named |= {problem.sentence.split(" ", 1)[0] for problem in result.problems}
    for sentence in snapshot.damage:
        if sentence.split(" ", 1)[0] not in named:
            result.add(Problem("damaged", name, sentence))
    for kind, expected in snapshot.manifest.counts.items():
        if counts[kind] != expected:
            result.add(
                Problem(
                    "missing-records",
                    name,
                    f"{counts[kind]} of {expected} {kind} records are there.",
                )
            )


def _verify_picture(
    snapshot: Snapshot, record_id: str, body: Body, seen: set[str], result: Verification
) -> None:
    """Read the picture of a photo record, each once."""
    blob = body["blob"]
    name = str(blob.get("name")) if isinstance(blob, dict) else ""
    if name in seen:
        return
    if name in snapshot.pictures:
        seen.add(name)
    try:
        for _ in snapshot.open_blob(body):
            pass
    except VaultdError as error:
        result.add(Problem(error.code, f"photo {record_id}", str(error)))
