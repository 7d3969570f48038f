"""`verify` without a key: what it reads, how often, and what it makes of a place in motion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vault import small_vault as small
from vaultd.backends.base import ObjectInfo
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backends.wrappers.retrying import RetryingBackend
from vaultd.errors import PlaceError
from vaultd.restore import verify
from vaultd.restore.forks import in_forks
from vaultd.restore.verify import Verification, verify_place
from vaultd.vault.header import verify as signature_holds


@dataclass
class Watched(small.Objects):
    """Counts reads and listings; `removed` vanish after the first listing."""

    reads: Counter[str] = field(default_factory=Counter)
    listings: list[str] = field(default_factory=list)
    removed: tuple[str, ...] = ()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        self.reads[name] += 1
        return super().read(name, offset, length)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        self.listings.append(prefix)
        yield from list(super().list(prefix))
        for name in self.removed:
            self.data.pop(name, None)


def several(vaults: int) -> dict[str, bytes]:
    data: dict[str, bytes] = {}
    for number in range(vaults):
        data |= small.build(b"%016d" % number)[0].data
    return data


def test_a_place_is_listed_once_and_each_small_object_read_once() -> None:
    place = Watched(several(30))
    found = verify_place(place)
    assert (found.vaults, found.archives, found.blobs, found.problems) == (30, 60, 30, [])
    assert found.bytes == sum(map(len, place.data.values()))
    assert place.listings == [""]
    assert place.reads == Counter(dict.fromkeys(place.data, 1))


def test_what_retention_removes_meanwhile_is_no_damage() -> None:
    objects, _, (first, second), blob = small.build()
    place = Watched(dict(objects.data), removed=(first.name, second.name, blob.name))
    found = verify_place(place)
    assert (found.archives, found.blobs, found.problems) == (0, 0, [])
    # What the newest archive stands on is still missed.
    place = Watched(dict(objects.data), removed=(first.name,))
    assert [problem.code for problem in verify_place(place).problems] == ["gap"]


def test_an_object_that_is_listed_and_never_there_is_missing() -> None:
    objects, _, (first, _), _ = small.build()

    class Phantom(small.Objects):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            yield from objects.list(prefix)

    place = Phantom({name: data for name, data in objects.data.items() if name != first.name})
    assert {(p.code, p.object) for p in verify_place(place).problems} == {("missing", first.name)}


def test_a_listing_in_disorder_changes_nothing() -> None:
    data = several(5)
    wanted = verify_place(small.Objects(data))

    class Disorder(small.Objects):
        def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
            items = list(super().list(prefix))
            yield from items[::2]
            yield from items[::-1]

    assert verify_place(Disorder(data)) == wanted


@pytest.mark.parametrize("room", [0, 1, 7, 8, 9])
def test_more_names_than_fit_in_memory_are_listed_by_vault(
    room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = several(5)
    wanted = verify_place(small.Objects(data))
    monkeypatch.setattr(verify, "_IN_MEMORY", room)
    place = Watched(data)
    assert verify_place(place) == wanted
    assert len(place.listings) == 1 + 5 - room // 3
    assert place.reads == Counter(dict.fromkeys(data, 1))


def test_a_vault_damaged_behind_its_header_still_has_its_chain_checked() -> None:
    objects, _, (first, second), _ = small.build()
    data = bytearray(objects.data[second.name])
    data[-70] ^= 1
    objects.data[second.name] = bytes(data)
    del objects.data[first.name]
    problems = verify_place(objects).problems
    assert [(p.code, p.object) for p in problems] == [
        ("gap", second.name),
        ("damaged", second.name),
    ]


def test_keys_and_signatures_of_another_length_hold_nothing() -> None:
    key, message = small.POD_KEY, b"message"
    signature = key.sign(message)
    assert signature_holds(key.public, message, signature)
    assert not signature_holds(key.public, message + b".", signature)
    for length in (0, 31, 33):
        assert not signature_holds(key.public.ljust(33, b".")[:length], message, signature)
    for length in (0, 63, 65):
        assert not signature_holds(key.public, message, signature.ljust(65, b".")[:length])


@dataclass(frozen=True)
class Damaged:
    """What happened to an object of `whole`."""

    name: str
    how: str
    where: int = 0

    def do(self, root: Path) -> None:
        file = root / self.name
        data = bytearray(file.read_bytes())
        if self.how == "removed":
            file.unlink()
        elif self.how == "stray":
            (file.parent / f"stray-{self.where}").write_bytes(data)
        elif self.how == "moved":
            # Under the name of an archive that another writer might have made.
            name = f"{self.where:010d}-{file.name[-64:]}"
            file.rename(file.parent / name)
        elif self.how == "flipped":
            data[self.where % len(data)] ^= 1 << self.where % 8
            file.write_bytes(data)
        else:
            file.write_bytes(data[: self.where % len(data)])


WHOLE = several(60)
damages = st.lists(
    st.builds(
        Damaged,
        st.sampled_from(sorted(WHOLE)),
        st.sampled_from(["removed", "stray", "moved", "flipped", "flipped", "cut"]),
        st.integers(0, 100_000),
    ),
    max_size=20,
    unique_by=lambda damage: damage.name,
)


@given(damages)
@settings(max_examples=20, deadline=None)
def test_forks_find_what_one_process_finds(damaged: list[Damaged]) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, data in WHOLE.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(data)
        for damage in damaged:
            damage.do(root)
        place = FolderBackend(root)
        data = {item.name: (root / item.name).read_bytes() for item in place.list()}
        wanted = verify_place(small.Objects(data))
        assert verify_place(place) == wanted
        assert verify_place(RetryingBackend(place, "a target of the config")) == wanted
        parts = [[each] for each in verify._listed(place)]
        found = Verification()
        for each in in_forks(partial(verify._verify_vaults, place), parts, Verification, 3):
            found.take(each)
        assert found == wanted
        harmless = {damage.name for damage in damaged if damage.how == "stray"}
        named = " ".join(problem.object + problem.sentence for problem in wanted.problems)
        for damage in damaged:
            if damage.name not in harmless and damage.how in ("flipped", "cut"):
                assert damage.name in named


def test_a_place_that_cannot_be_read_raises_what_one_process_raises(tmp_path: Path) -> None:
    for name, data in WHOLE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    name = sorted(WHOLE)[-1]
    (tmp_path / name).unlink()
    (tmp_path / name).symlink_to(tmp_path / sorted(WHOLE)[0])
    place = FolderBackend(tmp_path)
    listed = [(name.partition("/")[0], {name: 1}) for name in sorted(WHOLE)]
    with pytest.raises(PlaceError, match="symbolic link") as wanted:
        verify._verify_vaults(place, listed)
    with pytest.raises(PlaceError, match="symbolic link") as caught:
        list(verify._at_once(place, [[each] for each in listed], far=False))
    assert str(caught.value) == str(wanted.value)
