"""A place that means no good, as the source of copies: what it holds beside the vault is not passed on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.backup.world import POD_KEY, World
from vaultd.backends.base import Backend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.copying import copy_place
from vaultd.keys import PodKey
from vaultd.restore.verify import verify_place
from vaultd.vault.blobs import pack_blob
from vaultd.vault.clear_header import unknown_pod
from vaultd.vault.escrow import MAX_ESCROW, escrow_name

FORGER = PodKey(b"a forgers pod key, also 32 byte.")
PICTURE = b"picture" * 1000


class Endless(MemoryBackend):
    """Would give more of an object than it lists, as long as somebody reads."""

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        if length is None:
            raise AssertionError(f"{name} is read without a bound.")
        return super().read(name, offset, length)


@pytest.fixture
def first() -> Endless:
    return Endless()


@pytest.fixture
def world(tmp_path: Path, first: Endless) -> World:
    targets: dict[str, Backend] = {"first": first}
    world = World(tmp_path, targets)
    world.source.files["a.png"] = PICTURE
    world.alice.photo("f1", "a.png")
    world.run()
    return world


def strays(world: World, first: MemoryBackend) -> list[str]:
    vault = world.secrets["alice"].recipient.vault_id
    large = b"x" * (MAX_ESCROW + 1)
    put = {
        f"{vault}/escrow-{'a' * 64}": b"another name",
        escrow_name(vault, large): large,
        f"{vault}/whatever": b"w" * 5_000_000,
        f"{vault}/deep/er": b"d",
        f"{vault}/blob-short": b"b",
    }
    first.objects |= put
    return list(put)


def test_only_what_belongs_to_a_vault_is_copied(world: World, first: Endless) -> None:
    vault = world.secrets["alice"].recipient.vault_id
    sealed = escrow_name(vault, b"a sealed secret")
    first.objects[sealed] = b"a sealed secret"
    sound = dict(first.objects)
    bad = strays(world, first)
    copy = MemoryBackend()
    report = copy_place(first, copy)
    assert copy.objects == sound
    assert len(report.problems) == len(bad)
    assert all(any(name in p for p in report.problems) for name in bad)


def test_a_target_that_catches_up_takes_no_strays_and_is_whole(
    world: World, first: Endless
) -> None:
    bad = strays(world, first)
    second = world.targets["second"] = MemoryBackend()
    assert not world.run().failed
    assert not set(bad) & set(second.objects)
    assert world.restored(target="second").keys() == world.alice.content().keys()
    assert verify_place(second).problems == []


def test_a_picture_that_another_key_signed_is_not_passed_on(world: World, first: Endless) -> None:
    secrets = world.secrets["alice"]
    (name,) = (n for n in first.objects if "/blob-" in n)
    digest = bytes.fromhex(name.rpartition("-")[2])
    other = io.BytesIO(b"another" * 1000)
    forged = pack_blob(io.BytesIO(), other, digest, secrets.recipient, FORGER)
    assert forged.name == name
    assert forged.size == len(first.objects[name])
    first.objects[name] = forged.open().read()
    second = MemoryBackend()
    world.targets["second"] = second
    world.alice.put("post", "p2", {"text": "two"})
    report = world.run()
    assert not report.failed
    assert str(unknown_pod(name, FORGER.public)) in "".join(report.accounts[0].notes)
    assert POD_KEY.public in second.objects[name]
    snapshot = world.snapshot(target="second")
    (photo,) = snapshot.records({"photo"})
    assert photo.body is not None
    assert b"".join(snapshot.open_blob(photo.body)) == PICTURE
