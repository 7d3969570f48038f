"""Fingerprints: no change of a record escapes them, and noise and strangers leave them alone."""

from __future__ import annotations

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Boolean,
    Connection,
    Date,
    DateTime,
    Integer,
    MetaData,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)

from vaultd.demo.pod import POD_URL, populate
from vaultd.demo.schema import build_schema, create_schema
from vaultd.demo.world import World
from vaultd.records import Record, encode_body
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.batch import NOISE
from vaultd.sources.diaspora.changes import fingerprints as module
from vaultd.sources.diaspora.changes.hashing import Hasher
from vaultd.sources.diaspora.database import open_engine
from vaultd.sources.export.source import ExportFileSource

_MOMENT = datetime(2020, 1, 1)  # noqa: DTZ001 - the database has no zones
Bodies = dict[int, dict[tuple[str, str], bytes]]
# Tables that `read` looks at, and that a pod may change; the others reach no record.
TABLES = (
    "users people profiles aspects aspect_memberships aspect_visibilities blocks comments contacts "
    "conversation_visibilities conversations likes mentions messages participations photos pods "
    "poll_answers poll_participations polls posts share_visibilities tags taggings tag_followings "
    "roles user_preferences locations references invitation_codes services reports "
    "account_migrations account_deletions comment_signatures like_signatures "
    "poll_participation_signatures signature_orders"
).split()


