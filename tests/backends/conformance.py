"""What every backend must do. A backend's tests inherit this and give a `backend` fixture."""

from __future__ import annotations

import io
import random
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from vaultd.backends.base import MAX_NAME, Backend, ObjectInfo
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError, UsageError

VAULT = "0123456789abcdef0123456789abcdef"
ILLEGAL = [
    "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".tmp-1", "a.b", "A", "ä",
    "a b", "a\nb", "a\n", "a\0b", "a\\b", "a%20b", "a" * (MAX_NAME + 1),
]  # fmt: skip


class TroubleError(Exception):
    """What the caller's own data raises."""


class FailingReader(io.RawIOBase):
    """Gives `good` bytes, then raises."""

    def __init__(self, good: int, error: Exception) -> None:
        super().__init__()
        self.left, self.error = good, error

    def read(self, size: int = -1) -> bytes:
        if not self.left:
            raise self.error
        piece = b"x" * min(self.left, size if size >= 0 else self.left)
        self.left -= len(piece)
        return piece


class TricklingReader(io.RawIOBase):
    """Gives a few bytes at a time, as sockets and pipes do."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.file = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(min(size, 1000) if size >= 0 else 1000)


def put(backend: Backend, name: str, content: bytes) -> None:
    backend.create(name, io.BytesIO(content), len(content))


def names(backend: Backend, prefix: str = "") -> list[str]:
    return [info.name for info in backend.list(prefix)]


class BackendConformance:
    """The contract of vaultd.backends.base.Backend, statement by statement."""

    def test_what_was_created_is_read_back_and_listed(self, backend: Backend) -> None:
        put(backend, f"{VAULT}/0000000001-ab", b"hello")
        assert backend.read(f"{VAULT}/0000000001-ab") == b"hello"
        assert list(backend.list()) == [ObjectInfo(f"{VAULT}/0000000001-ab", 5)]

    def test_nothing_stored_is_ever_replaced(self, backend: Backend) -> None:
        put(backend, "a/b", b"first")
        for content in (b"second", b"first", b""):
            with pytest.raises(ObjectExists):
                put(backend, "a/b", content)
        assert backend.read("a/b") == b"first"
        assert names(backend) == ["a/b"]

    @pytest.mark.parametrize("good", [0, 1, 3_000_000])
    @pytest.mark.parametrize("error", [TroubleError("mine"), OSError(5, "input/output error")])
    def test_a_reader_that_fails_leaves_nothing_and_its_error_is_passed_on(
        self, backend: Backend, good: int, error: Exception
    ) -> None:
        with pytest.raises(type(error)) as raised:
            backend.create("a/b", FailingReader(good, error), 4_000_000)
        assert raised.value is error
        assert names(backend) == []
        with pytest.raises(ObjectMissing):
            backend.read("a/b")
        put(backend, "a/b", b"second try")
        assert backend.read("a/b") == b"second try"

    @pytest.mark.parametrize("promised", [0, 9, 11, 5_000_000])
    def test_data_of_another_size_than_promised_leaves_nothing(
        self, backend: Backend, promised: int
    ) -> None:
        with pytest.raises(PlaceError):
            backend.create("a/b", io.BytesIO(b"0123456789"), promised)
        assert names(backend) == []

    def test_of_parallel_creators_exactly_one_wins_and_its_bytes_stay(
        self, backend: Backend
    ) -> None:
        creators = 8
        for turn in range(10):
            name, barrier = f"race/{turn}", Barrier(creators)

            def create(number: int, name: str = name, barrier: Barrier = barrier) -> bool:
                content = bytes([number]) * 50_000
                barrier.wait()
                try:
                    put(backend, name, content)
                except ObjectExists:
                    return False
                return True

            with ThreadPoolExecutor(creators) as pool:
                won = list(pool.map(create, range(creators)))
            assert won.count(True) == 1
            assert backend.read(name) == bytes([won.index(True)]) * 50_000
        assert len(names(backend)) == 10

    def test_ranges_end_at_the_end(self, backend: Backend) -> None:
        content = bytes(range(256))
        put(backend, "a", content)
        for offset, length in [(0, 0), (0, 1), (10, 20), (250, 6), (250, 100), (256, 1), (999, 5)]:
            assert backend.read("a", offset, length) == content[offset : offset + length]
        assert backend.read("a", 200) == content[200:]
        assert backend.read("a", 300) == b""

    def test_an_empty_object_is_an_object(self, backend: Backend) -> None:
        put(backend, "empty", b"")
        assert backend.read("empty") == b""
        assert list(backend.list()) == [ObjectInfo("empty", 0)]

    @pytest.mark.parametrize("reader", [io.BytesIO, TricklingReader])
    def test_five_megabytes_come_back_the_same(
        self, backend: Backend, reader: type[io.BytesIO]
    ) -> None:
        content = random.Random(5).randbytes(5_000_001)
        backend.create("big", reader(content), len(content))
        assert backend.read("big") == content
        assert backend.read("big", 4_999_999, 10) == content[4_999_999:]
        assert list(backend.list()) == [ObjectInfo("big", 5_000_001)]

    def test_lists_are_sorted_by_name_and_kept_to_the_prefix(self, backend: Backend) -> None:
        made = ["b/2", "b/10", "b/1", "b-a", "b_a", "a", "c/d/e", "c/d-e", "bb/1", f"{VAULT}/1"]
        for name in made:
            put(backend, name, b"x")
        assert names(backend) == sorted(made)
        for prefix in ["b", "b/", "b/1", "c/d", "c/d/", f"{VAULT}/", "nothing", "a/", "a", "/", ".",
                       "../", "b//"]:  # fmt: skip
            assert names(backend, prefix) == sorted(n for n in made if n.startswith(prefix))

    def test_deleting_twice_is_fine_and_makes_room_for_the_name(self, backend: Backend) -> None:
        put(backend, "a/b", b"first")
        put(backend, "a/c", b"stays")
        for _ in range(2):
            backend.delete("a/b")
        backend.delete("never/was/there")
        backend.delete("a")
        assert names(backend) == ["a/c"]
        with pytest.raises(ObjectMissing):
            backend.read("a/b")
        put(backend, "a/b", b"second")
        assert backend.read("a/b") == b"second"

    def test_what_is_missing_is_called_missing(self, backend: Backend) -> None:
        put(backend, "a/b", b"x")
        for name in ("b", "a", "a/c", "a/b/c", "x/y/z"):
            with pytest.raises(ObjectMissing, match=name):
                backend.read(name)

    @pytest.mark.parametrize("length", [1, MAX_NAME])
    def test_names_up_to_the_limit_are_fine(self, backend: Backend, length: int) -> None:
        put(backend, "a" * length, b"x")
        assert names(backend) == ["a" * length]
        assert backend.read("a" * length) == b"x"

    def test_deep_names_are_fine(self, backend: Backend) -> None:
        name = "/".join("a" * (MAX_NAME // 2))
        put(backend, name, b"x")
        assert names(backend) == [name]

    @pytest.mark.parametrize("name", ILLEGAL)
    def test_illegal_names_are_refused_by_every_verb(self, backend: Backend, name: str) -> None:
        with pytest.raises(UsageError):
            put(backend, name, b"x")
        with pytest.raises(UsageError):
            backend.read(name)
        with pytest.raises(UsageError):
            backend.delete(name)
        assert names(backend) == []

    def test_a_probe_finds_all_fine_and_leaves_nothing(self, backend: Backend) -> None:
        put(backend, "a/b", b"x")
        findings = backend.probe()
        assert findings
        assert all(finding.fine and finding.sentence for finding in findings)
        assert names(backend) == ["a/b"]

    def test_space_is_known_or_said_to_be_unknown(self, backend: Backend) -> None:
        space = backend.space()
        assert (space.total is None) == (space.free is None)
        if space.total is not None and space.free is not None:
            assert 0 <= space.free <= space.total
