"""The faulty place itself: quiet it is a place like any other, and its faults come again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.backends import conformance
from tests.faults.backend import FAULTS, Fate, Fault, FaultyBackend, Killed, as_stream
from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.memory import MemoryBackend
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError, PlaceFull


def place(*names: str) -> FaultyBackend:
    backend = FaultyBackend(MemoryBackend())
    for name in names:
        put(backend, name)
    return backend


def put(backend: Backend, name: str, data: bytes = b"content") -> None:
    backend.create(name, as_stream(data), len(data))


def names(backend: Backend, prefix: str = "") -> list[str]:
    return [item.name for item in backend.list(prefix)]


class TestQuiet(conformance.BackendConformance):
    @pytest.fixture
    def backend(self) -> Backend:
        return FaultyBackend(MemoryBackend())


def one(fault: Fault, amount: float = 0.0) -> dict[int, tuple[Fault, float]]:
    return {1: (fault, amount)}


def test_an_error_before_leaves_nothing_and_one_after_leaves_the_object() -> None:
    backend = place()
    backend.replay(one(Fault.BEFORE))
    with pytest.raises(PlaceError):
        put(backend, "a")
    assert names(backend) == []
    backend.replay(one(Fault.AFTER))
    with pytest.raises(PlaceError):
        put(backend, "a")
    with pytest.raises(ObjectExists):
        put(backend, "a")
    backend.replay(one(Fault.AFTER))
    with pytest.raises(PlaceError):
        backend.delete("a")
    assert names(backend) == []


def test_a_partial_write_is_absent_and_a_folder_keeps_its_temporary(tmp_path: Path) -> None:
    backend = FaultyBackend(FolderBackend(tmp_path / "place", create=True))
    backend.replay(one(Fault.PARTIAL, 0.5))
    with pytest.raises(PlaceError):
        put(backend, "vault/a", b"12345678")
    assert names(backend) == []
    (left,) = (tmp_path / "place" / "vault").iterdir()
    assert left.read_bytes() == b"1234"
    put(backend, "vault/a", b"12345678")
    assert backend.read("vault/a") == b"12345678"


def test_a_full_place_says_so_and_a_burst_lasts_several_calls() -> None:
    backend = place()
    backend.replay(one(Fault.FULL))
    with pytest.raises(PlaceFull):
        put(backend, "a")
    backend.replay(one(Fault.BURST, 0.3))
    for _ in range(3):
        with pytest.raises(PlaceError):
            names(backend)
    assert names(backend) == []


def test_listings_are_old_or_mixed_up_or_repeated() -> None:
    backend = place("v/a", "v/b", "v/c")
    backend.replay(one(Fault.STALE))
    assert names(backend) == ["v/a", "v/b"]
    backend.delete("v/a")
    backend.replay(one(Fault.STALE, 0.99))
    assert names(backend, "v/") == []
    backend.replay(one(Fault.STALE))
    assert names(backend, "v/") == ["v/a", "v/b", "v/c"]
    backend.replay(one(Fault.REPEATED))
    assert names(backend) == ["v/b", "v/b", "v/c", "v/c"]
    backend = place(*(f"n{number}" for number in range(10)))
    backend.replay(one(Fault.SHUFFLED, 0.5))
    mixed = names(backend)
    assert mixed != sorted(mixed)
    assert sorted(mixed) == names(backend)


def test_a_lost_delete_leaves_the_object() -> None:
    backend = place("a")
    backend.replay(one(Fault.LOST))
    backend.delete("a")
    assert names(backend) == ["a"]
    backend.delete("a")
    with pytest.raises(ObjectMissing):
        backend.read("a")


def test_reads_are_flipped_or_cut_and_waiting_takes_no_time() -> None:
    backend = place("a")
    backend.replay(one(Fault.FLIPPED, 0.99))
    wrong = backend.read("a")
    assert len(wrong) == 7
    assert sum((x ^ y).bit_count() for x, y in zip(wrong, b"content", strict=True)) == 1
    backend.replay(one(Fault.CUT, 0.5))
    assert backend.read("a") == b"con"
    backend.replay(one(Fault.SLOW, 0.5))
    assert backend.read("a") == b"content"
    assert backend.waited == 30


def test_a_kill_comes_before_or_after_the_effect() -> None:
    backend = place()
    backend.replay({}, kill=1)
    with pytest.raises(Killed):
        put(backend, "a")
    with pytest.raises(Killed):  # the dead do nothing more
        names(backend)
    backend.fate = Fate()
    backend.replay({}, kill=-2)
    put(backend, "b")
    with pytest.raises(Killed):
        put(backend, "c")
    backend.quiet()
    backend.fate = Fate()
    assert names(backend) == ["b", "c"]
    assert backend.bitten == {"killed before create": 1, "killed after create": 1}


def _use(backend: FaultyBackend) -> list[str]:
    seen = []
    for number in range(200):
        name = f"n{number % 20}"
        try:
            if number % 4 == 0:
                backend.create(name, io.BytesIO(b"x" * 50), 50)
            elif number % 4 == 1:
                seen.append(repr(names(backend, name)))
            elif number % 4 == 2:
                seen.append(backend.read(name).hex())
            else:
                backend.delete(f"n{number % 15}")
        except PlaceError as error:
            seen.append(str(error))
    return seen


def test_the_same_seed_and_its_record_give_the_same_faults_again() -> None:
    first, second, third = place(), place(), place()
    first.arm(7, 0.4)
    seen = _use(first)
    second.arm(7, 0.4)
    assert _use(second) == seen
    assert second.events == first.events
    third.replay(first.plan())
    assert _use(third) == seen
    drawn = {fault for fault, _ in first.plan().values()}
    assert drawn == {f for m in ("create", "read", "list", "delete") for f in FAULTS[m]}
    first.quiet()
    assert first.plan() == {}