class Pod:
    """A demo pod on one engine, its source, and the means to change it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine = create_engine(url) if url.startswith("sqlite") else open_engine(url)
        folder.mkdir(exist_ok=True)
        self.meta: MetaData = create_schema(self.engine, "0.9")
        world = _world()
        world.metadata = self.meta
        world.flush(self.engine)
        self.url = url
        self.source = DiasporaSource(url, POD_URL, folder)

    def table(self, name: str) -> Table:
        return self.meta.tables[name]

    def prints(self) -> dict[int, bytes]:
        return self.source.fingerprints(self.source.accounts())

    def bodies(self) -> Bodies:
        found: Bodies = defaultdict(dict)
        for account, record in singly(self.source.read(self.source.accounts())):
            if isinstance(record, Record) and not record.passive:
                found[account.key][record.kind, record.id] = encode_body(record.body)
        return found


@cache
def _world() -> World:
    # Making the keys takes a second; no test looks at the pictures.
    with tempfile.TemporaryDirectory() as images:
        world = World(build_schema("0.9"), random.Random(7), Path(images), POD_URL)
        populate(world, 60)
    _what_the_demo_lacks(world)
    return world


def _what_the_demo_lacks(world: World) -> None:
    first, second = world.users[0], world.users[1]
    world.add("references", source_id=1, source_type="Post", target_id=2, target_type="Post")
    world.add("services", type="Services::Twitter", user_id=first.id, uid="1", nickname="x")
    world.add("reports", item_id=1, item_type="Post", text="bad", user_id=second.id)
    world.add("account_migrations", old_person_id=second.person.id, new_person_id=first.person.id)
    world.rows["users"][second.id - 1]["invited_by_id"] = first.id
    comment = next(r for r in world.rows["comments"] if r["author_id"] == first.person.id)
    world.add("mentions", mentions_container_id=comment["id"], person_id=second.person.id,
              mentions_container_type="Comment")  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def pod(request: pytest.FixtureRequest, tmp_path: Path) -> Pod:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    else:
        name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
        url = str(request.getfixturevalue(name))
    return Pod(url, tmp_path / "images")


def test_noise_changes_no_fingerprint(pod: Pod) -> None:
    before = pod.prints()
    changed = 0
    with pod.engine.begin() as connection:
        for table in pod.meta.tables.values():
            for column in table.columns:
                told = table.name in ("conversations", "profiles") and column.name == "updated_at"
                if column.name not in NOISE or told:
                    continue  # that updated_at is in a record
                changed += 1
                connection.execute(update(table).values({column.name: _other(column, 5)}))
    assert changed > 40
    assert pod.prints() == before


def _other(column: Any, number: int) -> Any:
    if isinstance(column.type, Boolean):
        return bool(number % 2)
    if isinstance(column.type, Integer):
        return number
    if isinstance(column.type, DateTime):
        return _MOMENT + timedelta(days=number)
    if isinstance(column.type, Date):
        return date(1990, 1, 1) + timedelta(days=number)
    return f"other{number}"[: getattr(column.type, "length", None) or 30]


class Edits:
    """Random changes: of a value, of a reference, a row gone, a row copied."""

    def __init__(self, pod: Pod, seed: int) -> None:
        self.pod, self.rng = pod, random.Random(seed)

    def one(self, connection: Connection, name: str) -> Any:
        table = self.pod.table(name)
        row = self._row(connection, table)
        if row is None:
            return None
        what = self.rng.choice(("value", "value", "value", "delete", "copy"))
        try:
            with connection.begin_nested():
                told = getattr(self, f"_{what}")(connection, table, row)
        except Exception as error:  # an edit that a unique index forbids is no edit
            assert type(error).__name__ == "IntegrityError", error
            return None
        return name, what, dict(row), told

    def _row(self, connection: Connection, table: Table) -> Any:
        count = connection.execute(select(func.count()).select_from(table)).scalar() or 0
        if not count:
            return None
        query = select(table).order_by(*table.columns).offset(self.rng.randrange(count)).limit(1)
        return connection.execute(query).mappings().one()

    def _same(self, table: Table, row: Any) -> Any:
        key = next(iter(table.columns))  # id, or the signatures' own key
        return key == row[key.name]

    def _value(self, connection: Connection, table: Table, row: Any) -> Any:
        column = self.rng.choice(list(table.columns)[1:])  # not its key
        if isinstance(column.type, Integer) and not isinstance(column.type, Boolean):
            value: Any = self.rng.randint(1, 60)
        else:
            value = _other(column, self.rng.randint(0, 5000))
        if column.nullable and self.rng.random() < 0.2:
            value = None
        connection.execute(update(table).where(self._same(table, row)).values({column.name: value}))
        return column.name, value

    def _delete(self, connection: Connection, table: Table, row: Any) -> None:
        connection.execute(delete(table).where(self._same(table, row)))

    def _copy(self, connection: Connection, table: Table, row: Any) -> None:
        copy = dict(row)
        if "id" in copy:
            copy["id"] = (connection.execute(select(func.max(table.c.id))).scalar() or 0) + 1
        for name in ("guid", "token", "username", "email", "diaspora_handle", "host"):
            if name in copy:
                copy[name] = f"{name}{self.rng.getrandbits(60):x}"
        for name in ("author_id", "person_id", "target_id", "tag_id", "owner_id"):
            if name in copy and self.rng.random() < 0.5:
                copy[name] = self.rng.randint(1, 60)
        connection.execute(insert(table).values(copy))


def test_no_change_of_a_record_escapes_its_fingerprint(pod: Pod) -> None:
    edits = Edits(pod, seed=11)
    prints, bodies = pod.prints(), pod.bodies()
    changed = needless = 0
    names = [*TABLES, *TABLES]
    edits.rng.shuffle(names)
    for turn in range(0, len(names), 3):
        with pod.engine.begin() as connection:
            done = [edits.one(connection, name) for name in names[turn : turn + 3]]
        new_prints, new_bodies = pod.prints(), pod.bodies()
        for key in set(prints) & set(new_prints):
            same = bodies.get(key) == new_bodies.get(key)
            if not same:
                assert prints[key] != new_prints[key], (turn, key, done)
                changed += 1
            elif prints[key] != new_prints[key]:
                needless += 1
        prints, bodies = new_prints, new_bodies
    print(f"{changed} changes, {needless} fingerprints changed without need")
    assert changed > 60
    assert needless < changed


def test_what_only_reaches_passive_records_does_not_count(pod: Pod) -> None:
    before = pod.prints()
    with pod.engine.begin() as connection:
        people, profiles = pod.table("people"), pod.table("profiles")
        remote = select(people.c.id).where(people.c.owner_id.is_(None))
        connection.execute(
            update(people).where(people.c.owner_id.is_(None)).values(serialized_public_key="other")
        )
        connection.execute(
            update(profiles).where(profiles.c.person_id.in_(remote)).values(first_name="New")
        )
        connection.execute(
            insert(pod.table("pods")).values(
                id=900, host="new.example", port=-1, ssl=False, created_at=_MOMENT, updated_at=_MOMENT,
                scheduled_check=False,
            )
        )  # fmt: skip
    assert pod.prints() == before


def test_what_others_shared_and_what_is_on_it_counts_for_its_readers_only(pod: Pod) -> None:
    seen, posts, comments = (pod.table(n) for n in ("share_visibilities", "posts", "comments"))
    of_posts = seen.c.shareable_type == "Post"
    with pod.engine.connect() as connection:
        post = connection.execute(
            select(comments.c.commentable_id)
            .join(seen, seen.c.shareable_id == comments.c.commentable_id)
            .where(of_posts)
            .limit(1)
        ).scalar_one()
        readers = set(
            connection.execute(
                select(seen.c.user_id).where(of_posts, seen.c.shareable_id == post)
            ).scalars()
        )
        author = connection.execute(
            select(pod.table("people").c.owner_id)
            .join(posts, posts.c.author_id == pod.table("people").c.id)
            .where(posts.c.id == post)
        ).scalar_one()
    one = min(readers)
    for edit, whose in (
        (update(seen).where(of_posts, seen.c.shareable_id == post, seen.c.user_id == one)
         .values(hidden=True), {one}),
        (update(posts).where(posts.c.id == post).values(text="other"), {*readers, author}),
    ):  # fmt: skip
        before, bodies = pod.prints(), pod.bodies()
        with pod.engine.begin() as connection:
            connection.execute(edit)
        after, new_bodies = pod.prints(), pod.bodies()
        assert {key for key in before if before[key] != after[key]} == whose
        assert {key for key in before if bodies[key] != new_bodies[key]} == whose


def test_the_pods_of_the_audience_count(pod: Pod) -> None:
    before, bodies = pod.prints(), pod.bodies()
    pods = pod.table("pods")
    with pod.engine.begin() as connection:
        connection.execute(update(pods).where(pods.c.id == 1).values(ssl=False))
    after, new_bodies = pod.prints(), pod.bodies()
    differ = {key for key in before if bodies[key] != new_bodies[key]}
    assert differ
    assert {key for key in before if before[key] != after[key]} == differ


def test_a_hidden_post_that_goes_away_counts(pod: Pod) -> None:
    users, posts = pod.table("users"), pod.table("posts")
    before = pod.prints()
    with pod.engine.begin() as connection:
        hiding = connection.execute(
            select(users.c.id).where(users.c.hidden_shareables.is_not(None))
        ).scalar_one()
        connection.execute(update(posts).where(posts.c.id == 1).values(guid="f" * 32))
    assert pod.prints()[hiding] != before[hiding]


def test_null_and_empty_and_moved_text_differ(pod: Pod) -> None:
    profiles = pod.table("profiles")
    seen = set()
    for values in (
        {"gender": None, "location": ""},
        {"gender": "", "location": None},
        {"gender": "", "location": ""},
        {"gender": None, "location": None},
        {"gender": "a", "location": "b"},
        {"gender": "ab", "location": ""},
        {"gender": "a,b", "location": ""},
        {"gender": "-", "location": None},
    ):
        with pod.engine.begin() as connection:
            connection.execute(update(profiles).where(profiles.c.person_id == 1).values(values))
        seen.add(pod.prints()[1])
    assert len(seen) == 8


def test_ids_in_a_stretch_and_ids_by_name_give_the_same(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = pod.prints()
    monkeypatch.setattr(module, "is_dense", lambda ids: False)
    assert pod.prints() == together
    some = [a for a in pod.source.accounts() if a.key % 7 == 2]
    assert pod.source.fingerprints(some) == {a.key: together[a.key] for a in some}
    assert pod.source.fingerprints([]) == {}


def test_the_number_of_queries_does_not_depend_on_the_number_of_accounts(pod: Pod) -> None:
    everybody = pod.source.accounts()
    seen: list[str] = []
    event.listen(pod.source.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    numbers = []
    for some in (everybody[4:7], everybody[:20], everybody):
        pod.source.fingerprints(some)
        seen.clear()
        pod.source.fingerprints(some)
        numbers.append(len(seen))
    assert numbers[0] == numbers[1] == numbers[2] <= 8, numbers


def test_every_way_of_hashing_finds_a_change(postgres_url: str, tmp_path: Path) -> None:
    pod = Pod(postgres_url, tmp_path / "images")
    prints = pod.prints()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "hasher_of", lambda *_: Hasher("postgresql", "key", sha=False))
        old = DiasporaSource(pod.url, POD_URL, tmp_path)
        first = old.fingerprints(old.accounts())
        assert first != prints
        assert old.fingerprints(old.accounts()) == first
        profiles = pod.table("profiles")
        with pod.engine.begin() as connection:
            connection.execute(update(profiles).where(profiles.c.person_id == 1).values(bio="x"))
        after = old.fingerprints(old.accounts())
    assert {key for key in first if first[key] != after[key]} == {1}


def test_a_moment_ends_with_a_write(pod: Pod) -> None:
    first = pod.source.moment()
    if pod.url.startswith("mysql"):
        assert first is None
        return
    list(pod.source.read(pod.source.accounts()))
    assert first is not None
    assert pod.source.moment() == first
    with pod.engine.begin() as connection:
        connection.execute(update(pod.table("tags")).values(taggings_count=3))
    assert pod.source.moment() != first


def test_no_moment_while_a_write_is_open(postgres_url: str, tmp_path: Path) -> None:
    pod = Pod(postgres_url, tmp_path / "images")
    before = pod.source.moment()
    with pod.engine.begin() as one, pod.engine.begin() as other:
        one.execute(update(pod.table("tags")).values(taggings_count=3))
        other.execute(update(pod.table("pods")).values(status=3))
        other.commit()
        assert pod.source.moment() is None
    assert pod.source.moment() not in (None, before)


def test_no_moment_with_a_write_ahead_log(tmp_path: Path) -> None:
    pod = Pod(f"sqlite:///{tmp_path / 'pod.sqlite3'}", tmp_path / "images")
    with pod.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        assert pod.source.moment() is None


@pytest.mark.realpod
def test_on_a_real_pod_exactly_the_changed_accounts_differ(realpod: Callable[[str], str]) -> None:
    prints, bodies = [], []
    for name in ("o1", "o1_day2"):
        source = DiasporaSource(realpod(name), "https://o1.test/", Path("/nowhere"))
        accounts = source.accounts()
        prints.append(
            {a.username: p for a in accounts for p in [source.fingerprints(accounts)[a.key]]}
        )
        found: dict[str, dict[tuple[str, str], bytes]] = defaultdict(dict)
        for account, record in singly(source.read(accounts)):
            if isinstance(record, Record) and not record.passive:
                found[account.username][record.kind, record.id] = encode_body(record.body)
        bodies.append(found)
    both = set(prints[0]) & set(prints[1])
    changed = {name for name in both if bodies[0][name] != bodies[1][name]}
    differ = {name for name in both if prints[0][name] != prints[1][name]}
    print(
        f"{len(changed)} of {len(both)} changed, {len(differ - changed)} too many: {differ - changed}"
    )
    assert changed
    assert differ >= changed
    assert len(differ - changed) <= 2


def test_an_export_file_has_the_digest_of_its_content(shared_diaspora: Path) -> None:
    path = sorted((shared_diaspora / "pods" / "exports").glob("*.json*"))[0]
    first, second = ExportFileSource(path), ExportFileSource(path)
    prints = first.fingerprints(first.accounts())
    assert prints == second.fingerprints(second.accounts())
    assert [len(value) for value in prints.values()] == [16]
    assert first.moment() == second.moment() is not None
