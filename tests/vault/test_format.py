"""Format v1: what comes out is what went in, and nothing else ever does."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault import small_vault as small
from vaultd.errors import DamageError, ForgeryError, VaultdError
from vaultd.keys import PodKey, Secrets
from vaultd.records import Body, encode_record
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.restore.verify import verify_place
from vaultd.vault.blobs import read_blob
from vaultd.vault.coding.padme import padme
from vaultd.vault.compression import compress, decompress
from vaultd.vault.layout import FRAME_PLAIN
from vaultd.vault.reader import ArchiveReader
from vaultd.vault.writer import ArchiveWriter

PODS = (small.POD_KEY.public,)

bodies = st.dictionaries(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=300),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=8,
    ),
    max_size=6,
)


@given(st.lists(st.tuples(st.sampled_from(["post", "like"]), st.text(max_size=20), bodies)))
@settings(max_examples=60, deadline=None)
def test_an_archive_gives_back_exactly_its_records(records: list[tuple[str, str, Body]]) -> None:
    secrets = Secrets.from_secret(small.SECRET)
    packed = small.pack(secrets, small.POD_KEY, 1, None, (), list(records), {})
    place = small.Objects({packed.name: packed.open().read()})
    reader = ArchiveReader(place, packed.name, secrets, PODS)
    assert [(r.kind, r.id, r.body) for r in reader.records()] == records


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_records_that_archives_share_lie_where_they_were_put(data: st.DataObject) -> None:
    texts = st.text(max_size=20) | st.integers(1, 2 * FRAME_PLAIN).map("x".__mul__)
    some = st.lists(texts, max_size=4)
    runs = data.draw(st.lists(st.tuples(st.booleans(), some), max_size=6))
    secrets = Secrets.from_secret(small.SECRET)
    writer = ArchiveWriter(
        io.BytesIO(), secrets.recipient, small.POD_KEY, sequence=1, previous=None
    )
    for shared, run in runs:
        wires = tuple(encode_record("post", text[:5], {"text": text}) for text in run)
        if shared:
            writer.add_shared(wires)
        else:
            writer.add_encoded(*wires)
    packed = writer.finish(small.manifest(1, (), {}))
    place = small.Objects({packed.name: packed.open().read()})
    found = ArchiveReader(place, packed.name, secrets, PODS).records()
    assert [r.body for r in found] == [{"text": text} for _, run in runs for text in run]


@given(st.integers(0, 2**34))
def test_padme_never_shrinks_and_adds_at_most_12_percent(size: int) -> None:
    padded = padme(size)
    assert size <= padded <= size * 1.12 + 1
    assert padme(padded) == padded


@pytest.mark.parametrize("size", [0, 1, FRAME_PLAIN - 1, FRAME_PLAIN, FRAME_PLAIN + 1, 3_000_000])
def test_object_sizes_are_padme_sizes_and_big_records_span_frames(size: int) -> None:
    secrets = Secrets.from_secret(small.SECRET)
    text = "".join(chr(33 + (i * i + i // 7) % 90) for i in range(size))
    packed = small.pack(secrets, small.POD_KEY, 1, None, (), [("post", "x", {"text": text})], {})
    data = packed.open().read()
    assert len(data) == packed.size == padme(packed.size)
    place = small.Objects({packed.name: data})
    (record,) = ArchiveReader(place, packed.name, secrets, PODS).records()
    assert record.body == {"text": text}


def test_the_newest_version_counts_and_tombstones_remove() -> None:
    objects, secrets, _, _ = small.build()
    vault = open_with_kit(objects, secrets, PODS)
    texts = {
        r.id: r.body["entity_data"]["text"]  # type: ignore[index, call-overload]
        for r in Snapshot(vault, vault.at(None)).records({"post"})
    }
    assert texts == {"p1": "grüß dich 🌻", "p2": "changed", "p4": "مرحبا"}
    first = {r.id for r in Snapshot(vault, vault.at("1")).records({"post"})}
    assert first == {"p1", "p2", "p3"}
    assert vault.at("2026-11-01T12:00:00Z").entry.sequence == 1


def test_every_flipped_byte_anywhere_is_found_without_a_key() -> None:
    objects, _, _, _ = small.build()
    assert not verify_place(objects).problems
    for name, data in list(objects.data.items()):
        for position in range(len(data)):
            flipped = bytearray(data)
            flipped[position] ^= 1 << position % 8
            objects.data[name] = bytes(flipped)
            found = verify_place(objects).problems
            assert any(name in p.sentence or name == p.object for p in found), (name, position)
        objects.data[name] = data


def test_every_cut_and_every_repeated_byte_is_found() -> None:
    objects, _, _, _ = small.build()
    for name, data in list(objects.data.items()):
        for position in range(0, len(data), 7):
            for changed in (
                data[:position],
                data[:position] + data[position + 1 :],
                data[:position] + data[position : position + 1] + data[position:],
            ):
                objects.data[name] = changed
                assert verify_place(objects).problems, (name, position)
        objects.data[name] = data


def test_a_flip_never_restores_anything_wrong() -> None:
    objects, secrets, _, _ = small.build()
    vault = open_with_kit(objects, secrets, PODS)
    good = {(r.kind, r.id): r.body for r in Snapshot(vault, vault.at(None)).records()}
    old = {(r.kind, r.id): r.body for r in Snapshot(vault, vault.at("1")).records()}
    for name, data in list(objects.data.items()):
        for position in range(0, len(data), 3):
            flipped = bytearray(data)
            flipped[position] ^= 0x55
            objects.data[name] = bytes(flipped)
            try:
                damaged = open_with_kit(objects, secrets, PODS)
                snapshot = Snapshot(damaged, damaged.at(None))
                records = list(snapshot.records())
                for record in records:
                    if record.kind == "photo" and record.body is not None:
                        try:
                            picture = b"".join(snapshot.open_blob(record.body))
                        except VaultdError:
                            assert snapshot.damage
                        else:
                            assert picture == small.PICTURE
            except DamageError:
                continue
            for record in records:
                key = (record.kind, record.id)
                assert record.body in (good.get(key), old.get(key))
            assert damaged.problems or snapshot.damage
        objects.data[name] = data


def test_swapped_and_foreign_archives_are_named() -> None:
    objects, secrets, (first, second), _ = small.build()
    objects.data[first.name], objects.data[second.name] = (
        objects.data[second.name],
        objects.data[first.name],
    )
    assert {p.code for p in verify_place(objects).problems} >= {"damaged"}
    objects, secrets, (first, second), _ = small.build()
    other, _, (foreign, _), _ = small.build(b"another kit 1234")
    moved = f"{secrets.recipient.vault_id}/{foreign.name.split('/')[1]}"
    objects.data[moved] = other.data[foreign.name]
    assert any(moved in p.sentence for p in verify_place(objects).problems)


def test_a_forger_with_every_public_key_is_found() -> None:
    objects, secrets, (_, second), _ = small.build()
    forger = PodKey(b"f" * 32)
    forged = small.pack(
        secrets, forger, 3, second, (), [small.post("p1", "I owe you money")], {"post": 1}
    )
    objects.data[forged.name] = forged.open().read()
    vault = open_with_kit(objects, secrets, PODS)
    assert vault.at(None).entry.sequence == 2
    assert [p.code for p in vault.problems] == ["forged"]
    # Bare words pin no pod key: then two signers are refused, not guessed between.
    with pytest.raises(ForgeryError, match="--pod-key"):
        open_with_kit(objects, secrets, ())
    assert [p.code for p in verify_place(objects).problems] == ["forged"]


def test_an_archive_before_the_first_is_refused() -> None:
    objects, secrets, _, _ = small.build()
    forged = small.pack(secrets, PodKey(b"f" * 32), 0, None, (), [small.post("p1", "x")], {})
    objects.data[forged.name] = forged.open().read()
    vault = open_with_kit(objects, secrets, ())
    assert vault.at(None).entry.sequence == 2
    assert any("count from 1" in p.sentence for p in vault.problems)


def test_a_missing_archive_is_a_gap_and_the_rest_restores() -> None:
    objects, secrets, (first, _), _ = small.build()
    del objects.data[first.name]
    assert [p.code for p in verify_place(objects).problems] == ["gap"]
    vault = open_with_kit(objects, secrets, PODS)
    snapshot = Snapshot(vault, vault.at(None))
    assert {r.id for r in snapshot.records()} == {"p2", "p4"}
    assert len(snapshot.damage) == 1
    assert first.name in snapshot.damage[0]


def test_two_archives_of_one_sequence_are_a_fork_and_both_restore() -> None:
    objects, secrets, (first, _), _ = small.build()
    other = small.pack(
        secrets, small.POD_KEY, 2, first, (small.ref(1, first),), [small.post("p9", "b")], {}
    )
    objects.data[other.name] = other.open().read()
    assert "fork" in {p.code for p in verify_place(objects).problems}
    vault = open_with_kit(objects, secrets, PODS)
    assert [p.entry.sequence for p in vault.points] == [1, 2, 2]


def test_a_blob_under_another_blobs_name_is_refused() -> None:
    objects, secrets, _, blob = small.build()
    other = blob.name[:-1] + ("0" if blob.name[-1] != "0" else "1")
    objects.data[other] = objects.data[blob.name]
    with pytest.raises(DamageError, match="another blob"):
        list(read_blob(objects, other, secrets, [small.BLOB_KEY], PODS))


def test_bombs_do_not_unpack() -> None:
    bomb = compress(bytes(FRAME_PLAIN))
    assert len(decompress(bomb)) == FRAME_PLAIN
    with pytest.raises(DamageError):
        decompress(compress(bytes(FRAME_PLAIN + 1)))


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_as_an_archive_give_a_typed_error(data: bytes) -> None:
    secrets = Secrets.from_secret(small.SECRET)
    name = f"{secrets.recipient.vault_id}/0000000001-{'0' * 64}"
    for head in (b"", b"vaultd-archive\x00\x01", b"vaultd-archive\x00\x01\x10\x00\x00\x00"):
        with pytest.raises(VaultdError):
            ArchiveReader(small.Objects({name: head + data}), name, secrets, PODS)


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_any_bytes_as_records_give_records_or_a_typed_error(data: bytes) -> None:
    from vaultd.records import record_unpacker
    from vaultd.vault.coding.sections import SectionWriter, binding, new_file_key

    secrets = Secrets.from_secret(small.SECRET)
    packed = small.pack(secrets, small.POD_KEY, 1, None, (), [], {})
    reader = ArchiveReader(
        small.Objects({packed.name: packed.open().read()}), packed.name, secrets, PODS
    )
    spool, key = io.BytesIO(), new_file_key()
    section = SectionWriter(key, binding(b"records", b""), spool.write)
    section.write(b"\x01" + compress(data))
    section.write_padding(0)
    reader._key, reader._clear = key, b""
    reader._stream = type(reader._stream)(small.Objects({"x": spool.getvalue()}), "x")
    with pytest.raises(DamageError):
        list(reader.records())
    assert record_unpacker() is not None
