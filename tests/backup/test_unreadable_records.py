"""What no reader would take is left out and named: it would end all that stands behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backup.world import World
from vaultd.records import MAX_MAP, MAX_VALUES, Body


@pytest.mark.parametrize(
    "body",
    [
        {"property_order": ["b"] * (MAX_VALUES + 1)},
        {"entity_data": {f"a{number}": "" for number in range(MAX_MAP + 1)}},
    ],
)
@pytest.mark.parametrize("name", ["alice", "bob"])  # whose records come together, and singly
def test_a_record_of_too_many_values_costs_that_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: Body
) -> None:
    monkeypatch.setattr("tests.backup.world._encodes", lambda _: True)
    world = World(tmp_path)
    world.person("bob")
    whose = world.source.people[name]
    whose.put("received_comment", "before", {"text": "1"})
    whose.put("received_comment", "bomb", body)
    whose.put("received_comment", "later", {"text": "2"})
    whose.put("received_like", "like", {"text": "3"})
    report = world.run()
    (notes,) = (each.notes for each in report.accounts if each.username == name)
    assert any("cannot be stored" in note for note in notes)
    del whose.records["received_comment", "bomb"]
    assert world.restored(name) == whose.content()
