"""States that earlier versions wrote go on where they stood."""

from __future__ import annotations

import sqlite3
import sys
from array import array
from importlib.resources import files
from pathlib import Path

import msgspec
import zstandard
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from vaultd.state.database import FILE_NAME
from vaultd.state.index.digests import Digests
from vaultd.state.index.packed_ids import pack_id
from vaultd.state.index.vault_index import Change, VaultIndex
from vaultd.state.store import State


def state_of(revision: str, folder: Path) -> Path:
    """Make the database of an earlier schema."""
    config = Config()
    config.set_main_option("script_location", str(files("vaultd.state").joinpath("migrations")))
    with create_engine(f"sqlite:///{folder / FILE_NAME}").begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return folder / FILE_NAME


def test_0004_own_targets_that_failed_are_failing_since_then(tmp_path: Path) -> None:
    with sqlite3.connect(state_of("0004", tmp_path)) as database:
        database.executemany(
            "INSERT INTO own_target VALUES (?, 'webdavs://h/x', 0, x'00', 'k', 'set', ?, ?)",
            [("bad", "2026-11-20T03:00:00Z", "It is full."), ("good", "2026-11-20T03:00:00Z", ""),
             ("new", None, "")],
        )  # fmt: skip
    database.close()
    state = State(tmp_path)
    found = {each.guid: (each.failing_since, each.move) for each in state.own_targets.all()}
    assert found == {
        "bad": ("2026-11-20T03:00:00Z", "wait"),
        "good": (None, ""),
        "new": (None, ""),
    }
    state.close()


def test_0005_archives_that_an_account_found_in_its_vault_are_not_its_own(tmp_path: Path) -> None:
    old = [[1, "v/1", 9, b"h", "", 0, [], False], [2, "v/2", 9, b"h", "", 5, [], False]]
    pictures = [[b"d" * 32, 7, 2, False], [b"e" * 32, 7, 0, False]]
    row = (1, "main", 2, "v/2", b"h", 9, "", msgspec.msgpack.encode(old), 5, b"",
           msgspec.msgpack.encode(pictures), None)  # fmt: skip
    with sqlite3.connect(state_of("0005", tmp_path)) as database:
        for number, vault in ((1, "v"), (2, "v"), (3, "w")):
            database.execute(
                "INSERT INTO enrollment VALUES (?, ?, 'g', 'h', 'r', ?, x'00', NULL, 't')",
                (number, f"u{number}", vault),
            )
        database.execute(f"INSERT INTO vault VALUES ({', '.join('?' * 12)})", row)
        database.executemany("INSERT INTO doomed VALUES (?, 'main', 'x', 1)", [(1,), (2,), (3,)])
    database.close()
    state = State(tmp_path)
    point = state.vaults.point(1, "main")
    assert point is not None
    assert [(a.sequence, a.foreign) for a in point.archives] == [(1, True), (2, False)]
    assert [(b.gone, b.foreign) for b in point.blobs] == [(2, True), (0, False)]
    assert list(state.pending_deletions.pending()) == [(3, "main")]
    assert list(state.shared_vaults().values()) == [["u1", "u2"]]
    state.close()


def _before_0011(digests: Digests, secret: bytes) -> bytes:
    """An index as schema 0010 stored it: without births, not sealed."""
    ids = b"".join(map(pack_id, ["a" * 32, "friend@pod.example"]))
    head = msgspec.msgpack.encode((4, sys.byteorder, ["contact"], 2, len(ids), [1]))
    plain = len(head).to_bytes(4, "little") + head
    plain += array("Q", [digests.body(b"one"), digests.body(b"two")]).tobytes()
    plain += bytes(2) + bytes(2) + ids
    checksum = digests.checksum()
    checksum.update(plain)
    return zstandard.ZstdCompressor(level=1).compress(plain + checksum.digest())


def test_0010_indexes_go_on_sealed_and_nothing_stays_in_clear(tmp_path: Path) -> None:
    secret = b"the secret in the state, of old."
    digests = Digests(secret)
    path = state_of("0010", tmp_path)
    with sqlite3.connect(path) as database:
        database.execute("INSERT INTO secret VALUES (1, ?)", (secret,))
        database.execute(
            "INSERT INTO enrollment VALUES (1, 'u', 'g', 'h', 'r', 'v', x'00', NULL, 't')"
        )
        data = _before_0011(digests, secret)
        for number, part in enumerate((data[:20], data[20:])):
            database.execute("INSERT INTO index_piece VALUES (1, 'main', 1, ?, ?)", (number, part))
        # A page that was freed long ago still holds what was on it.
        database.commit()
        database.execute("PRAGMA secure_delete = OFF")
        database.execute(
            "INSERT INTO run VALUES (7, 's', 'f', 0, 0, 0, 0, 0, ?)", ("leftover" * 900,)
        )
        database.commit()
        database.execute("DELETE FROM run")
    database.close()
    assert b"friend@pod.example" in path.read_bytes()
    assert b"leftover" in path.read_bytes()
    state = State(tmp_path)
    for file in tmp_path.iterdir():
        for word in (b"friend@pod.example", b"leftover", secret):
            assert word not in file.read_bytes(), file.name
    assert (tmp_path / "state.key").read_text().strip() == secret.hex()
    assert state.digests.body(b"x") == digests.body(b"x")
    index = VaultIndex.load(state.digests, state.vaults.index_pieces(1, "main", 1))
    index.begin(2, (), alone=False)
    assert index.observe("contact", "a" * 32, digests.body(b"one")) is Change.SAME
    (gone,) = index.missing()
    assert (gone.id, gone.written) == ("friend@pod.example", True)
    state.close()
    State(tmp_path).close()


def test_an_upgrade_that_was_killed_is_taken_up_with_the_same_key(tmp_path: Path) -> None:
    secret = b"the secret in the state, of old."
    with sqlite3.connect(state_of("0010", tmp_path)) as database:
        database.execute("INSERT INTO secret VALUES (1, ?)", (secret,))
    database.close()
    (tmp_path / "state.key").write_text(secret.hex() + "\n")
    State(tmp_path).close()
    assert State(tmp_path).digests.body(b"x") == Digests(secret).body(b"x")
