"""What must be restorable: a promise for each point that a run reported as written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from tests.backup.world import POD_KEY, Content, FakeAccount
from tests.faults.backend import Fate, FaultyBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import DamageError, ObjectMissing
from vaultd.keys import Secrets
from vaultd.records import Body
from vaultd.restore.snapshot import Point, Snapshot, Vault, open_with_kit
from vaultd.restore.verify import verify_place
from vaultd.vault.layout import parse_archive_name
from vaultd.vault.reader import ArchiveReader

Pictures = dict[str, frozenset[bytes]]


class Broken(AssertionError):
    """Something that was promised does not hold."""


class Kept(MemoryBackend):
    """A place that remembers what vaultd stored and did not delete, whatever others do to it.

    While it is `healing` vaultd may remove only what is damaged; else `deleted` has what went.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, bytes] = {}
        self.deleted: set[str] = set()
        self.healing = False

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        super().create(name, data, size)
        self.written[name] = self.objects[name]

    def delete(self, name: str) -> None:
        if not self.healing:
            self.deleted.add(name)
            self.written.pop(name, None)
        elif self.objects.get(name, b"") == self.written.get(name):
            raise Broken(f"{name} is sound, and removed as if it were damaged")
        super().delete(name)

    def damaged(self) -> set[str]:
        """The objects that somebody else removed or changed."""
        return {n for n, data in self.written.items() if self.objects.get(n) != data}


@dataclass
class Expected:
    """The content of one account at the moment of a run."""

    content: Content
    pictures: Pictures
    missing: frozenset[str]

    @classmethod
    def of(
        cls,
        person: FakeAccount,
        files: dict[str, bytes],
        seen: dict[str, set[bytes]],
        only: str = "",
    ) -> Expected:
        """Return what a backup made now must give back; of `only` one kind and the account."""
        pictures: Pictures = {}
        missing = set()
        content = {k: v for k, v in person.content().items() if k[0] in (only or k[0], "account")}
        for kind, record_id in content:
            record = person.records[kind, record_id]
            if record.file is not None:
                if record.file in files:
                    pictures[record_id] = frozenset([files[record.file]])
                else:
                    pictures[record_id] = frozenset(seen.get(record.file, ()))
                    missing.add(record_id)
        return cls(content, pictures, frozenset(missing))


@dataclass(frozen=True)
class Promise:
    """One written point: where it is, what it needs, and what it must give back.

    `pictures` has what each photo may show; where the file was missing, no picture is fine too.
    `blobs` are the objects that show them.
    """

    target: str
    vault: str
    archive: str
    needs: tuple[str, ...]
    expected: Expected
    blobs: frozenset[str]

    @property
    def sequence(self) -> int:
        """The number of its archive."""
        return _parsed(self.archive)[1]


