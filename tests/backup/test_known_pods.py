"""Known pods: every pod that the pod knew comes back, however its table changes."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, delete, insert, select, update

from tests.backup.world import Content, World
from vaultd.backup.accounts.enroll import enroll
from vaultd.demo.pod import POD_URL
from vaultd.demo.schema import build_schema
from vaultd.demo.world import World as Rows
from vaultd.fields import mapping, text, texts
from vaultd.keys import Secrets
from vaultd.sources.diaspora import DiasporaSource

Edit: TypeAlias = "dict[str, int | str | bool] | int"
Urls: TypeAlias = dict[str, str]

IDS = st.sampled_from((1, 2, 3, 127, 128, 129, 300))
ROWS = st.fixed_dictionaries(
    {
        "id": IDS,
        "host": st.sampled_from(("far1.example", "a.example", "A.example", "b.example")),
        "port": st.sampled_from((-1, 8443)),
        "ssl": st.booleans(),
        "blocked": st.booleans(),
    }
)
SECRETS = Secrets.from_secret(b"known pods......")


@cache
def _rows() -> Rows:
    """A pod of three, of whom `u2` has a contact on each of three other pods."""
    with tempfile.TemporaryDirectory() as images:
        rows = Rows(build_schema("0.9"), random.Random(5), Path(images), POD_URL)
        for number in range(3):
            rows.local(f"u{number}", "U", "")  # the last one has no picture
    for number in (1, 2, 3):
        rows.pod(f"far{number}.example", 1)
        rows.remote(f"r{number}", f"far{number}.example", "R", "", closed=False)
        rows.contact(rows.users[2], rows.remotes[-1], sharing=True, receiving=False)
    return rows


def _edit(engine: Engine, edits: list[Edit]) -> None:
    """Insert or replace rows (one with the same host and port goes away), delete them by id."""
    table, first = _rows().metadata.tables["pods"], _rows().rows["pods"][0]
    with engine.begin() as connection:
        for edit in edits:
            if isinstance(edit, int):
                connection.execute(delete(table).where(table.c.id == edit))
            else:
                connection.execute(insert(table).prefix_with("OR REPLACE"), {**first, **edit})


def _expected(engine: Engine) -> tuple[Urls, Urls]:
    """Return the pods of the table and those of the contacts, by host, with their URLs."""
    table = _rows().metadata.tables["pods"]
    known: Urls = {}
    by_id: dict[int, str] = {}
    with engine.connect() as connection:
        for row in connection.execute(select(table).order_by(table.c.id)):
            host = row.host.lower() + (":8443" if row.port == 8443 else "")
            known[host] = f"http{'s' if row.ssl else ''}://{host}/"
            by_id[row.id] = host
    tied = {by_id.get(number, f"far{number}.example") for number in (1, 2, 3)}
    return known, {host: known.get(host, f"https://{host}/") for host in tied}


def _restored(content: Content) -> tuple[Urls, Urls]:
    known: Urls = {}
    numbers = sorted(int(record_id) for kind, record_id in content if kind == "known_pods")
    for number in numbers:
        body = content["known_pods", str(number)]
        for host in texts(body, "hosts"):
            known[host] = text(mapping(body, "urls"), host) or f"https://{host}/"
    audience = {r: text(b, "url") or "" for (kind, r), b in content.items() if kind == "audience"}
    return known, audience


@settings(max_examples=10, deadline=None)
@given(nights=st.lists(st.lists(st.one_of(ROWS, IDS), max_size=6), min_size=1, max_size=3))
def test_every_pod_of_the_table_and_of_the_contacts_comes_back(nights: list[list[Edit]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/pod.sqlite3"
        engine, rows, world = create_engine(url), _rows(), World(Path(folder) / "state")
        rows.metadata.create_all(engine)
        rows.flush(engine)
        source = world.source = DiasporaSource(url, POD_URL, Path(folder))  # type: ignore[assignment]
        world.secrets["u2"] = SECRETS
        enroll(world.state, source, "u2", SECRETS.recipient)
        world.run("u2")
        profiles = rows.metadata.tables["profiles"]
        for night, edits in enumerate(nights):
            _, tied = _expected(engine)
            _edit(engine, edits)
            known, now_tied = _expected(engine)
            assert bool(world.run("u2").changed) == (now_tied != tied)
            with engine.begin() as connection:
                connection.execute(update(profiles).values(bio=f"Night {night}"))
            assert world.run("u2").changed
            assert _restored(world.restored("u2")) == (known, now_tied)
        world.state.close()
        engine.dispose()


def test_all_accounts_share_the_records_and_a_new_pod_touches_the_last(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/pod.sqlite3"
    engine, rows = create_engine(url), _rows()
    rows.metadata.create_all(engine)
    rows.flush(engine)
    _edit(engine, [{"id": number, "host": f"p{number}.example"} for number in range(10, 300)])
    source = DiasporaSource(url, POD_URL, tmp_path)

    def records() -> dict[str, bytes]:
        found = [r for _, r in source.read(source.accounts()) if r.kind == "known_pods"]
        assert len(found) == 3
        assert all(each.passive and each.wires == found[0].wires for each in found)
        return dict(zip(found[0].ids, found[0].wires, strict=True))

    before = records()
    assert list(before) == ["0", "1", "2"]
    _edit(engine, [{"id": 300, "host": "new.example"}])
    after = records()
    assert {key for key in after if after[key] != before[key]} == {"2"}
    assert sum(map(len, after.values())) < 20 * 300


def test_a_vault_with_a_record_for_each_known_pod_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    hosts = [f"p{number}.example" for number in range(20)]
    for host in hosts:
        body = {"host": host, "url": f"https://{host}/", "why": {"known": 1}, "people": []}
        world.alice.put("audience", host, body, passive=True)
    world.run()
    old = world.alice.content()
    for host in hosts:
        del world.alice.records["audience", host]
    world.alice.put("known_pods", "0", {"hosts": [*hosts], "urls": {}}, passive=True)
    assert world.run().unchanged
    assert world.restored() == old
    tie = {"host": hosts[0], "url": f"https://{hosts[0]}/", "why": {"contact": 1}, "people": []}
    world.alice.put("audience", hosts[0], tie)
    assert world.run().changed
    assert world.restored() == world.alice.content()
    assert world.restored(at="1") == old
    world.alice.put("post", "p2", {"text": "more"})
    assert world.run().changed
    assert world.restored() == world.alice.content()
