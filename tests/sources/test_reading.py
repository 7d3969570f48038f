"""Reading fast must not change a single record, nor ask for keys one by one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event

from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World
from vaultd.records import Record, encode_body
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.records.received import LocalKeys

# All records of the real pods but `known_pods`, as a reader made them that was looked at.
GOLDEN = {
    "o1": "a40bddc325a7692d303b27cf20846744",
    "o1_day2": "01ba4bfcd356ad98c4de66861e42771e",
    "n1": "2d10bdcd3d40d5525271f93d228f24a8",
    "f1": "9612464371d362da8777e0f012a97ece",
}


@pytest.mark.realpod
@pytest.mark.parametrize("name", GOLDEN)
def test_the_records_of_real_pods_are_what_they_always_were(
    realpod: Callable[[str], str], name: str
) -> None:
    source = DiasporaSource(realpod(name), "https://o1.test/", Path("/nowhere"))
    found = []
    for account, record in singly(source.read(source.accounts())):
        assert isinstance(record, Record)
        if record.kind == "known_pods":
            continue
        head = (account.username, record.kind, record.id, record.passive, record.file)
        found.append(repr((*head, record.finish is None)).encode() + encode_body(record.body))
    digest = hashlib.blake2b(b"".join(sorted(found)), digest_size=16).hexdigest()
    assert digest == GOLDEN[name]


def test_keys_of_local_authors_are_fetched_together(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'pod.sqlite3'}")
    world = World(create_schema(engine, "0.9"), random.Random(1), tmp_path, POD_URL)
    users = [world.local(f"user{n}", "U", str(n)) for n in range(40)]
    post = world.post(users[0], "Hello", public=True)
    for user in users[1:]:
        world.comment(user.person, post, "Hello too")
        world.like(user.person, post.id, post.guid, "Post", users[0].person)
    world.flush(engine)
    source = DiasporaSource(f"sqlite:///{tmp_path / 'pod.sqlite3'}", POD_URL, tmp_path)
    seen: list[str] = []
    event.listen(source.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    signed = 0
    for _, record in singly(source.read(source.accounts(["user0"]))):
        if isinstance(record, Record) and record.finish is not None:
            assert "author_signature" in str(record.finish(record.body))
            signed += 1
    assert signed >= 39 * 2  # some comments are liked, too
    assert sum("serialized_private_key IS NOT NULL" in query for query in seen) == 1


def test_keys_are_asked_for_a_thousand_at_a_time_and_not_all_kept() -> None:
    asked: list[list[int]] = []

    def fetch(wanted: list[int]) -> dict[int, str]:
        asked.append(wanted)
        return {}

    keys = LocalKeys(fetch)
    keys.announce(range(9000))
    for user in range(9000):
        assert keys(user) is None
    assert [len(some) for some in asked] == [1000] * 9
    assert keys(0) is None
    assert len(asked) == 10
    assert len(keys._found) <= 4000
