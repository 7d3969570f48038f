"""Accounts that cannot be backed up are told of in every run until that is mended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, delete, update

from tests.backup.test_passing import TellingSource
from tests.backup.world import POD_KEY, World
from tests.sources.test_fingerprints import Pod
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.report import RunReport
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, StateSection, Target
from vaultd.config import Pod as PodSection
from vaultd.demo.pod import POD_URL
from vaultd.keys import Recipient, Secrets
from vaultd.sources.base import Changes
from vaultd.state.store import State


def _reasons(state: State) -> dict[str, str]:
    return {each.username: each.reason for each in state.journal.results()}


@pytest.mark.parametrize("how", ["gone", "another", "incomplete"])
def test_who_is_refused_stays_refused_until_it_is_mended(tmp_path: Path, how: str) -> None:
    world = World(tmp_path)
    source = TellingSource()
    source.people, world.source = world.source.people, source
    world.person("bob")
    assert len(world.run().changed) == 2
    whole = source.people["bob"]
    was = whole.account
    if how == "gone":
        del source.people["bob"]
    elif how == "another":
        whole.account = dataclasses.replace(was, guid="f" * 32)
    else:
        whole.account = dataclasses.replace(was, state="incomplete")
    source.told = Changes(b"2", frozenset(("bob",)))
    for told in (b"3", b"4", b"5"):
        report = world.run()
        assert [a.username for a in report.failed] == ["bob"]
        assert _reasons(world.state)["bob"] == report.failed[0].reason != ""
        source.told = Changes(told, frozenset())
    whole.account, source.people["bob"] = was, whole
    assert not world.run().failed
    assert _reasons(world.state)["bob"] == ""


class _Backup:
    """Three accounts of a pod on PostgreSQL, backed up to memory."""

    def __init__(self, pod: Pod, folder: Path) -> None:
        self.pod = pod
        folder.mkdir()
        self.state = State(folder)
        self.target = MemoryBackend()
        self.config = Config(
            pod=PodSection(POD_URL, pod.url, str(folder)),
            targets={"main": Target("memory:main")},
            state=StateSection(str(folder)),
        )
        self.names = [account.username for account in pod.source.accounts()[:3]]
        for number, name in enumerate(self.names):
            own = Secrets.from_secret(number.to_bytes(16, "big"))
            enroll(self.state, pod.source, name, Recipient.parse(str(own.recipient)))

    def run(self) -> RunReport:
        return run_backup(self.config, self.state, self.pod.source, {"main": self.target}, POD_KEY)

    def write(self, edit: Callable[[Connection], object]) -> None:
        with self.pod.engine.begin() as connection:
            edit(connection)


def test_on_postgresql_a_refused_account_is_never_taken_for_unchanged(
    postgres_url: str, tmp_path: Path
) -> None:
    pod = Pod(postgres_url, tmp_path / "images")
    backup = _Backup(pod, tmp_path / "state")
    users, people, profiles = (pod.table(name) for name in ("users", "people", "profiles"))
    renamed, taken, bare = backup.names
    # Their files are not here, and an account that lacks one is looked at in every run anyhow.
    backup.write(lambda connection: connection.execute(delete(pod.table("photos"))))
    ids = {account.username: account.key for account in pod.source.accounts()}
    assert len(backup.run().changed) == 3
    assert len(backup.state.marks.of([1, 2, 3])) == 3
    for name, edit in (
        (renamed, update(users).where(users.c.id == ids[renamed]).values(username="other")),
        (taken, update(people).where(people.c.owner_id == ids[taken]).values(guid="f" * 32)),
        (bare, delete(profiles).where(profiles.c.person_id == ids[bare])),
    ):
        backup.write(lambda connection, edit=edit: connection.execute(edit))  # type: ignore[misc]
        for _ in range(3):
            failed = {account.username: account.reason for account in backup.run().failed}
            assert name in failed
            assert _reasons(backup.state)[name] == failed[name]
    assert set(failed) == {renamed, taken, bare}
