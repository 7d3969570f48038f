"""Small vaults that unpack to much: what a hostile pod, signed as it should be, could store."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from tests.vault import small_vault as small
from vaultd.backends.folder.backend import FolderBackend
from vaultd.keys import Secrets
from vaultd.records import Body, encode_record
from vaultd.vault.blobs import blob_digest, pack_blob
from vaultd.vault.coding.sections import SectionWriter, binding, new_file_key
from vaultd.vault.compression import compress
from vaultd.vault.file_key import wrap_key
from vaultd.vault.header import Header, encode_header
from vaultd.vault.layout import ARCHIVE_MAGIC, FRAME_PLAIN, FRAME_RECORDS, SIGNATURE_SIZE
from vaultd.vault.manifest import ArchiveRef, encode_manifest
from vaultd.vault.writer import PackedObject, archive_name, seal

MiB: Final = 1024 * 1024
SECRETS: Final = Secrets.from_secret(small.SECRET)


def raw(
    sequence: int, manifest: bytes, frames: Iterator[bytes] | tuple[bytes, ...]
) -> PackedObject:
    """An archive of these compressed frames, signed by the pod; nothing in it is checked."""
    key, spool, front = new_file_key(), io.BytesIO(), bytearray()
    header = Header(
        vault=bytes.fromhex(SECRETS.recipient.vault_id),
        sequence=sequence,
        previous=None,
        pod=small.POD_KEY.public,
        recipients=wrap_key(key, (SECRETS.recipient,)),
        needs=(),
    )
    clear = encode_header(ARCHIVE_MAGIC, header, small.POD_KEY)
    front += clear
    section = SectionWriter(key, binding(b"manifest", clear), front.extend)
    section.write(manifest, final=True)
    records = SectionWriter(key, binding(b"records", clear), spool.write)
    for frame in frames:
        records.write(bytes([FRAME_RECORDS]) + frame)
    records.write_padding(len(front) + SIGNATURE_SIZE)
    signature, digest = seal(bytes(front), spool, small.POD_KEY)
    name = archive_name(SECRETS.recipient.vault_id, sequence, digest)
    size = len(front) + records.size + SIGNATURE_SIZE
    return PackedObject(name, size, digest, bytes(front), spool, signature)


def manifest(sequence: int = 1, counts: dict[str, int] | None = None) -> bytes:
    return compress(encode_manifest(small.manifest(sequence, (), counts or {})))


def framed(plain: bytes) -> tuple[bytes, ...]:
    starts = range(0, len(plain), FRAME_PLAIN)
    return tuple(compress(plain[start : start + FRAME_PLAIN]) for start in starts)


def archives_of_manifests() -> list[PackedObject]:
    """Archives whose manifests claim half a million kinds."""
    counts = {f"{number:x}": 1 for number in range(500_000)}
    return [raw(n, manifest(n, counts), ()) for n in range(1, 9)]


def many_manifests() -> list[PackedObject]:
    """Manifests within their limits, but each full of other archives and kinds, and many."""
    found = []
    counts = {f"kind {number}": 1 for number in range(900)}
    for sequence in range(1, 400):
        refs = tuple(
            ArchiveRef(n, f"{sequence}-{n}", 1, bytes([n % 256, sequence % 256]) * 16)
            for n in range(900)
        )
        packed = encode_manifest(
            msgspec.structs.replace(
                small.manifest(sequence % 28 + 1, refs, counts), sequence=sequence
            )
        )
        found.append(raw(sequence, compress(packed), ()))
    return found


def endless_texts(frames: int = 8_000) -> list[PackedObject]:
    """Two gigabytes of posts from some hundred kilobytes."""
    post = encode_record("post", "p", {"text": "a" * (FRAME_PLAIN - 100)})
    frame = compress(post)
    return [raw(1, manifest(), (frame for _ in range(frames)))]


def endless_records() -> list[PackedObject]:
    """Ten million records of a few bytes, each with an id of its own, in two archives."""

    def records(kind: str) -> Iterator[bytes]:
        for start in range(0, 5_000_000, 20_000):
            yield compress(
                b"".join(encode_record(kind, f"{n:x}", None) for n in range(start, start + 20_000))
            )

    first = raw(1, manifest(), records("like"))
    refs = (small.ref(1, first),)
    second = compress(encode_manifest(small.manifest(2, refs, {})))
    return [first, raw(2, second, records("comment"))]


def nested_record() -> list[PackedObject]:
    """One record of sixteen million empty maps."""
    inner = b"\xdd" + (900_000).to_bytes(4, "big") + b"\x80" * 900_000
    plain = b"\x93\xa4post\xa1p\x81\xa4text" + bytes([0x9F]) + inner * 15
    return [raw(1, manifest(), framed(plain))]


def one_picture_many_times() -> list[PackedObject]:
    """A picture of 4 MB that thousands of photo records name."""
    picture = bytes(range(256)) * 16_384
    digest, size = blob_digest(small.BLOB_KEY, io.BytesIO(picture))
    blob = pack_blob(io.BytesIO(), io.BytesIO(picture), digest, SECRETS.recipient, small.POD_KEY)
    plain = b"".join(
        encode_record("photo", f"f{n}", {
            "entity_type": "photo",
            "entity_data": {"guid": f"f{n:016x}", "author": "ada@pod.example"},
            "blob": {"name": blob.name, "size": size},
        })
        for n in range(5_000)
    )  # fmt: skip
    return [raw(1, manifest(), framed(plain)), blob]


def many_comments() -> list[PackedObject]:
    """A post with ninety thousand comments on it, and a conversation of as many messages."""
    found = [
        encode_record("post", "p1", {
            "entity_type": "status_message",
            "entity_data": {"guid": "p1", "author": "ada@pod.example", "text": "x"},
        }),
        encode_record("conversation", "k1", {
            "entity_type": "conversation", "entity_data": {"guid": "k1", "subject": "x"},
        }),
    ]  # fmt: skip
    for number in range(45_000):
        for kind, parent in (("received_comment", "parent_guid"), ("message", "conversation_guid")):
            guid = f"{kind[:1]}{number:031x}"
            data: Body = {"guid": guid, "author": f"u{number}@x.example", "text": "hm",
                          parent: "p1" if kind == "received_comment" else "k1",
                          "parent_guid": "p1" if kind == "received_comment" else "k1",
                          "created_at": "2026-01-01T00:00:00Z"}  # fmt: skip
            found.append(encode_record(kind, guid, {"entity_type": "comment", "entity_data": data}))
    return [raw(1, manifest(), framed(b"".join(found)))]


BOMBS: Final[dict[str, Callable[[], list[PackedObject]]]] = {
    "kinds in manifests": archives_of_manifests,
    "many manifests": many_manifests,
    "endless texts": endless_texts,
    "endless records": endless_records,
    "nested record": nested_record,
    "many comments": many_comments,
    "one picture many times": one_picture_many_times,
}


def write(folder: Path, objects: list[PackedObject]) -> int:
    """Put objects into a folder; return their bytes."""
    place = FolderBackend(folder, create=True)
    for each in objects:
        place.create(each.name, each.open(), each.size)
    return sum(each.size for each in objects)
