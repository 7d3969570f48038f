"""`vaultd verify`: whole places without keys, and one vault's records with a kit."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from vaultd.errors import DamageError, ObjectMissing, VaultdError
from vaultd.keys import fingerprint
from vaultd.restore.snapshot import Snapshot, Vault
from vaultd.vault.header import Header
from vaultd.vault.integrity import check_archive, check_blob
from vaultd.vault.listing import Problem, describe, open_vault, vault_ids
from vaultd.vault.place import Place
from vaultd.vault.reader import ArchiveReader

_AT_ONCE: Final = 8  # vaults of a far place read at the same time
_FIRST: Final = 10
_FAR: Final = 0.01  # seconds a vault


@dataclass(slots=True)
class Verification:
    """What was checked, and every problem found, named."""

    vaults: int = 0
    archives: int = 0
    blobs: int = 0
    bytes: int = 0
    records: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, problem: Problem) -> None:
        """Note a problem once."""
        if problem not in self.problems:
            self.problems.append(problem)

    def take(self, other: Verification) -> None:
        """Add what was found elsewhere."""
        self.vaults += other.vaults
        self.archives += other.archives
        self.blobs += other.blobs
        self.bytes += other.bytes
        self.records += other.records
        for problem in other.problems:
            self.add(problem)


def verify_place(place: Place) -> Verification:
    """Check every object of every vault in a place with public keys only.

    Reads each object once, in bounded memory. Raises PlaceError when the place cannot be listed.
    """
    result = Verification()
    vaults = vault_ids(place)
    begun = time.monotonic()
    for vault_id in vaults[:_FIRST]:
        result.take(_verify_vault(place, vault_id))
    # On a near place several threads only wait for each other; on a far one all wait for it.
    far = time.monotonic() - begun > _FAR * len(vaults[:_FIRST])
    with ThreadPoolExecutor(_AT_ONCE if far else 1, thread_name_prefix="verify") as pool:
        for found in pool.map(partial(_verify_vault, place), vaults[_FIRST:]):
            result.take(found)
    return result


def _verify_vault(place: Place, vault_id: str) -> Verification:
    listing = open_vault(place, vault_id)
    result = Verification(vaults=1)
    for problem in listing.problems:
        result.add(problem)
    pods: dict[bytes, str] = {}
    for entry in listing.entries:
        result.archives += 1
        result.bytes += entry.size
        try:
            pods.setdefault(check_archive(place, entry.name, entry.size).pod, entry.name)
        except (DamageError, ObjectMissing) as error:
            result.add(describe(error, entry.name))
    for name, size in listing.blobs.items():
        result.blobs += 1
        result.bytes += size
        try:
            header: Header = check_blob(place, name, size)
        except (DamageError, ObjectMissing) as error:
            result.add(describe(error, name))
        else:
            pods.setdefault(header.pod, name)
    first, *others = pods or {b"": ""}
    for pod in others:
        result.add(
            Problem(
                "forged",
                pods[pod],
                f"{pods[pod]} is signed by {fingerprint(pod)}, but this vault began with "
                f"{fingerprint(first)}: it is forged, or the pod lost its key and made a new one.",
            )
        )
    return result


def verify_records(vault: Vault, result: Verification) -> None:
    """Decrypt and check every record of every archive, the newest point's counts and pictures."""
    for problem in vault.problems:
        result.add(problem)
    for point in vault.points:
        try:
            reader = ArchiveReader(vault.place, point.entry.name, vault.secrets, vault.pods)
            for _ in reader.records():
                result.records += 1
        except VaultdError as error:
            result.add(describe(error, point.entry.name))
    if vault.points:
        _verify_newest(vault, result)


def _verify_newest(vault: Vault, result: Verification) -> None:
    snapshot = Snapshot(vault, vault.points[-1])
    counts: Counter[str] = Counter()
    for record in snapshot.records():
        counts[record.kind] += 1
        if record.kind != "photo" or record.body is None or "blob" not in record.body:
            continue
        try:
            for _ in snapshot.open_blob(record.body):
                pass
        except VaultdError as error:
            result.add(Problem(error.code, f"photo {record.id}", str(error)))
    name = vault.points[-1].entry.name
    for sentence in snapshot.damage:
        if all(sentence.split(" ")[0] not in problem.sentence for problem in result.problems):
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
