"""A real pod's account full of rows that break every habit: kept, or left out and named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.backup.world import POD_KEY, World
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.report import Status
from vaultd.backup.run.run import run_backup
from vaultd.keys import Secrets
from vaultd.records import Record, encode_record
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.database import open_engine

pytestmark = pytest.mark.realpod

_COUNTS = {
    "post": "SELECT count(*) FROM posts WHERE author_id = :person",
    "photo": "SELECT count(*) FROM photos WHERE author_id = :person",
    "comment": "SELECT count(*) FROM comments WHERE author_id = :person",
    "contact": "SELECT count(*) FROM contacts WHERE user_id = :user",
    "aspect": "SELECT count(*) FROM aspects WHERE user_id = :user",
    "block": "SELECT count(*) FROM blocks WHERE user_id = :user",
    "followed_tag": "SELECT count(*) FROM tag_followings WHERE user_id = :user",
    "received_comment": "SELECT count(*) FROM comments c JOIN posts p ON p.id = c.commentable_id "
    "WHERE p.author_id = :person AND c.author_id <> :person",
}
_NAMES = ("otto", "lucie", "wei", "marta")


def test_every_row_of_the_nasty_account_is_stored_and_others_are_as_ever(
    nastypod: str, tmp_path: Path
) -> None:
    source = DiasporaSource(nastypod, "https://o1.test/", tmp_path)
    world, memory = World(tmp_path / "state"), MemoryBackend()
    secrets = {name: Secrets.from_secret(name.encode().ljust(16, b".")[:16]) for name in _NAMES}
    for account in source.accounts(_NAMES):
        recipient = secrets[account.username].recipient
        world.state.enroll(
            username=account.username, guid=account.guid, handle=account.handle,
            recipient=str(recipient), vault_id=recipient.vault_id,
        )  # fmt: skip
    report = run_backup(world.config, world.state, source, {"main": memory}, POD_KEY, _NAMES)
    assert {each.username: each.status for each in report.accounts} == dict.fromkeys(
        _NAMES, Status.WRITTEN
    )
    for each in report.accounts:
        # Only the pictures are not here.
        assert all("records are stored without a picture" in note for note in each.notes), (
            each.notes
        )
    vault = open_with_kit(memory, secrets["otto"], [])
    stored = {(r.kind, r.id): r.body for r in Snapshot(vault, vault.at(None)).records()}
    counts = Counter(kind for kind, _ in stored)
    engine = open_engine(nastypod)
    with engine.connect() as connection:
        user, person = connection.execute(
            text("SELECT u.id, p.id FROM users u JOIN people p ON p.owner_id = u.id "
                 "WHERE u.username = 'otto'")
        ).one()  # fmt: skip
        for kind, query in _COUNTS.items():
            asked = {"user": user, "person": person}
            assert counts[kind] == connection.execute(text(query), asked).scalar(), kind
    engine.dispose()
    for _, record in singly(source.read(source.accounts(["otto"]))):
        assert isinstance(record, Record)
        body = stored[record.kind, record.id]
        assert body is not None
        if record.finish is None and record.file is None:
            assert encode_record("", "", body) == encode_record("", "", record.body)
    run_again = run_backup(world.config, world.state, source, {"main": memory}, POD_KEY, _NAMES)
    assert not run_again.failed
