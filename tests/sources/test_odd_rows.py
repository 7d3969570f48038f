"""One row with a value that should not be there costs that row at most: every column, every engine."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Date, DateTime, Engine, Table, create_engine, text
from sqlalchemy.schema import CreateTable

from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import build_schema
from vaultd.demo.world import World
from vaultd.records import Record, encode_record, merged
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.database import open_engine
from vaultd.sources.diaspora.schema import NEEDED, OPTIONAL

Keys = set[tuple[str, str, str]]
# Columns by which rows are found or called: with others a row is nobody's, or another record.
_FINDING = frozenset(
    "owner_id taggable_type commentable_type target_type mentions_container_type shareable_type "
    "source_type type root_guid guid username name host port diaspora_handle email_type item_type".split()
)
_TIMES = {
    "postgresql": ("'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12000-01-01'"),
    "mysql": ("'0000-00-00'", "'2020-00-00'"),
    "sqlite": ("'yesterday'", "17", "'12000-01-01 00:00:00'", "X'FF'", "''"),
}
_OTHERS = {
    "postgresql": (),
    "mysql": (),
    "sqlite": ("'words'", "X'C328'", "-1", "9223372036854775807", "1.5", "''"),
}


def _finds(column: Column[object]) -> bool:
    return column.name in _FINDING or column.name.endswith("_id") or column.name == "id"


def _writable(url: str) -> Engine:
    return create_engine(url) if url.startswith("sqlite") else open_engine(url)


def build(url: str, folder: Path) -> list[Table]:
    """Write a small pod whose columns may all be NULL and whose rows may all be doubled."""
    metadata = build_schema("0.9")
    for table in metadata.tables.values():
        table.indexes.clear()
        for column in table.columns:
            column.nullable = not column.primary_key
    engine = _writable(url)
    with engine.begin() as connection:
        for table in metadata.tables.values():
            connection.execute(CreateTable(table))
    world = World(metadata, random.Random(5), folder, POD_URL)
    world.pod("friendly.example", 1)
    users = [world.local(name, name.title(), "Example") for name in ("ada", "ben", "cleo")]
    for name in ("rem", "rob"):
        world.remote(name, "friendly.example", name, "R", closed=False)
    others = world.remotes
    for user in users:
        world.contact(user, others[0], sharing=True, receiving=True)
        for friend in users:
            if friend is not user:
                world.contact(user, friend.person, sharing=True, receiving=True)
        for number in range(2):
            world.post(user, f"{number} #tag @{{rem@friendly.example}}", public=number == 0,
                       photos=1, poll=True, place=True)  # fmt: skip
    for post in list(world.posts):
        for person in [*(user.person for user in users), others[0]]:
            world.react(person, post)
    world.conversation(users[0].person, [users[1].person, others[0]], 3)
    world.flush(engine)
    engine.dispose()
    return [metadata.tables[name] for name in (*NEEDED, *OPTIONAL) if name in metadata.tables]


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    name = {"postgresql": "postgres_url", "mysql": "mariadb_url"}[request.param]
    return str(request.getfixturevalue(name))


def _read(source: DiasporaSource) -> tuple[Keys, list[str]]:
    found: Keys = set()
    told: list[str] = []
    accounts = source.accounts()
    source.fingerprints(accounts)
    whole = [account for account in accounts if account.state != "incomplete"]
    for account, item in singly(source.read(whole)):
        if isinstance(item, Record):
            encode_record(
                item.kind, item.id, merged(item.body, item.finish(item.body) if item.finish else {})
            )
            found.add((account.username, item.kind, item.id))
        else:
            told.append(f"{item.table} {item.row}: {item.reason}")
    return found, told


@contextmanager
def _changed(engine: Engine, changes: list[tuple[Table, Column[object], str]]) -> Iterator[None]:
    """Set columns of the first row of their tables, for a while."""
    quote = engine.dialect.identifier_preparer.quote
    tables = {table.name: quote(table.name) for table, _, _ in changes}
    with engine.begin() as connection:
        if engine.dialect.name == "mysql":
            connection.execute(text("SET SESSION sql_mode = ''"))
        for name, quoted in tables.items():
            connection.execute(text(f"CREATE TABLE kept_{name} AS SELECT * FROM {quoted}"))
        for table, column, value in changes:
            name, key = tables[table.name], quote(next(iter(table.columns)).name)
            least = connection.execute(text(f"SELECT MIN({key}) FROM {name}")).scalar()
            connection.execute(
                text(f"UPDATE {name} SET {quote(column.name)} = {value} WHERE {key} = :least"),
                {"least": least},
            )
    yield
    with engine.begin() as connection:
        for name, quoted in tables.items():
            connection.execute(text(f"DELETE FROM {quoted}"))
            connection.execute(text(f"INSERT INTO {quoted} SELECT * FROM kept_{name}"))
            connection.execute(text(f"DROP TABLE kept_{name}"))


def test_odd_values_in_all_columns_of_a_row_lose_no_record_unsaid(url: str, tmp_path: Path) -> None:
    tables = build(url, tmp_path)
    engine = _writable(url)
    source = DiasporaSource(url, POD_URL, tmp_path)
    before, told = _read(source)
    assert not told
    columns = [(t, c) for t in tables for c in list(t.columns)[1:] if not _finds(c)]
    times = [(t, c) for t, c in columns if isinstance(c.type, DateTime | Date)]
    rounds = [[(t, c, "NULL") for t, c in columns]]
    rounds += [[(t, c, value) for t, c in times] for value in _TIMES[engine.dialect.name]]
    rounds += [[(t, c, value) for t, c in columns] for value in _OTHERS[engine.dialect.name]]
    for changes in rounds:
        with _changed(engine, changes):
            found, told = _read(source)
        assert told or before <= found, (changes[0][2], sorted(before - found))
    assert _read(source)[0] == before
    engine.dispose()


def test_an_odd_value_where_rows_are_found_by_leaves_the_other_accounts(
    url: str, tmp_path: Path
) -> None:
    tables = build(url, tmp_path)
    engine = _writable(url)
    source = DiasporaSource(url, POD_URL, tmp_path)
    values = ["NULL", "'words'"] if engine.dialect.name == "sqlite" else ["NULL"]
    for table in tables:
        for column in list(table.columns)[1:]:
            for value in values if _finds(column) else []:
                with _changed(engine, [(table, column, value)]):
                    found, _ = _read(source)
                whole = {user for user, kind, _ in found if kind == "account"}
                assert whole >= {"ben", "cleo"}, (table.name, column.name, value)
    engine.dispose()


def test_a_database_of_no_encoding_is_read_with_bytes_that_are_no_utf8(
    postgres_url: str, tmp_path: Path
) -> None:
    admin = create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    name = f"{admin.url.database}_ascii"
    with admin.connect() as connection:
        connection.execute(
            text(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        )
    url = postgres_url.replace(f"/{admin.url.database}?", f"/{name}?")
    admin.dispose()
    build(url, tmp_path)
    source = DiasporaSource(url, POD_URL, tmp_path)
    before, _ = _read(source)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET client_encoding TO 'SQL_ASCII'"))
        for table, column in (("comments", "text"), ("posts", "text"), ("profiles", "bio")):
            connection.execute(text(f"UPDATE {table} SET {column} = E'a \\xC3\\x28 b'"))
    engine.dispose()
    found, told = _read(source)
    assert found == before
    assert not told
    bodies = [r.body for _, r in singly(source.read(source.accounts())) if isinstance(r, Record)]
    assert sum("a \ufffd( b" in repr(body) for body in bodies) > 10


def test_booleans_are_booleans_on_every_engine(url: str, tmp_path: Path) -> None:
    build(url, tmp_path)
    with _writable(url).begin() as connection:
        connection.execute(text("UPDATE users SET otp_required_for_login = (1 = 1)"))
        connection.execute(
            text("INSERT INTO reports (id, item_id, item_type, reviewed, text, user_id) "
                 "VALUES (1, 1, 'Post', (1 = 0), 'bad', 1)")
        )  # fmt: skip
    source = DiasporaSource(url, POD_URL, tmp_path)
    found = [r.body for _, r in singly(source.read(source.accounts(["ada"])))
             if isinstance(r, Record) and r.kind == "account"]  # fmt: skip
    assert found[0]["otp_required_for_login"] is True
    assert found[0]["reports"][0]["reviewed"] is False  # type: ignore[index, call-overload]


def test_null_is_told_from_empty_and_false_in_own_rows(url: str, tmp_path: Path) -> None:
    build(url, tmp_path)
    with _writable(url).begin() as connection:
        for statement in (
            "UPDATE aspects SET post_default = NULL",
            "UPDATE users SET auto_follow_back = NULL",
            "UPDATE profiles SET nsfw = NULL",
            "UPDATE posts SET text = NULL WHERE id = 1",
            "UPDATE locations SET lat = NULL",
            "UPDATE conversations SET subject = NULL",
            "UPDATE photos SET remote_photo_path = NULL",
            "UPDATE likes SET positive = NULL",
        ):
            connection.execute(text(statement))
    source = DiasporaSource(url, POD_URL, tmp_path)
    found: dict[str, list[Any]] = defaultdict(list)
    for _, record in singly(source.read(source.accounts(["ada"]))):
        assert isinstance(record, Record)
        found[record.kind].append(record.body)
    for kind, column in (
        ("aspect", "post_default"), ("account", "auto_follow_back"), ("profile", "nsfw"),
        ("conversation", "subject"), ("photo", "remote_photo_path"),
    ):  # fmt: skip
        assert found[kind]
        assert all(body["row"][column] is None for body in found[kind]), kind
    texts = {body["entity_data"]["text"]: body["row"] for body in found["post"]}
    assert texts[""]["text"] is None
    assert sum("text" in row for row in texts.values()) == 1
    places = [b["entity_data"]["location"] for b in found["post"] if "location" in b["entity_data"]]
    assert places
    assert all(place["row"] == {"lat": None} for place in places)
    assert found["like"]
    assert all(b["entity_data"]["positive"] is True for b in found["like"] + found["received_like"])
