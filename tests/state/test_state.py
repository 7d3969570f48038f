"""The state database: schema, file modes, and transactions that a kill cannot halve."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from vaultd.errors import ConfigError, DamageError, UsageError
from vaultd.state.database import FILE_NAME
from vaultd.state.journal import Result
from vaultd.state.key_file import KEY_FILE
from vaultd.state.models import Base
from vaultd.state.store import Enrollment, State
from vaultd.state.upgrade import HEAD
from vaultd.state.vaults.points import StoredArchive, VaultPoint
from vaultd.state.vaults.vaults import Staged


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def enroll(state: State, username: str = "alice", recipient: str = "vault1a") -> Enrollment:
    return state.enroll(
        username=username,
        guid="g",
        handle=f"{username}@pod.example",
        recipient=recipient,
        vault_id="0" * 32,
    )


def point(sequence: int) -> VaultPoint:
    archive = StoredArchive(sequence, f"{'0' * 32}/{sequence}", 10, b"h" * 32)
    return VaultPoint(sequence, archive, (archive,), 5, b"photos")


def test_all_migrations_together_build_what_the_models_say(tmp_path: Path) -> None:
    State(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        migrated = inspect(connection)
        direct = create_engine("sqlite://")
        Base.metadata.create_all(direct)
        wanted = inspect(direct)
        for table in wanted.get_table_names():
            assert migrated.get_pk_constraint(table) == wanted.get_pk_constraint(table)
            assert migrated.get_foreign_keys(table) == wanted.get_foreign_keys(table)
            assert migrated.get_unique_constraints(table) == wanted.get_unique_constraints(table)


def test_the_newest_migration_is_the_head_that_the_code_knows() -> None:
    versions = files("vaultd.state").joinpath("migrations/versions").iterdir()
    assert max(file.name[:4] for file in versions if file.name[0].isdigit()) == HEAD


def test_folder_and_files_are_for_the_owner_only(state: State) -> None:
    enroll(state)
    assert stat.S_IMODE(state.directory.stat().st_mode) == 0o700
    for path in state.directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_the_database_writes_ahead_and_syncs_fully(state: State) -> None:
    with state._session() as session:
        assert session.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert session.execute(text("PRAGMA synchronous")).scalar() == 2


def test_a_state_of_a_newer_vaultd_is_refused(state: State) -> None:
    state.close()
    with sqlite3.connect(state.directory / FILE_NAME) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(UsageError, match="newer vaultd"):
        State(state.directory)


def test_a_damaged_state_is_named_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"this is not a database, by no means " * 100)
    with pytest.raises(DamageError, match="no vault is affected"):
        State(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"state\.path"):
        State(tmp_path / "file" / "state")


def test_the_digest_key_stays_the_same(state: State) -> None:
    state.close()
    assert State(state.directory).digests.body(b"x") == state.digests.body(b"x")


def test_a_staged_point_counts_only_once_it_is_promoted(state: State) -> None:
    account = enroll(state).id
    state.vaults.stage([Staged(account, "main", point(1), [b"1", b"one"])])
    assert state.vaults.point(account, "main") is None
    assert state.vaults.staged([account])[account, "main"] == point(1).last.name  # type: ignore[union-attr]
    state.vaults.promote([(account, "main")])
    assert state.vaults.point(account, "main") == point(1)
    assert state.vaults.staged([account]) == {}
    state.vaults.stage([Staged(account, "main", point(2), [b"2"])])
    state.vaults.unstage(account, "main")
    assert state.vaults.point(account, "main") == point(1)
    state.vaults.promote([(account, "main")])  # nothing staged: nothing changes
    assert state.vaults.point(account, "main") == point(1)
    assert list(state.vaults.index_pieces(account, "main", 1)) == [b"1", b"one"]
    assert list(state.vaults.index_pieces(account, "main", 2)) == []
    state.vaults.stage([Staged(account, "main", point(2), [b"2"])])
    state.vaults.promote([(account, "main")])
    assert list(state.vaults.index_pieces(account, "main", 1)) == []
    assert list(state.vaults.index_pieces(account, "main", 2)) == [b"2"]


def test_starting_over_keeps_the_sequence_only(state: State) -> None:
    account = enroll(state).id
    state.vaults.stage([Staged(account, "main", point(4), [b"4"])])
    state.vaults.promote([(account, "main")])
    state.vaults.restart(account, "main", 7)
    found = state.vaults.point(account, "main")
    assert found == VaultPoint(7, None, (), 0, b"")


def test_a_new_recipient_forgets_the_old_vault(state: State) -> None:
    old = enroll(state)
    state.vaults.stage([Staged(old.id, "main", point(1), [b"1"])])
    state.vaults.promote([(old.id, "main")])
    state.journal.record_results([Result(old.id, "written", "")])
    new = enroll(state, recipient="vault1b")
    assert state.vaults.point(new.id, "main") is None
    assert state.journal.results() == []
    assert [e.recipient for e in state.enrollments()] == ["vault1b"]
    assert new.blob_key != old.blob_key
    assert repr(new).find("blob_key") == -1


def test_old_runs_are_forgotten(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vaultd.state.journal._KEPT_RUNS", 3)
    ids = [state.journal.start_run(1) for _ in range(5)]
    assert [run.id for run in state.journal.runs()] == ids[:1:-1]


def test_a_second_state_of_the_same_process_does_not_drop_the_locks_of_the_first(
    tmp_path: Path,
) -> None:
    first = State(tmp_path)
    first.usernames()
    State(tmp_path).close()  # closing a file of its own would drop all POSIX locks on it
    # Another process that believed itself the last one would take the log away under the first.
    script = f"from vaultd.state.store import State; State(Path({str(tmp_path)!r})).close()"
    subprocess.run([sys.executable, "-c", f"from pathlib import Path; {script}"], check=True)
    assert (tmp_path / f"{FILE_NAME}-wal").exists()
    first.close()


def test_the_key_is_beside_the_database_and_what_is_no_key_is_told(state: State) -> None:
    key = state.directory / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    state.close()
    for path in state.directory.iterdir():
        assert path == key or bytes.fromhex(key.read_text()) not in path.read_bytes()
    for wrong in ("no key at all", "00" * 31):
        key.write_text(wrong)
        with pytest.raises(ConfigError, match="64 hex"):
            State(state.directory)


def test_what_is_deleted_is_overwritten(state: State) -> None:
    with state._session() as session:
        assert session.execute(text("PRAGMA secure_delete")).scalar() == 1
    assert (state.directory / f"{FILE_NAME}-wal").exists()
    enroll(state)
    state.tidy()
    assert (state.directory / f"{FILE_NAME}-wal").stat().st_size == 0
