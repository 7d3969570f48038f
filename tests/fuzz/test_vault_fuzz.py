"""Hostile headers, manifests, frames, records, blobs: a typed error or a valid value."""

from __future__ import annotations

import io
import struct

import msgpack
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations import examples, hostile, peak, typed
from tests.vault import small_vault as small
from vaultd.errors import VaultdError
from vaultd.keys import Secrets
from vaultd.records import encode_record
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.restore.verify import Verification, verify_place, verify_records
from vaultd.vault.blobs import read_blob
from vaultd.vault.coding.sections import SectionWriter, binding, new_file_key
from vaultd.vault.compression import compress, decompress
from vaultd.vault.file_key import wrap_key
from vaultd.vault.header import Header, decode_header, encode_header
from vaultd.vault.layout import (
    ARCHIVE_MAGIC,
    BLOB_MAGIC,
    FRAME_PLAIN,
    MAX_MANIFEST,
    archive_name,
    blob_name,
    header_message,
    object_hash,
    whole_message,
)
from vaultd.vault.manifest import decode_manifest, encode_manifest

MIB = 2**20
SECRETS = Secrets.from_secret(small.SECRET)
VAULT = SECRETS.recipient.vault_id
PODS = (small.POD_KEY.public,)
OBJECTS, _, (FIRST, SECOND), BLOB = small.build()
ARCHIVES = [OBJECTS.data[FIRST.name], OBJECTS.data[SECOND.name]]
MANIFEST = encode_manifest(small.manifest(1, (small.ref(1, FIRST),), {"post": 3}))
RECORDS = [
    encode_record(*small.post("p1", "grüß dich")),
    encode_record("post", "p2", None),
    encode_record("photo", "f", {"blob": {"name": BLOB.name, "size": 9}, "list": [1, 2.5, None]}),
]


def _header(archive: bytes) -> bytes:
    """Return the msgpack of an object's clear header."""
    (length,) = struct.unpack_from("<I", archive, 16)
    return archive[20 : 20 + length]


def _signed(magic: bytes, body: bytes) -> bytes:
    clear = magic + struct.pack("<I", len(body)) + body
    return clear + small.POD_KEY.sign(header_message(clear))


def craft(manifest: bytes, chunks: list[bytes], clear: bytes = b"") -> tuple[small.Objects, str]:
    """Return an archive that a hostile pod could sign: any manifest frame, any chunks."""
    key = new_file_key()
    header = Header(
        bytes.fromhex(VAULT), 1, None, small.POD_KEY.public, wrap_key(key, (SECRETS.recipient,))
    )
    whole = io.BytesIO()
    clear = clear or encode_header(ARCHIVE_MAGIC, header, small.POD_KEY)
    whole.write(clear)
    section = SectionWriter(key, binding(b"manifest", clear), whole.write)
    section.write(manifest, final=True)
    section = SectionWriter(key, binding(b"records", clear), whole.write)
    for chunk in chunks:
        section.write(chunk)
    section.write_padding(0)
    digest = object_hash()
    digest.update(whole.getvalue())
    whole.write(small.POD_KEY.sign(whole_message(digest.digest())))
    digest = object_hash()
    digest.update(whole.getvalue())
    name = archive_name(VAULT, 1, digest.digest())
    return small.Objects({name: whole.getvalue()}), name


def _restore(objects: small.Objects) -> None:
    verify_place(objects)
    vault = open_with_kit(objects, SECRETS, PODS)
    verify_records(vault, Verification())
    for point in vault.points:
        snapshot = Snapshot(vault, point)
        for record in snapshot.records():
            if record.body is not None:
                try:
                    for _ in snapshot.open_blob(record.body):
                        pass
                except VaultdError:
                    continue


def _picture(objects: small.Objects, name: str) -> bytes:
    return b"".join(read_blob(objects, name, SECRETS, [small.BLOB_KEY], PODS))


@given(hostile(*ARCHIVES, OBJECTS.data[BLOB.name]), st.sampled_from([ARCHIVE_MAGIC, BLOB_MAGIC]))
@examples(300)
def test_any_header_is_read_or_refused(data: bytes, magic: bytes) -> None:
    typed(decode_header, magic, data, "x")
    typed(decode_header, magic, magic + data[16:], "x")


