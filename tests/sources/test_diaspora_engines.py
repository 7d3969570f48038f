"""The diaspora source on three engines and three releases of the schema, and on bad rows."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from vaultd.demo.pod import POD_URL, populate
from vaultd.demo.schema import RELEASES, create_schema
from vaultd.demo.world import World
from vaultd.errors import DatabaseError
from vaultd.records import KINDS, Record
from vaultd.sources.base import Trouble, singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.database import open_engine

Found = dict[tuple[str, str, str], Record]
_SAME = "aspect block followed_tag preference role audience known_pods".split()


def _writable(url: str) -> Engine:
    return create_engine(url) if url.startswith("sqlite") else open_engine(url)


def _build(url: str, folder: Path, release: str) -> None:
    engine = _writable(url)
    images = folder / "images"
    images.mkdir(exist_ok=True)
    world = World(create_schema(engine, release), random.Random(3), images, POD_URL)
    populate(world, 60)
    world.flush(engine)
    engine.dispose()


def _read(url: str, folder: Path) -> tuple[Found, list[Trouble]]:
    source = DiasporaSource(url, POD_URL, folder)
    found: Found = {}
    troubles = []
    for account, record in singly(source.read(source.accounts())):
        if isinstance(record, Record):
            key = (account.username, record.kind, record.id)
            assert key not in found
            found[key] = record
        else:
            troubles.append(record)
    return found, troubles


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    return str(request.getfixturevalue(name))


@pytest.mark.parametrize("release", RELEASES)
def test_every_engine_and_release_reads_the_same_records(
    url: str, tmp_path: Path, release: str
) -> None:
    _build(url, tmp_path, release)
    reference = f"sqlite:///{tmp_path / 'reference.sqlite3'}"
    if not url.startswith("sqlite"):
        _build(reference, tmp_path, release)
    found, troubles = _read(url, tmp_path)
    assert not troubles
    assert {kind for _, kind, _ in found} == set(KINDS)
    info = DiasporaSource(url, POD_URL, tmp_path).info()
    assert info.release.startswith(release[:3])
    if not url.startswith("sqlite"):
        other, _ = _read(reference, tmp_path)
        assert set(found) == set(other)
        for key in found:
            if key[1] in _SAME:
                mine, theirs = dict(found[key].body), dict(other[key].body)
                for body in (mine, theirs):
                    body.pop("created_at", None)  # MySQL keeps whole seconds
                assert mine == theirs


def test_unknown_columns_are_kept(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    _build(url, tmp_path, "0.9")
    with _writable(url).begin() as connection:
        connection.execute(text("ALTER TABLE posts ADD COLUMN mood VARCHAR(20)"))
        connection.execute(text("UPDATE posts SET mood = 'content'"))
    found, _ = _read(url, tmp_path)
    posts = [r for (_, kind, _), r in found.items() if kind == "post"]
    assert posts
    assert all(r.body["row"]["mood"] == "content" for r in posts)  # type: ignore[index, call-overload]


def test_rows_that_break_the_schemas_habits_are_read_or_reported(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    _build(url, tmp_path, "0.9")
    with _writable(url).begin() as connection:
        for statement in (
            "UPDATE likes SET guid = NULL WHERE author_id = 1",
            "UPDATE participations SET guid = NULL, target_id = NULL WHERE author_id = 1",
            "UPDATE comments SET commentable_id = 12345678 WHERE author_id = 2",
            "UPDATE users SET hidden_shareables = '--- !ruby/object:Bad {' WHERE id = 1",
            "UPDATE posts SET text = CAST(X'C3286F6BFF' AS TEXT) WHERE author_id = 3",
            "UPDATE messages SET text = 'NUL: ' || char(0) || ' end' WHERE author_id = 1",
            "UPDATE profiles SET bio = NULL, first_name = NULL",
            "UPDATE pods SET port = 8443 WHERE id = 1",
        ):
            connection.execute(text(statement))
    found, troubles = _read(url, tmp_path)
    assert [t.table for t in troubles] == ["users"]
    names = {key[0] for key in found}
    assert "ada" in names
    likes = [k for k in found if k[0] == "ada" and k[1] == "like"]
    assert likes
    assert all(k[2].startswith("row:") for k in likes)
    assert any(k[1] == "audience" and k[2] == "friendly.example:8443" for k in found)


def test_the_source_cannot_write(url: str, tmp_path: Path) -> None:
    _build(url, tmp_path, "0.9")
    from vaultd.sources.diaspora.database import snapshot

    engine = open_engine(url)
    with pytest.raises(DatabaseError), snapshot(engine) as connection:
        connection.execute(text("DELETE FROM likes"))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://nobody@localhost:1/x",
        "mysql://nobody@localhost:1/x",
        "sqlite:////nowhere/x.db",
    ],
)
def test_a_database_that_cannot_be_reached_is_a_clear_error(address: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as caught:
        DiasporaSource(address, POD_URL, tmp_path).info()
    assert "cannot be read" in str(caught.value)
    assert caught.value.exit_code == 6


def test_another_applications_database_is_named_as_such(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    with _writable(url).begin() as connection:
        connection.execute(text("CREATE TABLE things (id INTEGER)"))
    with pytest.raises(DatabaseError, match="not a diaspora"):
        DiasporaSource(url, POD_URL, tmp_path).info()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", ".hidden", "a\0b", "x/y"])
def test_picture_names_never_leave_the_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DiasporaSource("sqlite:///x", POD_URL, tmp_path).open_file(name)


def test_names_with_capitals_are_names_of_their_own(url: str, tmp_path: Path) -> None:
    _build(url, tmp_path, RELEASES[-1])
    engine = _writable(url)
    with engine.begin() as connection:
        connection.execute(text("update users set username = 'Bruno' where username = 'bruno'"))
    engine.dispose()
    source = DiasporaSource(url, POD_URL, tmp_path)
    assert [a.username for a in source.accounts(["Bruno", "ada"])] == ["ada", "Bruno"]
    assert source.accounts(["bruno"]) == []
    assert [a.username for a in source.accounts(["Bruno"])] == ["Bruno"]


def test_what_is_no_file_among_the_pictures_is_not_waited_for(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    os.mkfifo(images / "pipe.png")
    (images / "folder.png").mkdir()
    (images / "link.png").symlink_to("/etc/passwd")
    (images / "picture.png").write_bytes(b"picture")
    source = DiasporaSource("sqlite:///x", POD_URL, tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(images / "socket.png"))
    for name in ("pipe.png", "folder.png", "link.png", "socket.png"):
        with pytest.raises(OSError, match=".+"):
            source.open_file(name)
    with source.open_file("picture.png") as file:
        assert file.read() == b"picture"


def test_the_open_accounts_are_those_that_are_whole_and_not_closed(
    url: str, tmp_path: Path
) -> None:
    _build(url, tmp_path, RELEASES[0])
    source = DiasporaSource(url, POD_URL, tmp_path)
    accounts = source.accounts()
    assert {"active", "closed", "incomplete"} <= {account.state for account in accounts}
    assert source.open_accounts() == {
        account.guid: account.username
        for account in accounts
        if account.state in ("active", "locked")
    }
