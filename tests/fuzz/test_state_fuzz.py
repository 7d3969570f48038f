"""Hostile escrows, and damaged rows of the state database: a typed error or a valid value."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgpack
import nacl.public
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations import examples, hostile, peak, typed
from tests.vault.small_vault import Objects
from vaultd.backup.user_targets.run_time import belongs, unsealed
from vaultd.errors import DamageError
from vaultd.keys import SealingKey, Secrets
from vaultd.restore.opening.account_vault import open_account
from vaultd.state.database import FILE_NAME
from vaultd.state.index.digests import Digests
from vaultd.state.index.vault_index import VaultIndex
from vaultd.state.own_targets import SealedTarget
from vaultd.state.store import State
from vaultd.state.tallies import Counters, Tally
from vaultd.state.vaults.photos import KnownPhoto, PhotoCache
from vaultd.state.vaults.points import StoredArchive, pack_archives, unpack_archives
from vaultd.vault.escrow import escrow_name, open_secret, seal_secret

MIB = 2**20
PODMIN = Secrets.from_secret(b"the podmin's own")
DIGESTS = Digests(b"s" * 32)
VAULT = "ab" * 16
PLAIN = msgpack.packb({"version": 1, "account": "a@b", "guid": "g" * 32, "secret": b"s" * 16})
SEALED = seal_secret(PODMIN.recipient, "a@b", "g" * 32, b"s" * 16)
ROWS = pack_archives(tuple(StoredArchive(n, f"{VAULT}/{n}", n, b"h" * 32) for n in (1, 2**40)))
HEAD = msgpack.packb((5, "little", [], 20_000_000, 0, [1]))


def _index() -> bytes:
    index = VaultIndex(DIGESTS)
    index.begin(1, (), alone=True)
    for number in range(20):
        index.observe("post", f"{number:032x}", number)
        index.observe("person", f"somebody{number}@pod", number, passive=True)
    index.observe("like", "x" * 300, 1)
    return b"".join(index.dump())


def _photos() -> bytes:
    cache = PhotoCache(DIGESTS)
    for number in range(9):
        cache.put(f"f{number}", "a.png", KnownPhoto(bytes([number]) * 32, 7, number, 1))
    return cache.dump()


def _unpacked(data: bytes) -> bytes:
    packed = b"".join(DIGESTS.seal.open_all([data]))
    return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed))


def _packed(plain: bytes) -> bytes:
    return DIGESTS.seal.seal(zstandard.ZstdCompressor(level=1).compress(plain))


INDEX, PHOTOS = _index(), _photos()


def _seal(plain: bytes) -> bytes:
    return nacl.public.SealedBox(nacl.public.PublicKey(PODMIN.recipient.box)).encrypt(plain)


def _open(sealed: bytes) -> None:
    typed(open_secret, sealed, PODMIN)
    place = Objects({escrow_name(VAULT, sealed): sealed, f"{VAULT}/escrow-x": b""})
    for account in (None, "a", "a@b"):
        typed(lambda who: open_account(place, PODMIN, (), account=who), account)


@given(hostile(SEALED))
@examples(150)
def test_any_escrow_object_is_opened_or_refused(sealed: bytes) -> None:
    _open(sealed)


@given(hostile(PLAIN, max_size=3000))
@examples(200)
def test_what_a_stranger_seals_to_the_podmin_is_opened_or_refused(plain: bytes) -> None:
    _open(_seal(plain))


def _nested(depth: int) -> bytes:
    return b"\x91" * depth + b"\x90"


@pytest.mark.parametrize("depth", [900, 3900])
def test_a_nested_escrow_is_refused(depth: int) -> None:
    _open(_seal(_nested(depth)))


@given(hostile(ROWS))
@examples(400)
def test_any_archive_list_is_read_or_refused(data: bytes) -> None:
    typed(unpack_archives, data)


def _use_index(data: bytes) -> None:
    index = VaultIndex.load(DIGESTS, [data[:50], data[50:]])
    index.begin(99, (), alone=False)
    index.observe("post", f"{3:032x}", 3)
    index.observe("post", "new", 3)
    for gone in index.missing():
        assert gone.kind
    index.counts()
    assert list(index.dump())


def _use_photos(data: bytes) -> None:
    cache = PhotoCache(DIGESTS, data)
    for number in range(9):
        cache.get(f"f{number}", "a.png")
    cache.dump(everything=True)


@given(hostile(INDEX))
@examples(200)
def test_any_index_is_used_or_refused(data: bytes) -> None:
    typed(_use_index, data)


@given(hostile(_unpacked(INDEX)))
@examples(200)
def test_any_unpacked_index_is_used_or_refused(plain: bytes) -> None:
    typed(_use_index, _packed(plain))


@given(hostile(PHOTOS))
@examples(200)
def test_any_picture_list_is_used_or_refused(data: bytes) -> None:
    typed(_use_photos, data)


@given(st.binary(max_size=300))
@examples(100)
def test_any_unpacked_picture_list_is_used_or_refused(plain: bytes) -> None:
    typed(_use_photos, _packed(plain))


@pytest.mark.parametrize(
    "plain",
    [
        b"\xff\xff\xff\x0f",
        len(HEAD).to_bytes(4, "little") + HEAD,
    ],
    ids=["head", "count"],
)
def test_an_index_takes_no_more_memory_than_it_has_bytes(plain: bytes) -> None:
    data = _packed(plain)
    assert peak(lambda: _use_index(data)) < 16 * MIB


KEY = SealingKey(bytes(range(32)))


@given(st.binary(max_size=300))
@examples(300)
def test_credentials_that_are_none_open_as_a_typed_error(plain: bytes) -> None:
    row = SealedTarget("g", "u", False, KEY.seal(plain, belongs("g", "u")), KEY.id, "t")
    with suppress(DamageError):
        assert unsealed(KEY, row).url
    broken = replace(row, sealed=plain)
    with pytest.raises(DamageError):
        unsealed(KEY, broken)


def test_a_tally_that_is_damaged_counts_anew(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.tallies.save({"main": Tally(Counters({"read": 3}), free=5)})
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        database.execute("UPDATE tally SET counters = x'c1'")
    database.close()
    found = state.tallies.all()["main"]
    assert (found.counters, found.free) == (Counters(), 5)
