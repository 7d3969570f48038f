"""A small vault in memory, made once, for tests that then damage copies of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from vaultd.backends.base import ObjectInfo
from vaultd.errors import ObjectMissing
from vaultd.keys import PodKey, Secrets
from vaultd.records import Body, Json
from vaultd.vault.blobs import blob_digest, pack_blob
from vaultd.vault.manifest import ArchiveRef, Manifest
from vaultd.vault.writer import ArchiveWriter, PackedObject

SECRET = b"a tiny kit secre"
POD_KEY = PodKey(b"a tiny pod key's 32 byte seed...")
BLOB_KEY = b"b" * 32
PICTURE = b"\x89PNG not really " * 40


@dataclass
class Objects:
    """A place that is a dict; satisfies `vaultd.vault.place.Place`."""

    data: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        if name not in self.data:
            raise ObjectMissing(f"{name} is not there.")
        found = self.data[name]
        return found[offset:] if length is None else found[offset : offset + length]

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        for name in sorted(self.data):
            if name.startswith(prefix):
                yield ObjectInfo(name, len(self.data[name]))


def manifest(sequence: int, refs: tuple[ArchiveRef, ...], counts: dict[str, int]) -> Manifest:
    return Manifest(
        account="ada@pod.example",
        guid="0123456789abcdef0123456789abcdef",
        username="ada",
        public_key="-----BEGIN PUBLIC KEY-----\n…\n-----END PUBLIC KEY-----\n",
        time=f"2026-11-{sequence:02d}T03:00:00Z",
        sequence=sequence,
        archives=refs,
        counts=counts,
        changes={"post": (1, 0, 0)},
        blob_key=BLOB_KEY,
        pod_url="https://pod.example",
        software="vaultd test",
    )


def pack(
    secrets: Secrets,
    pod_key: PodKey,
    sequence: int,
    previous: PackedObject | None,
    refs: tuple[ArchiveRef, ...],
    records: list[tuple[str, str, Body | None]],
    counts: dict[str, int],
) -> PackedObject:
    writer = ArchiveWriter(
        io.BytesIO(),
        secrets.recipient,
        pod_key,
        sequence=sequence,
        previous=previous.hash if previous else None,
    )
    for record in records:
        writer.add(*record)
    return writer.finish(manifest(sequence, refs, counts))


def ref(sequence: int, packed: PackedObject) -> ArchiveRef:
    return ArchiveRef(sequence, packed.name, packed.size, packed.hash)


def post(guid: str, text: str) -> tuple[str, str, Body]:
    data: dict[str, Json] = {"guid": guid, "text": text, "public": True}
    return "post", guid, {"entity_type": "status_message", "entity_data": data}


def build(
    secret: bytes = SECRET, pod_key: PodKey = POD_KEY
) -> tuple[Objects, Secrets, list[PackedObject], PackedObject]:
    """Two archives and a picture: the second changes a post, removes one, adds one."""
    secrets = Secrets.from_secret(secret)
    digest, size = blob_digest(BLOB_KEY, io.BytesIO(PICTURE))
    blob = pack_blob(io.BytesIO(), io.BytesIO(PICTURE), digest, secrets.recipient, pod_key)
    photo: Body = {"entity_type": "photo", "blob": {"name": blob.name, "size": size}}
    first = pack(
        secrets,
        pod_key,
        1,
        None,
        (),
        [post("p1", "grüß dich 🌻"), post("p2", "to be changed"), post("p3", "to be deleted"),
         ("photo", "f1", photo)],
        {"post": 3, "photo": 1},
    )  # fmt: skip
    second = pack(
        secrets,
        pod_key,
        2,
        first,
        (ref(1, first),),
        [post("p2", "changed"), ("post", "p3", None), post("p4", "مرحبا")],
        {"post": 3, "photo": 1},
    )
    objects = Objects({p.name: p.open().read() for p in (first, second, blob)})
    return objects, secrets, [first, second], blob