@dataclass
class Place:
    """One target: the engine sees `faulty`, the model and the vandals see `kept`."""

    name: str
    fate: Fate
    kept: Kept = field(default_factory=Kept)
    stale: bool = False
    meddled: bool = False

    def __post_init__(self) -> None:
        self.faulty = FaultyBackend(self.kept, self.fate)

    def open(self, secrets: Secrets) -> Vault:
        return open_with_kit(self.kept, secrets, [POD_KEY.public])

    def promise(self, secrets: Secrets, archive: str, expected: Expected) -> Promise:
        """Take the report at its word, note what the new point stands on, and check it."""
        if archive not in self.kept.written or archive in self.kept.damaged():
            raise Broken(f"{self.name}: {archive} was reported as written and is not there")
        manifest = ArchiveReader(self.kept, archive, secrets, [POD_KEY.public]).manifest
        needs = (archive, *(ref.name for ref in manifest.archives))
        vault = self.open(secrets)
        point = _point(vault, archive)
        if point is None:
            raise Broken(f"{self.name}: {archive} was reported as written and cannot be opened")
        bodies = dict(self._records(Snapshot(vault, point)))
        if not self.intact(needs):
            # Which pictures it has cannot be known.
            expected = Expected(expected.content, {}, frozenset())
        shown = [b["blob"] for b in bodies.values() if "blob" in b]
        blobs = frozenset(str(blob["name"]) for blob in shown if isinstance(blob, dict))
        vault_id = secrets.recipient.vault_id
        promise = Promise(self.name, vault_id, archive, needs, expected, blobs)
        self.check(vault, promise)
        return promise

    def intact(self, needs: tuple[str, ...]) -> bool:
        """Whether nobody but vaultd took away or changed what a point stands on."""
        return not self.kept.damaged().intersection(needs)

    def check(self, vault: Vault, promise: Promise) -> None:
        """Restore a point and compare; whatever is damaged on purpose must be named."""
        damaged = self.kept.damaged()
        where = f"{self.name} {promise.archive.split('/')[1][:14]}"
        point = _point(vault, promise.archive)
        if point is None:
            if promise.archive not in damaged:
                raise Broken(f"{where}: the point is gone")
        elif damaged.intersection(promise.needs):
            self._check_damaged(vault, point, promise)
        else:
            self.check_content(vault, point, promise.expected, where)

    def check_content(
        self, vault: Vault, point: Point, expected: Expected, where: str, but: Collection[str] = ()
    ) -> None:
        """Compare a sound point with what is expected, records of some kinds left out."""
        snapshot = Snapshot(vault, point)
        restored = dict(self._records(snapshot))
        if snapshot.damage:
            raise Broken(f"{where}: {snapshot.damage}")
        found, wanted = (
            {key: body for key, body in content.items() if key[0] not in but}
            for content in (_plain(restored), expected.content)
        )
        if found != wanted:
            raise Broken(f"{where}: {_difference(found, wanted)}")
        for record_id, pictures in expected.pictures.items():
            body = restored["photo", record_id]
            self._check_picture(snapshot, body, pictures, record_id in expected.missing)

    def _check_picture(
        self, snapshot: Snapshot, body: Body, pictures: frozenset[bytes], missing: bool
    ) -> None:
        blob = body.get("blob")
        if not isinstance(blob, dict):
            if body.get("blob_missing") is not True or not missing:
                raise Broken(f"{self.name}: a picture that was there is missing: {body}")
            return
        try:
            picture = b"".join(snapshot.open_blob(body))
        except (DamageError, ObjectMissing) as error:
            if blob["name"] not in self.kept.damaged():
                raise Broken(f"{self.name}: nobody touched it, but {error}") from error
            return
        if picture not in pictures:
            raise Broken(f"{self.name}: {body} shows {picture!r}, not one of {pictures!r}")

    def _check_damaged(self, vault: Vault, point: Point, promise: Promise) -> None:
        """Damage is named, and what lies in newer archives than the damage still restores."""
        snapshot = Snapshot(vault, point)
        restored = dict(self._records(snapshot))
        wanted = promise.expected.content
        if not snapshot.damage and _plain(restored) != wanted:
            raise Broken(f"{self.name}: {promise.archive} is damaged, and nobody says so")
        damaged = self.kept.damaged()
        for name in sorted(promise.needs, reverse=True):
            if name in damaged:
                break
            reader = ArchiveReader(self.kept, name, vault.secrets, [POD_KEY.public])
            keys = {(r.kind, r.id) for batch in reader.batches() for r in batch} & wanted.keys()
            sound = {key: restored.get(key, {}) for key in keys}
            if _plain(sound) != {key: wanted[key] for key in keys}:
                raise Broken(f"{self.name}: {name} is sound, and does not restore")

    def _records(self, snapshot: Snapshot) -> Iterator[tuple[tuple[str, str], Body]]:
        """Yield the records of a point, pictures still named in their bodies."""
        came = set()
        for record in snapshot.records():
            if record.body is None or (record.kind, record.id) in came:
                raise Broken(f"{self.name}: {record.kind} {record.id} comes twice")
            came.add((record.kind, record.id))
            yield (record.kind, record.id), record.body

    def check_verify(self) -> None:
        """`verify_place` names each damaged object and each hole, and nothing else."""
        problems = verify_place(self.kept).problems
        flipped = {n for n in self.kept.damaged() if n in self.kept.objects}
        named = {p.object for p in problems if p.code not in ("gap", "fork", "chain")}
        if named != flipped:
            raise Broken(f"{self.name}: verify names {named - flipped}, and not {flipped - named}")
        removed = {n for n in self.kept.written if n not in self.kept.objects}
        holes = {(v, s) for v, s, _ in map(_parsed, removed)}
        for problem in problems:
            vault, sequence, _ = _parsed(problem.object)
            if problem.code == "gap" and (vault, sequence - 1) not in holes:
                raise Broken(f"{self.name}: nobody made this gap: {problem.sentence}")
            if problem.code in ("fork", "chain") and not self.stale:
                raise Broken(f"{self.name}: {problem.sentence}")


def _point(vault: Vault, archive: str) -> Point | None:
    return next((p for p in vault.points if p.entry.name == archive), None)


def _parsed(name: str) -> tuple[str, int, bytes]:
    return parse_archive_name(name) or (name.split("/", maxsplit=1)[0], -1, b"")


def _plain(content: Content) -> Content:
    """Drop what the engine adds to photo records."""
    added = ("blob", "blob_missing")
    return {key: {k: v for k, v in body.items() if k not in added} for key, body in content.items()}


def _difference(found: Content, wanted: Content) -> str:
    more = {k: v for k, v in found.items() if k not in wanted}
    less = {k: v for k, v in wanted.items() if k not in found}
    other = {k: (v, wanted[k]) for k, v in found.items() if k in wanted and wanted[k] != v}
    return f"restores too much {more}, too little {less}, otherwise (found, wanted) {other}"
