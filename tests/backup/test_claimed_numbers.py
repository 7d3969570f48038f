"""A vault's place may list what it likes: names prove nothing and size nothing."""

from __future__ import annotations

import io
import tracemalloc

import pytest

from tests.backup.test_run import archives
from tests.backup.world import POD_KEY, World
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import DamageError, PlaceError
from vaultd.keys import PodKey, Secrets
from vaultd.vault import listing
from vaultd.vault.header import Header, Wrapped, encode_header
from vaultd.vault.layout import ARCHIVE_MAGIC, archive_name
from vaultd.vault.listing import open_vault

FORGER = PodKey(b"a forgers pod key, also 32 byte.")


def put(place: MemoryBackend, secrets: Secrets, sequence: int, data: bytes = b"junk") -> str:
    name = archive_name(secrets.recipient.vault_id, sequence, b"j" * 32)
    place.create(name, io.BytesIO(data), len(data))
    return name


def header(secrets: Secrets, sequence: int, pod: PodKey, needs: tuple[int, ...] | None) -> bytes:
    return encode_header(
        ARCHIVE_MAGIC,
        Header(
            vault=bytes.fromhex(secrets.recipient.vault_id),
            sequence=sequence,
            previous=b"p" * 32,
            pod=pod.public,
            recipients=(Wrapped("x25519", b"b" * 80),),
            needs=needs,
        ),
        pod,
    )


@pytest.mark.parametrize("sequence", [2, 100_000_000, 9_999_999_999])
def test_a_listed_name_costs_a_fresh_vault_neither_memory_nor_its_number(
    world: World, sequence: int
) -> None:
    put(world.memory, world.secrets["alice"], sequence)
    tracemalloc.start()
    report = world.run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50_000_000
    assert len(report.changed) == 1
    assert "did not sign" in report.accounts[0].notes[0]
    assert archives(world.memory)[0] == 1
    world.alice.put("post", "p2", {"text": "two"})
    assert world.run().changed
    assert archives(world.memory)[:2] == [1, 2]
    assert world.restored() == world.alice.content()


@pytest.mark.parametrize("sequence", [2, 100_000_000, 9_999_999_999])
@pytest.mark.parametrize("signed", [False, True])
def test_a_listed_name_ahead_of_ours_does_not_start_the_vault_over(
    world: World, sequence: int, signed: bool
) -> None:
    world.run()
    secrets = world.secrets["alice"]
    put(world.memory, secrets, sequence,
        header(secrets, sequence, FORGER, (1,)) if signed else b"junk")  # fmt: skip
    for turn in range(3):
        world.alice.put("post", f"p{turn}", {"text": f"turn {turn}"})
        (account,) = world.run().accounts
        assert "two writers" not in "".join(account.notes)
        # Nobody looks at numbers that begin with 1 to 9; those behind ours matter no more.
        assert ("did not sign" in "".join(account.notes)) == (
            sequence == 100_000_000 or (sequence == 2 and turn < 2)
        )
    vault = open_vault(world.memory, secrets.recipient.vault_id, whole=(POD_KEY.public,))
    ours = [e for e in vault.entries if e.header is not None and e.header.pod == POD_KEY.public]
    assert [e.sequence for e in ours] == [1, 2, 3, 4]


def test_our_own_archive_under_the_hash_of_another_is_not_taken_for_another_writers(
    world: World,
) -> None:
    world.run()
    secrets = world.secrets["alice"]
    (name,) = (n for n in world.memory.objects if "/0000000001-" in n)
    put(world.memory, secrets, 1, world.memory.objects[name])
    world.alice.put("post", "p2", {"text": "two"})
    world.run()
    point = world.state.vaults.point(world.state.enrollments(["alice"])[0].id, "main")
    assert point is not None
    assert point.last is not None
    assert point.last.needs == (1,)


def test_a_number_that_an_older_vaultd_believed_is_given_up(world: World) -> None:
    world.run()
    account = world.state.enrollments(["alice"])[0].id
    world.state.vaults.restart(account, "main", 9_999_999_999)
    world.alice.put("post", "p2", {"text": "two"})
    assert world.run().changed
    assert archives(world.memory) == [1, 2]
    assert world.restored() == world.alice.content()


def test_what_headers_of_others_claim_to_need_is_told_as_ranges_and_takes_no_memory() -> None:
    secrets = Secrets.from_secret(b"alice...........")
    place = MemoryBackend()
    many = tuple(range(5_000_000_000, 5_000_002_000, 2))[:1000]
    for number in range(300):
        put(place, secrets, 6_000_000_000 + number,
            header(secrets, 6_000_000_000 + number, FORGER, many))  # fmt: skip
    tracemalloc.start()
    vault = open_vault(place, secrets.recipient.vault_id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000
    (gap,) = (p for p in vault.problems if p.code == "gap")
    assert gap.sentence.startswith("Archives 5000000000, 5000000002, ")
    assert "and 980 more" in gap.sentence
    assert len(gap.sentence) < 1000


def test_names_of_archives_cost_little_memory_each() -> None:
    secrets, number = Secrets.from_secret(b"alice..........."), 20_000
    vault_id = secrets.recipient.vault_id
    names = {f"{vault_id}/{each:010d}-{each:064x}": 9 for each in range(1, number + 1)}

    def junk(name: str, _size: int) -> Header:
        raise DamageError(f"{name} is junk.")

    tracemalloc.start()
    vault = listing.arrange(vault_id, names, junk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(vault.entries) == number
    assert peak < 400 * number


def test_a_place_that_lists_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets.from_secret(b"alice...........")
    monkeypatch.setattr(listing, "MAX_OBJECTS", 20)
    place = MemoryBackend()
    for number in range(20):
        put(place, secrets, 1 + number)
    found = open_vault(place, secrets.recipient.vault_id)
    assert len(found.entries) == 20
    put(place, secrets, 21)
    with pytest.raises(PlaceError, match="more than 20 objects"):
        open_vault(place, secrets.recipient.vault_id)
