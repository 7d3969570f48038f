"""The files of the state tell nobody what an account has, or had."""

from __future__ import annotations

from pathlib import Path

from tests.backup.world import World
from vaultd.state.key_file import KEY_FILE
from vaultd.state.store import State

GUID = "0123456789abcdef0123456789abcdef"
HANDLE = "very.dear.friend@elsewhere.example"
TAG = "a-secret-passion"
GONE = "once.a.friend@elsewhere.example"
WORDS = (GUID, HANDLE, TAG, GONE, "elsewhere.example", "blocked.one", "photo-guid")


def fill(world: World) -> None:
    world.alice.put("post", GUID, {"text": "hello"})
    world.alice.put("contact", HANDLE, {"receiving": True})
    world.alice.put("contact", GONE, {"receiving": True})
    world.alice.put("person", HANDLE, {"name": "x"}, passive=True)
    world.alice.put("followed_tag", TAG, {"name": TAG})
    world.alice.put("block", "blocked.one@pod", {})
    world.alice.put("audience", "elsewhere.example", {"host": "elsewhere.example"}, passive=True)
    world.source.files["a.png"] = b"a picture" * 9
    world.alice.photo("photo-guid", "a.png")


def found_in(folder: Path, words: tuple[str, ...] = WORDS) -> set[tuple[str, str]]:
    """Which words, or the bytes that their hex digits stand for, are in which file of the state."""
    told = set()
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for word in words:
            if word.encode() in data or (word == GUID and bytes.fromhex(word) in data):
                told.add((path.name, word))
    return told


def test_no_record_is_named_in_any_file_of_the_state_not_even_while_it_is_open(
    world: World,
) -> None:
    fill(world)
    world.run()
    assert found_in(world.folder) == set()
    del world.alice.records["contact", GONE], world.alice.records["followed_tag", TAG]
    world.run()
    assert (world.folder / "state.sqlite3-wal").exists()
    assert found_in(world.folder) == set()
    world.state.close()
    assert found_in(world.folder) == set()
    assert world.snapshot().manifest.counts["contact"] == 1


def test_an_account_that_was_erased_leaves_no_name_behind(world: World) -> None:
    fill(world)
    world.run()
    (each,) = world.state.enrollments()
    world.state.unenroll(each)
    world.state.tidy()
    names = (each.handle, each.guid, each.vault_id)
    assert found_in(world.folder, names) == set()
    world.state.close()
    assert found_in(world.folder, names) == set()


def test_with_a_lost_key_accounts_are_written_whole_and_nobody_is_enrolled_again(
    world: World,
) -> None:
    fill(world)
    bob = world.person("bob")
    world.run()
    (each,) = world.state.enrollments(["bob"])
    world.state.unenroll(each)
    world.state.close()
    (world.folder / KEY_FILE).unlink()
    world.state = State(world.folder)
    world.source.looks += 1
    world.alice.put("post", "new", {"text": "new"})
    report = world.run()
    assert "key" in report.accounts[0].notes[0]
    content = {key: {**body, "blob": None} for key, body in world.restored().items()}
    assert content == {k: {**b, "blob": None} for k, b in world.alice.content().items()}
    assert world.state.opted_out([bob.account.guid]) == {bob.account.guid}