@given(hostile(*map(_header, ARCHIVES), _header(OBJECTS.data[BLOB.name])))
@examples(400)
def test_a_header_signed_by_a_hostile_pod_is_read_or_refused(body: bytes) -> None:
    for magic, data in ((ARCHIVE_MAGIC, ARCHIVES[0]), (BLOB_MAGIC, OBJECTS.data[BLOB.name])):
        clear = _signed(magic, body)
        found = typed(decode_header, magic, clear, "x")
        if found is None:
            continue
        header, _ = found
        whole = clear + data[len(clear) :]
        name = archive_name(header.vault.hex(), header.sequence % 10**10, bytes(32))
        typed(_restore, small.Objects({name: whole}))
        blob = blob_name(VAULT, header.blob or bytes(32))
        typed(_picture, small.Objects({blob: whole}), blob)


@given(hostile(MANIFEST))
@examples(500)
def test_any_manifest_is_read_or_refused(data: bytes) -> None:
    typed(decode_manifest, data, "x")


@given(hostile(compress(MANIFEST), compress(MANIFEST * 50), compress(b"".join(RECORDS))))
@examples(500)
def test_any_frame_unpacks_to_its_limit_at_most(data: bytes) -> None:
    plain = typed(decompress, data)
    assert plain is None or len(plain) <= FRAME_PLAIN


@given(hostile(MANIFEST), st.booleans())
@examples(150)
def test_an_archive_with_any_manifest_restores_or_says_why(data: bytes, packed: bool) -> None:
    objects, _ = craft(compress(data) if packed else data, [])
    typed(_restore, objects)


@given(st.lists(hostile(*RECORDS, b"".join(RECORDS)), max_size=3), hostile(compress(RECORDS[0])))
@examples(300)
def test_an_archive_with_any_records_restores_or_says_why(
    plains: list[bytes], frame: bytes
) -> None:
    chunks = [b"\x01" + compress(plain) for plain in plains]
    objects, _ = craft(compress(MANIFEST), [*chunks, b"\x01" + frame, frame])
    typed(_restore, objects)
    objects, _ = craft(compress(MANIFEST), chunks)
    typed(_restore, objects)


@given(hostile(*ARCHIVES), hostile(OBJECTS.data[BLOB.name]))
@examples(150)
def test_a_place_with_any_objects_is_verified_and_restored_or_says_why(
    archive: bytes, blob: bytes
) -> None:
    typed(_restore, small.Objects({**OBJECTS.data, SECOND.name: archive, BLOB.name: blob}))


def _bomb(plain: bytes) -> list[bytes]:
    return [
        b"\x01" + compress(plain[start : start + FRAME_PLAIN])
        for start in range(0, len(plain), FRAME_PLAIN)
    ]


# The format allows a record of 16 MiB, and a manifest of as much. Python needs 64 bytes and more
# for an empty list, so a record of nothing but these takes 100 times its size.
@pytest.mark.parametrize(
    ("plain", "bound"),
    [
        (b"\x93\xa1k\xa1i\x81\xa1a\xdb" + struct.pack(">I", 15 * MIB) + bytes(15 * MIB), 100),
        (b"\x93\xa1k\xa1i\x81\xa1a\xdd" + struct.pack(">I", 250_000) + b"\x90" * 250_000, 48),
        (b"\x93" * 2_000_000, 100),
        (b"\xdd\xff\xff\xff\xff" * 1000, 100),
        (b"\xdb" + struct.pack(">I", 17 * MIB) + bytes(17 * MIB), 100),
        (b"\x93\xa1k\xa1i" + b"\x81\xa1a" * 100_000, 100),
    ],
    ids=["text", "lists in a list", "depth", "huge list", "huge text", "deep maps"],
)
def test_record_bombs_take_bounded_memory(plain: bytes, bound: int) -> None:
    objects, _ = craft(compress(MANIFEST), _bomb(plain))
    assert peak(lambda: _restore(objects)) < bound * MIB


def test_frame_bombs_take_bounded_memory() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(100 * MIB))
    assert len(bomb) < MIB
    assert peak(lambda: decompress(bomb)) < MIB
    assert peak(lambda: decompress(bomb, MAX_MANIFEST)) < 2 * MAX_MANIFEST
    assert peak(lambda: typed(_restore, craft(bomb[:200_000], [b"\x01" + bomb[:200_000]])[0])) < (
        60 * MIB
    )


def test_a_manifest_bomb_takes_bounded_memory() -> None:
    fields = msgpack.unpackb(MANIFEST)
    counts = {f"{number:x}": 1 for number in range(150_000)}
    bomb = msgpack.packb({**fields, "counts": counts})
    assert len(bomb) < MAX_MANIFEST
    assert peak(lambda: typed(decode_manifest, bomb, "x")) < 40 * MIB
