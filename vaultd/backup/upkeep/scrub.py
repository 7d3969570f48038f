"""Scrubbing: stored objects are read again without keys, oldest check first, and healed.

What is damaged or missing is copied from another target that holds the same object; what no
target holds is marked, and the account's next run writes its content again from the source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from msgspec.structs import replace as changed

from vaultd.backends.base import Backend
from vaultd.backup.copying import RemoteObject, checked
from vaultd.backup.engine.vault_run import replace_bad
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.clock import now, rfc3339
from vaultd.config import OWN
from vaultd.errors import DamageError, ObjectExists, ObjectMissing, PlaceError, VaultdError
from vaultd.state.store import Enrollment, State
from vaultd.state.vaults.points import StoredArchive, StoredBlob, VaultPoint
from vaultd.state.vaults.vaults import VaultKey
from vaultd.vault.integrity import check_archive, check_blob
from vaultd.vault.layout import blob_name


@dataclass(frozen=True, slots=True)
class Finding:
    """One bad object: whose, where, its name, a stable code, a sentence, and how it was healed
    (`copied` from another target, `written again` by the next run, empty where it could not be)."""

    username: str
    target: str
    object: str
    code: str
    sentence: str
    healed: str


@dataclass(slots=True)
class ScrubReport:
    """What was read and what was wrong; `problems` are places that could not be asked, `notes`
    tell of users' own ones among them."""

    vaults: int = 0
    objects: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def to_write_again(self) -> list[str]:
        """The accounts whose next run writes again what was lost."""
        return sorted({f.username for f in self.findings if f.healed == "written again"})


def scrub(
    state: State,
    targets: Mapping[str, Backend],
    share: float,
    usernames: Collection[str] | None = None,
    *,
    own: OwnPlaces | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ScrubReport:
    """Read this share (0 to 1, by bytes) of each target again; at least one vault of each.

    The targets of users (`own`) are one together, without those that fail: runs try them. The
    caller holds the state lock. One vault's trouble stops no other. `should_stop` is asked
    between vaults; what is left is the oldest next time.
    """
    report = ScrubReport()
    enrollments = {each.id: each for each in state.enrollments(usernames)}
    points = state.vaults.points(enrollments)
    for target in (*targets, *([OWN] if own else [])):
        due = [(key, p) for key, p in points.items() if key[1] == target and p.last is not None]
        if own and target == OWN:
            due = [item for item in due if not own.left_to_runs(enrollments[item[0][0]])]
        due.sort(key=lambda item: (item[1].scrubbed_at or "", item[0]))
        left = share * sum(_size(point) for _, point in due)
        for number, (key, point) in enumerate(due):
            if (number and left <= 0) or should_stop():
                break
            left -= _size(point)
            each = enrollments[key[0]]
            try:
                if target == OWN and own:
                    with own.joined([each], targets, every=True) as places:
                        if OWN in places:
                            _Vault(state, places, each, key, point, points, report).scrub()
                else:
                    _Vault(state, targets, each, key, point, points, report).scrub()
            except PlaceError as error:
                if target == OWN and own:
                    told = report.notes if own.tolerated(each, error) else report.problems
                    told.append(f"{each.username}, {target}: {error}")
                    continue
                report.problems.append(f"{target}: {error}")
                break
    if own:
        own.save()
    return report


def _size(point: VaultPoint) -> int:
    return sum(a.size for a in point.archives) + sum(b.size for b in point.blobs)


@dataclass(slots=True)
class _Vault:
    state: State
    targets: Mapping[str, Backend]
    enrollment: Enrollment
    key: VaultKey
    point: VaultPoint
    points: Mapping[VaultKey, VaultPoint]
    report: ScrubReport

    def scrub(self) -> None:
        archives: list[StoredArchive] = []
        blobs: list[StoredBlob] = []
        for archive in self.point.archives:
            error = None if archive.bad else self._check(archive.name, archive.size)
            healed = error is None or self._heal(archive.name, archive.size, error)
            archives.append(archive if healed else replace_bad(archive))
        for blob in self.point.blobs:
            name = blob_name(self.enrollment.vault_id, blob.digest)
            error = None if blob.bad else self._check(name, blob.size)
            healed = error is None or self._heal(name, blob.size, error, foreign=blob.foreign)
            blobs.append(blob if healed else changed(blob, bad=True))
        if archives != list(self.point.archives) or blobs != list(self.point.blobs):
            self.state.vaults.save_archives(*self.key, tuple(archives), tuple(blobs))
        self.state.vaults.set_scrubbed(*self.key, rfc3339(now()))
        self.report.vaults += 1

    @property
    def _backend(self) -> Backend:
        return self.targets[self.key[1]]

    def _check(self, name: str, size: int) -> VaultdError | None:
        self.report.objects += 1
        self.report.bytes += size
        return _wrong(self._backend, name, size)

    def _heal(self, name: str, size: int, error: VaultdError, *, foreign: bool = False) -> bool:
        """Tell whether a sound copy of another target stands in its place now."""
        healed = "written again"
        for target, backend in self.targets.items():
            if target == self.key[1] or not self._knows(target, name):
                continue
            with suppress(DamageError, ObjectMissing):
                self._put_back(name, size, checked(backend, name, size))
                healed = "copied"
                break
        else:
            if not isinstance(error, ObjectMissing) and "/blob-" in name and not foreign:
                # Its name stays the same when it is stored again, so the damage must go first.
                self._backend.delete(name)
        self.report.findings.append(
            Finding(self.enrollment.username, self.key[1], name, error.code, str(error), healed)
        )
        return healed == "copied"

    def _knows(self, target: str, name: str) -> bool:
        point = self.points.get((self.key[0], target))
        if point is None:
            return False
        if any(a.name == name and not a.bad for a in point.archives):
            return True
        vault = self.enrollment.vault_id
        return any(blob_name(vault, b.digest) == name and not b.bad for b in point.blobs)

    def _put_back(self, name: str, size: int, other: Backend) -> None:
        self._backend.delete(name)
        try:
            self._backend.create(name, cast(BinaryIO, RemoteObject(other, name)), size)
        except ObjectExists as error:
            raise PlaceError(f"{name} is damaged and could not be removed.") from error


def _wrong(backend: Backend, name: str, size: int) -> VaultdError | None:
    """Return what is wrong with an object. Two readings must agree: damage is removed for good."""
    error, heard = _reading(backend, name, size)
    if isinstance(error, DamageError):
        error, again = _reading(backend, name, size)
        if error is not None and again != heard:
            raise PlaceError(f"{name} is read differently each time; it is left alone.")
    return error


def _reading(backend: Backend, name: str, size: int) -> tuple[VaultdError | None, bytes]:
    """Read a whole object once; return what is wrong with it, and a hash of what was read."""
    witness = _Witness(backend)
    try:
        if "/blob-" in name:
            check_blob(witness, name, size)
        else:
            check_archive(witness, name, size)
    except (DamageError, ObjectMissing) as error:
        return error, witness.heard.digest()
    return None, witness.heard.digest()


class _Witness:
    """A place that hashes what is read from it."""

    def __init__(self, backend: Backend) -> None:
        self.list = backend.list
        self.heard = hashlib.blake2b()
        self._backend = backend

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        data = self._backend.read(name, offset, length)
        self.heard.update(data)
        return data
