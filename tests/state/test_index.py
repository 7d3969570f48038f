"""The index: what changed and what is missing, in little memory."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.errors import DamageError
from vaultd.state.index.digests import Digests
from vaultd.state.index.packed_ids import pack_id, pack_ids, unpack_ids
from vaultd.state.index.vault_index import Change, VaultIndex
from vaultd.state.vaults.photos import KnownPhoto, PhotoCache

DIGESTS = Digests(b"s" * 32)
IDS = st.one_of(
    st.text(max_size=300),
    st.text("0123456789abcdef", min_size=32, max_size=32),
    st.text("0123456789ABCDEF", min_size=32, max_size=32),
    st.just("x" * 70_000),
).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
CONTENT = st.dictionaries(
    st.tuples(st.sampled_from(["post", "like", "person"]), IDS),
    st.tuples(st.integers(0, 2**64 - 1), st.booleans()),
    max_size=40,
)


def new_index() -> VaultIndex:
    index = VaultIndex(DIGESTS)
    index.begin(1, (), alone=True)
    return index


@given(CONTENT, CONTENT)
def test_two_runs_tell_exactly_what_is_different(
    old: dict[tuple[str, str], tuple[int, bool]], new: dict[tuple[str, str], tuple[int, bool]]
) -> None:
    index = new_index()
    for (kind, record_id), (body, passive) in old.items():
        assert index.observe(kind, record_id, body, passive) is Change.ADDED
        assert index.observe(kind, record_id, body, passive) is Change.REPEATED
    assert list(index.missing()) == []
    index = VaultIndex.load(DIGESTS, index.dump())
    index.begin(2, (), alone=False)
    for (kind, record_id), (body, passive) in new.items():
        before = old.get((kind, record_id))
        expected = (
            Change.ADDED if before is None else Change.SAME if before[0] == body else Change.CHANGED
        )
        assert index.observe(kind, record_id, body, passive) is expected
    missing = {(gone.kind, gone.id): gone.passive for gone in index.missing()}
    assert missing == {key: old[key][1] for key in old if key not in new}
    counts: dict[str, int] = {}
    for kind, _ in new:
        counts[kind] = counts.get(kind, 0) + 1
    assert index.counts() == counts
    again = VaultIndex.load(DIGESTS, index.dump())
    # Tombstones have a home too, as long as the first archive holds something that counts.
    stands = any(old.get(key, (None,))[0] == body for key, (body, _) in new.items())
    assert len(again) == len(old | new if stands else new)
    assert sum(again.sizes().values()) == len(again)
    again.begin(3, (), alone=False)
    for (kind, record_id), (body, passive) in new.items():
        assert again.observe(kind, record_id, body, passive) is Change.SAME
    assert list(again.missing()) == []


@given(CONTENT, CONTENT, st.booleans())
def test_many_at_once_are_seen_as_one_by_one(
    old: dict[tuple[str, str], tuple[int, bool]],
    new: dict[tuple[str, str], tuple[int, bool]],
    twice: bool,
) -> None:
    one, many = new_index(), new_index()
    for step, content in enumerate((old, new), 1):
        if step == 2:
            one, many = (VaultIndex.load(DIGESTS, index.dump()) for index in (one, many))
            for index in (one, many):
                index.begin(2, {1}, alone=False)
        for group in {(kind, passive) for (kind, _), (_, passive) in content.items()}:
            kind, passive = group
            some = [(i, b) for (k, i), (b, p) in content.items() if (k, p) == group]
            some += some[:1] * twice
            changes = [one.observe(kind, i, b, passive) for i, b in some]
            found = many.observe_all(kind, [i for i, _ in some], [b for _, b in some], passive)
            told = {
                Change.ADDED: found.added,
                Change.CHANGED: found.changed,
                Change.MOVED: found.moved,
                Change.REPEATED: found.repeated,
            }
            for change, positions in told.items():
                assert list(positions) == [n for n, c in enumerate(changes) if c is change]
        assert [*one.missing()] == [*many.missing()]
        assert one.counts() == many.counts()
        assert b"".join(one.dump()) == b"".join(many.dump())


@given(st.lists(IDS, max_size=40) | st.lists(st.uuids().map(lambda u: u.hex), max_size=40))
def test_ids_packed_together_are_those_packed_alone(ids: list[str]) -> None:
    packed = pack_ids(ids)
    assert bytes(packed) == b"".join(pack_id(each) for each in ids)
    assert list(unpack_ids(bytearray(packed))) == ids


def test_ids_that_are_no_text_are_noticed_before_any_is_noted() -> None:
    index = new_index()
    with pytest.raises(UnicodeEncodeError):
        index.observe_all("post", ["fine", "\ud800"], [1, 2])
    assert len(index) == 0
    assert index.observe("post", "fine", 1) is Change.ADDED


def test_kept_records_and_kinds_are_not_missing() -> None:
    index = new_index()
    for number in range(3):
        index.observe("post", f"p{number}", 1)
        index.observe("like", f"l{number}", 1)
    index = VaultIndex.load(DIGESTS, index.dump())
    index.keep("post", "p1")
    index.keep("post", "never seen")
    index.keep_kind("like")
    index.keep_kind("never seen")
    assert [gone.id for gone in index.missing()] == ["p0", "p2"]


@pytest.mark.parametrize("data", [b"junk", b"\x28\xb5\x2f\xfd junk", b"\x00"])
def test_a_damaged_index_is_named(data: bytes) -> None:
    with pytest.raises(DamageError, match="no vault is affected"):
        VaultIndex.load(DIGESTS, [data])


def test_every_cut_of_an_index_is_noticed() -> None:
    index = new_index()
    index.observe("post", "a" * 32, 1)
    data = b"".join(index.dump())
    for end in range(1, len(data)):
        with pytest.raises(DamageError):
            VaultIndex.load(DIGESTS, [data[:end]])


def test_a_hundred_thousand_records_take_less_than_seven_megabytes() -> None:
    index = new_index()
    for number in range(100_000):
        index.observe("comment", f"{number:032x}", number)
    data = list(index.dump())
    del index
    tracemalloc.start()
    index = VaultIndex.load(DIGESTS, data)
    for number in range(100_000):
        assert index.observe("comment", f"{number:032x}", number + 1) is Change.CHANGED
    for _ in index.dump():
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 7 * 2**20


def test_the_state_database_does_not_tell_what_bodies_were() -> None:
    one, two = Digests(b"1" * 32), Digests(b"2" * 32)
    assert one.body(b"text") != two.body(b"text")
    assert one.key("post", "a") != two.key("post", "a")


def test_a_picture_list_keeps_what_was_used() -> None:
    photo = KnownPhoto(b"d" * 32, 7, 123, 2**63)
    cache = PhotoCache(DIGESTS)
    cache.put("f1", "a.png", photo)
    cache.put("f2", "b.png", photo)
    cache.put("f2", "b.png", KnownPhoto(b"e" * 32, 8, 124, 5))
    cache = PhotoCache(DIGESTS, cache.dump())
    assert not cache.dirty
    assert cache.get("f1", "a.png") == photo
    assert cache.get("f1", "other.png") is None
    everything = PhotoCache(DIGESTS, cache.dump(everything=True))
    assert everything.get("f2", "b.png") == KnownPhoto(b"e" * 32, 8, 124, 5)
    used = PhotoCache(DIGESTS, cache.dump())
    assert used.get("f1", "a.png") == photo
    assert used.get("f2", "b.png") is None


def test_a_damaged_picture_list_is_named() -> None:
    with pytest.raises(DamageError):
        PhotoCache(DIGESTS, b"junk")


def _grown(digests: Digests = DIGESTS) -> VaultIndex:
    """Three archives: `old` is in the first, `young` came with the second, both are gone with
    the third; `first` and `second` stay."""
    index = VaultIndex(digests)
    index.begin(1, (), alone=True)
    for name in ("first", "old"):
        index.observe("post", name, 1)
    index = VaultIndex.load(digests, index.dump())
    index.begin(2, (), alone=False)
    for name in ("first", "old", "second", "young"):
        index.observe("post", name, 1)
    assert list(index.missing()) == []
    index = VaultIndex.load(digests, index.dump())
    index.begin(3, (), alone=False)
    for name in ("first", "second", "third"):
        index.observe("post", name, 1)
    assert {gone.id: gone.written for gone in index.missing()} == {"old": True, "young": True}
    return VaultIndex.load(digests, index.dump())


def test_a_tombstone_stays_as_long_as_an_archive_holds_what_it_hides() -> None:
    index = _grown()
    assert len(index) == 5
    index.begin(4, {2, 3}, alone=False)
    for name in ("first", "second", "third"):
        index.observe("post", name, 1)
    # Only the first archive is left of those before, and it never held the young one.
    assert [(gone.id, gone.moved) for gone in index.missing()] == [("old", True)]
    index = VaultIndex.load(DIGESTS, index.dump())
    assert len(index) == 4
    index.begin(5, {1}, alone=False)
    for name in ("first", "second", "third"):
        index.observe("post", name, 1)
    assert list(index.missing()) == []
    assert len(VaultIndex.load(DIGESTS, index.dump())) == 3


def test_what_lay_in_taken_over_archives_alone_leaves_no_tombstone() -> None:
    index = _grown()
    index.begin(4, {2, 3}, alone=False)
    for name in ("first", "second"):
        index.observe("post", name, 1)
    found = {gone.id: (gone.moved, gone.written) for gone in index.missing()}
    assert found == {"old": (True, True), "third": (False, False)}
    assert len(VaultIndex.load(DIGESTS, index.dump())) == 3


def test_what_comes_back_and_goes_again_is_hidden_from_its_birth_on() -> None:
    index = _grown()
    index.begin(4, (), alone=False)
    for name in ("first", "second", "third", "old"):
        index.observe("post", name, 2)
    assert list(index.missing()) == []
    index = VaultIndex.load(DIGESTS, index.dump())
    index.begin(5, {4}, alone=True)
    index.observe("post", "first", 2)
    assert {gone.id for gone in index.missing()} >= {"old"}


def test_an_index_tells_nothing_without_its_key() -> None:
    index = new_index()
    index.observe("contact", "friend@pod.example", 1)
    data = b"".join(index.dump())
    assert b"friend" not in data
    assert data == b"".join(index.dump())  # equal vaults are told by equal bytes
    with pytest.raises(DamageError, match="key"):
        VaultIndex.load(Digests(b"t" * 32), [data])
