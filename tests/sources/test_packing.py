"""Records of a kind together: encoded as alone, and one bad one spoils no other."""

from __future__ import annotations

import random
from pathlib import Path

from sqlalchemy import create_engine

from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import create_schema
from vaultd.demo.world import World
from vaultd.records import Body, Record, Records, encode_record
from vaultd.sources.base import SourceAccount, singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.records.packing import packed

ADA = SourceAccount(1, "ada", "ada@pod.example", "a" * 32, "PEM", "active")


def test_what_is_packed_together_is_what_is_packed_alone() -> None:
    bodies: list[Body] = [{"b": 1, "a": "text"}, {"z": None}]
    (item,) = packed(ADA, "post", ["p1", "p2"], bodies, [None, None])
    records = item[1]
    assert isinstance(records, Records)
    assert records.finishes is None
    assert list(records.wires) == [
        encode_record("post", "p1", bodies[0]),
        encode_record("post", "p2", bodies[1]),
    ]
    assert [record for _, record in singly([item])] == [
        Record("post", "p1", {"a": "text", "b": 1}),
        Record("post", "p2", {"z": None}),
    ]
    assert list(packed(ADA, "post", [], [])) == []


def test_one_record_that_cannot_be_encoded_leaves_the_others_as_they_are() -> None:
    def sign(_body: Body) -> Body:
        return {"signature": "s"}

    bodies: list[Body] = [{"text": "fine"}, {"text": "\ud800"}, {"text": "fine, too"}]
    items = [item for _, item in packed(ADA, "post", ["1", "2", "3"], bodies, [None, None, sign])]
    assert items == [
        Record("post", "1", bodies[0]),
        Record("post", "2", bodies[1]),
        Record("post", "3", bodies[2], finish=sign),
    ]


def test_weights_tell_who_has_much(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'pod.sqlite3'}"
    engine = create_engine(url)
    world = World(create_schema(engine, "0.9"), random.Random(1), tmp_path, POD_URL)
    ada, bob = world.local("ada", "Ada", "A"), world.local("bob", "Bob", "B")
    for number in range(100):
        world.comment(bob.person, world.post(ada, f"Post {number}", public=True), "Hello")
    world.flush(engine)
    source = DiasporaSource(url, POD_URL, tmp_path)
    of_ada, of_bob = source.accounts()
    weights = source.weights([of_ada, of_bob])
    assert weights[of_ada.key] > weights[of_bob.key] > weights[of_bob.key] / 2 > 100
    records = [r for a, r in singly(source.read([of_ada])) if a == of_ada]
    assert len(records) / 3 < weights[of_ada.key] < len(records) * 6
    assert source.weights([of_bob]).keys() == {of_bob.key}
