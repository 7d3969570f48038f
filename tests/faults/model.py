"""What must be restorable: a promise for each point that a run reported as written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

from tests.backup.world import POD_KEY, Content, FakeAccount
from tests.faults.backend import FaultyBackend, Life
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
    """A place that remembers what vaultd stored and did not delete, whatever others do to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: dict[str, bytes] = {}

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        super().create(name, data, size)
        self.written[name] = self.objects[name]

    def delete(self, name: str) -> None:
        super().delete(name)
        self.written.pop(name, None)

    def damaged(self) -> set[str]:
        """The objects that somebody else removed or changed."""
        return {n for n, data in self.written.items() if self.objects.get(n) != data}


@dataclass(frozen=True)
class Promise:
    """One written point: where it is, what it needs, and what it must give back.

    `pictures` has what each photo may show; where the file was missing, no picture is fine too.
    """

    target: str
    vault: str
    archive: str
    needs: tuple[str, ...]
    content: Content
    pictures: Pictures
    missing: frozenset[str]


@dataclass
class Expected:
    """The content of one account at the moment of a run."""

    content: Content
    pictures: Pictures
    missing: frozenset[str]

    @classmethod
    def of(
        cls, person: FakeAccount, files: dict[str, bytes], seen: dict[str, set[bytes]]
    ) -> Expected:
        pictures: Pictures = {}
        missing = set()
        for (kind, record_id), record in person.records.items():
            if kind == "photo" and record.file is not None:
                if record.file in files:
                    pictures[record_id] = frozenset([files[record.file]])
                else:
                    pictures[record_id] = frozenset(seen.get(record.file, ()))
                    missing.add(record_id)
        return cls(person.content(), pictures, frozenset(missing))


@dataclass
class Place:
    """One target: the engine sees `faulty`, the model and the vandals see `kept`."""

    name: str
    life: Life
    kept: Kept = field(default_factory=Kept)
    stale: bool = False
    meddled: bool = False

    def __post_init__(self) -> None:
        self.faulty = FaultyBackend(self.kept, self.life)

    def open(self, secrets: Secrets) -> Vault:
        return open_with_kit(self.kept, secrets, [POD_KEY.public])

    def promise(self, secrets: Secrets, archive: str, expected: Expected) -> Promise:
        """Take the report at its word, and note what the new point stands on."""
        if archive not in self.kept.written or archive in self.kept.damaged():
            raise Broken(f"{self.name}: {archive} was reported as written and is not there")
        manifest = ArchiveReader(self.kept, archive, secrets, [POD_KEY.public]).manifest
        needs = (archive, *(ref.name for ref in manifest.archives))
        return Promise(
            self.name,
            secrets.recipient.vault_id,
            archive,
            needs,
            expected.content,
            expected.pictures,
            expected.missing,
        )

    def intact(self, needs: tuple[str, ...]) -> bool:
        """Whether nobody but vaultd took away or changed what a point stands on."""
        return not self.kept.damaged().intersection(needs)

    def check(self, vault: Vault, promise: Promise) -> None:
        """Restore a point and compare; whatever is damaged on purpose must only be named."""
        if not self.intact(promise.needs):
            return
        point = next((p for p in vault.points if p.entry.name == promise.archive), None)
        if point is None:
            raise Broken(f"{self.name}: the point {promise.archive} is gone")
        restored = self.restore(vault, point)
        where = f"{self.name} {promise.archive.split('/')[1][:14]}"
        if (plain := _plain(restored)) != promise.content:
            raise Broken(f"{where}: {_difference(plain, promise.content)}")
        snapshot = Snapshot(vault, point)
        for record_id, pictures in promise.pictures.items():
            body = restored["photo", record_id]
            self._check_picture(snapshot, body, pictures, record_id in promise.missing)

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

    def restore(self, vault: Vault, point: Point) -> Content:
        """Return the records of a point, pictures still named in their bodies."""
        snapshot = Snapshot(vault, point)
        content: Content = {}
        for record in snapshot.records():
            if record.body is None or (record.kind, record.id) in content:
                raise Broken(f"{self.name}: {record.kind} {record.id} comes twice")
            content[record.kind, record.id] = record.body
        if snapshot.damage:
            raise Broken(f"{self.name}: {snapshot.damage}")
        return content

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
