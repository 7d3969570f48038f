"""An account at one moment, made of a list of records, for tests of the restores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from vaultd.errors import DamageError, ObjectMissing
from vaultd.records import Body, StoredRecord


@dataclass(frozen=True, slots=True)
class FakeManifest:
    account: str = "ada@old.example"
    guid: str = "00000000000000000000000000000ada"
    username: str = "ada"
    time: str = "2026-11-23T20:46:00Z"
    counts: Mapping[str, int] = field(default_factory=dict)
    pod_url: str = "https://old.example/"


class FakePoint:
    """Satisfies `RestorePoint` from memory."""

    def __init__(
        self,
        records: Iterable[StoredRecord],
        manifest: FakeManifest | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        self._records = list(records)
        counts = Counter(record.kind for record in self._records)
        self.manifest = manifest or FakeManifest(counts=counts)
        self.damage: list[str] = []
        self.part = ""
        self._files = dict(files or {})

    def records(self, kinds: Collection[str] | None = None) -> Iterator[StoredRecord]:
        for record in self._records:
            if kinds is None or record.kind in kinds:
                yield record

    def open_blob(self, body: Body) -> Iterator[bytes]:
        blob = body.get("blob")
        name = blob.get("name") if isinstance(blob, dict) else None
        if not isinstance(name, str):
            raise DamageError("The photo record names no picture of this vault.")
        if name not in self._files:
            yield b"the first half"
            raise ObjectMissing(f"{name} is not in the place.")
        data = self._files[name]
        for start in range(0, len(data), 7):
            yield data[start : start + 7]
