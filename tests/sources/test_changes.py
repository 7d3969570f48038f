"""Changes: whoever is not named has the fingerprint that they had, whatever was written."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import OperationalError

from tests.servers import start_postgresql
from tests.sources.test_fingerprints import TABLES, Edits, Pod
from vaultd.sources.base import ANY
from vaultd.sources.diaspora.changes import row_versions


@pytest.fixture
def pod(postgres_url: str, tmp_path: Path) -> Pod:
    return Pod(postgres_url, tmp_path / "images")


def _until(pod: Pod) -> bytes:
    for _ in range(100):
        until = pod.source.changes(None).until
        if until is not None:
            return until
        time.sleep(0.1)  # an earlier test's connection may still be rolling back
    raise AssertionError("There is always somebody writing.")


def _names(pod: Pod) -> dict[int, str]:
    return {account.key: account.username for account in pod.source.accounts()}


@pytest.mark.parametrize("seed", [1, 2])
def test_whoever_is_not_named_is_as_before(pod: Pod, seed: int) -> None:
    edits = Edits(pod, seed)
    since, prints, bodies = _until(pod), pod.prints(), pod.bodies()
    told = changed = needless = 0
    for turn in range(40):
        with pod.engine.begin() as connection:
            done = [edits.one(connection, edits.rng.choice(TABLES)) for _ in range(turn % 2 + 1)]
        found = pod.source.changes(since)
        new_prints, new_bodies, new_names = pod.prints(), pod.bodies(), _names(pod)
        if found.usernames is not None:
            told += 1
            differ = {
                new_names[key] for key in new_prints if prints.get(key) != new_prints[key]
            } | {new_names[key] for key in new_names if bodies.get(key) != new_bodies.get(key)}
            assert differ <= found.usernames, (turn, done)
            changed += len(differ)
            needless += len(found.usernames - differ)
        if found.until is not None:  # nobody else may have been writing
            since, prints, bodies = found.until, new_prints, new_bodies
    print(f"{told} of 40 told; {changed} changed, {needless} named without need")
    assert told > 5
    assert changed > 5


def test_nothing_written_and_noise_name_nobody(pod: Pod) -> None:
    since = _until(pod)
    assert pod.source.changes(since).usernames == frozenset()
    users, pods = pod.table("users"), pod.table("pods")
    with pod.engine.begin() as connection:
        connection.execute(update(users).values(sign_in_count=users.c.sign_in_count + 1))
        connection.execute(update(pods).values(status=3))
    assert pod.source.changes(since).usernames == frozenset()


def test_a_row_that_is_added_or_changed_in_place_names_its_accounts(pod: Pod) -> None:
    since, names = _until(pod), _names(pod)
    profiles, people = pod.table("profiles"), pod.table("people")
    first = min(names)
    person = select(people.c.id).where(people.c.owner_id == first).scalar_subquery()
    with pod.engine.begin() as connection:
        connection.execute(update(profiles).where(profiles.c.person_id == person).values(bio="x"))
    found = pod.source.changes(since)
    assert found.usernames == {names[first]}
    assert found.until is not None
    with pod.engine.begin() as connection:
        copy = dict(connection.execute(select(pod.table("posts")).limit(1)).mappings().one())
        other = connection.execute(
            select(people.c.id).where(people.c.owner_id == first + 1)
        ).scalar_one()
        copy |= {"id": 90_000, "guid": "a" * 32, "author_id": other, "root_guid": None}
        connection.execute(insert(pod.table("posts")).values(copy))
    assert pod.source.changes(found.until).usernames == {names[first + 1]}
    assert pod.source.changes(since).usernames == {names[first], names[first + 1]}


def test_rows_that_went_away_or_over_to_others_and_mixed_pods_may_be_anybodys(pod: Pod) -> None:
    comments, contacts, pods = pod.table("comments"), pod.table("contacts"), pod.table("pods")
    one = select(comments.c.id).limit(1).scalar_subquery()
    copy = select(pods).limit(1)
    with pod.engine.connect() as connection:
        row = dict(connection.execute(copy).mappings().one())
    people, new = pod.table("people"), {**row, "id": 900, "host": "new.example"}
    since, prints = _until(pod), pod.prints()
    with pod.engine.begin() as connection:
        connection.execute(insert(pods).values(new))
    assert pod.source.changes(since).usernames == frozenset()
    assert pod.prints() == prints
    for edit in (
        delete(comments).where(comments.c.id == one),
        update(contacts).where(contacts.c.id == 1).values(user_id=7),
        update(pods).where(pods.c.id == 900).values(ssl=False),
        insert(pods).values({**new, "id": 901, "host": "NEW.example"}),
        delete(pods).where(pods.c.id == 901),
        update(people).where(people.c.owner_id.is_(None)).values(pod_id=None),
        insert(pods).values({**new, "id": 902, "host": "newer.example"}),
        update(pod.table("users")).where(pod.table("users").c.id == 2).values(username="other"),
    ):
        since = _until(pod)
        with pod.engine.begin() as connection:
            assert connection.execute(edit).rowcount
        assert pod.source.changes(since).usernames is None, str(edit)


def test_a_write_that_is_open_gives_no_moment_and_is_seen_when_it_ends(pod: Pod) -> None:
    since, names = _until(pod), _names(pod)
    profiles = pod.table("profiles")
    with pod.engine.begin() as one:
        one.execute(update(profiles).where(profiles.c.id == 1).values(bio="late"))
        with pod.engine.begin() as other:
            other.execute(update(profiles).where(profiles.c.id == 2).values(bio="early"))
        found = pod.source.changes(since)
        assert found.until is None
        assert found.usernames is not None
        assert len(found.usernames) == 1
    after = pod.source.changes(since)
    assert after.until is not None
    assert after.usernames is not None
    assert after.usernames > found.usernames
    assert after.usernames <= set(names.values())


def test_what_is_not_of_this_server_or_too_old_names_anybody(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = _until(pod)
    for strange in (b"", b"\xc1", since[:-1], b"\x95" + bytes(9), since[:10] + b"?" + since[11:]):
        assert pod.source.changes(strange).usernames is None
    monkeypatch.setattr(row_versions, "_FARTHEST", -1)
    assert pod.source.changes(since).usernames is None
    monkeypatch.undo()
    assert pod.source.changes(since).usernames == frozenset()
    monkeypatch.setattr("vaultd.sources.diaspora.changes.candidates.OLDEST", (99,))
    assert pod.source.changes(since) == ANY


def test_a_server_that_crashed_may_have_forgotten_what_was_seen(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        server = start_postgresql(Path(name) / "pg")
        try:
            url = f"postgresql://postgres@/postgres?host={Path(name) / 'pg'}"
            pod = Pod(url, tmp_path / "images")
            since = _until(pod)
            assert pod.source.changes(since).usernames == frozenset()
            with pod.engine.connect() as connection:
                started = connection.execute(text("SELECT pg_postmaster_start_time()")).scalar()
                pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
                os.kill(pid, signal.SIGKILL)
                connection.invalidate()
            pod.engine.dispose()
            pod.source.engine.dispose()
            for _ in range(1200):  # the server recovers, on a busy machine in its own time
                try:
                    with pod.engine.connect() as connection:
                        again = connection.execute(text("SELECT pg_postmaster_start_time()"))
                        assert again.scalar() == started
                        break
                except OperationalError:
                    time.sleep(0.1)
            assert pod.source.changes(since).usernames is None
            assert pod.source.changes(_until(pod)).usernames == frozenset()
        finally:
            server.stop()
