"""A worker that dies costs the account that ended it, which is named; nobody reads that again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.backup.test_pool import ACCOUNTS, _config, _run, database
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.engine.batch import Job
from vaultd.backup.run import run as run_module
from vaultd.backup.run.pool import Pool, open_pool
from vaultd.config import Config
from vaultd.restore.verify import verify_place
from vaultd.state.store import State

__all__ = ["database"]
DEADLY = "user07"
# Read by every worker before anything else; the process of the test never does.
SABOTAGE = """
import json, os, resource, signal
from vaultd.sources.diaspora import DiasporaSource

read, spec = DiasporaSource.read, json.loads(os.environ["SABOTAGE"])
if spec["at_once"]:
    os.kill(os.getpid(), signal.SIGKILL)

def deadly(self, accounts):
    with open(spec["log"], "a") as log:
        log.write(" ".join(each.username for each in accounts) + "\\n")
    if spec["limit"]:
        resource.setrlimit(resource.RLIMIT_AS, (spec["limit"], spec["limit"]))
    if any(each.username == spec["who"] for each in accounts):
        if spec["limit"]:
            bytearray(2 * spec["limit"])
        os.kill(os.getpid(), spec["signal"])
    return read(self, accounts)

DiasporaSource.read = deadly
"""


class Saboteur:
    """Has workers die when they read an account; `batches` are those that they began to read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._log = folder / "log"
        self._log.touch()
        self._patch = monkeypatch
        (folder / "sitecustomize.py").write_text(SABOTAGE)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setattr(run_module, "_WORTH_A_POOL", 1)

    def choose(self, who: str, *, signal: int = 9, limit: int = 0, at_once: bool = False) -> None:
        spec = {"who": who, "signal": signal, "limit": limit, "log": str(self._log)}
        spec["at_once"] = at_once
        self._patch.setenv("SABOTAGE", json.dumps(spec))

    @property
    def batches(self) -> list[list[str]]:
        found = [line.split() for line in self._log.read_text().splitlines()]
        self._log.write_text("")
        return found


@pytest.fixture
def saboteur(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saboteur:
    folder = tmp_path / "sabotage"
    folder.mkdir()
    return Saboteur(folder, monkeypatch)


def _reasons(config: Config) -> dict[str, str]:
    state = State(Path(config.state.path))
    try:
        return {r.username: r.reason for r in state.journal.results() if r.status == "failed"}
    finally:
        state.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [9, 11])
def test_a_worker_ended_by_a_signal_costs_the_account_alone_that_it_died_of(
    database: Path, tmp_path: Path, saboteur: Saboteur, number: int, workers: int
) -> None:
    config = _config(database, tmp_path, workers)
    saboteur.choose(DEADLY, signal=number)
    with open_pool(config) as pool:
        if workers == 1:
            # As after a kill of the run that had them in hand: nobody may read them in itself.
            state = State(Path(config.state.path))
            saboteur.choose("nobody")
            _run(config, None)
            for each in state.enrollments():
                state.vaults.restart(each.id, "main", 1)
            state.suspects.add([each.id for each in state.enrollments()])
            saboteur.choose(DEADLY, signal=number)
        report = _run(config, pool)
    assert [account.username for account in report.failed] == [DEADLY]
    reason = report.failed[0].reason
    assert "The process that read this account alone " in reason
    assert ("no memory left" if number == 9 else "SIGSEGV") in reason
    assert _reasons(config) == {DEADLY: reason}
    assert report.looked_at == ACCOUNTS
    deadly = [batch for batch in saboteur.batches if DEADLY in batch]
    assert deadly[-1] == [DEADLY]
    assert len(deadly) == 2
    assert verify_place(FolderBackend(tmp_path / "vaults")).problems == []
    # The next run knows whom to read alone, and costs nobody else a second reading.
    with open_pool(config) as pool:
        again = _run(config, pool)
    assert [account.username for account in again.failed] == [DEADLY]
    assert [batch for batch in saboteur.batches if DEADLY in batch] == [[DEADLY]]
    saboteur.choose("nobody")
    with open_pool(config) as pool:
        assert [account.username for account in _run(config, pool).changed] == [DEADLY]
        assert not _run(config, pool).failed
    state = State(Path(config.state.path))
    assert state.suspects.all() == {}


def test_an_account_that_needs_more_memory_than_there_is_fails_alone_and_says_so(
    database: Path, tmp_path: Path, saboteur: Saboteur
) -> None:
    config = _config(database, tmp_path, 2)
    saboteur.choose(DEADLY, limit=2 << 30)
    with open_pool(config) as pool:
        report = _run(config, pool)
    assert [account.username for account in report.failed] == [DEADLY]
    assert "not enough memory" in report.failed[0].reason
    assert _reasons(config) == {DEADLY: report.failed[0].reason}
    assert len(report.changed) == ACCOUNTS - 1


def _suspect_alone(config: Config, name: str) -> None:
    state = State(Path(config.state.path))
    (account,) = state.enrollments([name])
    state.vaults.restart(account.id, "main", 1)
    state.suspects.add([account.id], alone=True)
    state.close()


def test_an_account_whose_own_worker_never_begins_is_told_of(
    database: Path, tmp_path: Path, saboteur: Saboteur
) -> None:
    config = _config(database, tmp_path, 1)
    saboteur.choose("nobody")
    _run(config, None)
    _suspect_alone(config, DEADLY)
    saboteur.choose("nobody", at_once=True)
    with open_pool(config) as pool:
        report = _run(config, pool)
    assert [account.username for account in report.failed] == [DEADLY]
    assert report.looked_at == ACCOUNTS
    saboteur.choose("nobody")
    with open_pool(config) as pool:
        assert [account.username for account in _run(config, pool).changed] == [DEADLY]


def test_a_run_stopped_before_the_last_account_is_read_alone_says_so(
    database: Path, tmp_path: Path, saboteur: Saboteur
) -> None:
    config = _config(database, tmp_path, 1)
    saboteur.choose("nobody")
    _run(config, None)
    _suspect_alone(config, DEADLY)
    asked: list[bool] = []

    class Stopping(Pool):
        """Is asked to stop once the account was handed over."""

        def submit(self, batch: int, jobs: Sequence[Job]) -> None:
            asked.append(True)
            self.stop()
            super().submit(batch, jobs)

    pool = Stopping(config, 1)
    report = _run(config, pool, should_stop=lambda: bool(asked))
    pool.close()
    assert report.interrupted
    assert not report.failed
    assert saboteur.batches == []
    with open_pool(config) as fresh:
        assert [account.username for account in _run(config, fresh).changed] == [DEADLY]
