"""What the daemon does: it backs up who is due, scrubs, and asks what it will need."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.accounts.newcomers import count_sentence, welcome
from vaultd.backup.counting import ask_targets
from vaultd.backup.metrics import write_metrics
from vaultd.backup.report import RunReport
from vaultd.backup.run.pool import open_pool
from vaultd.backup.run.run import run_backup
from vaultd.backup.target_trouble import by_target
from vaultd.backup.upkeep.erasing import erase_old_vaults
from vaultd.backup.upkeep.scrub import scrub
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.clock import now
from vaultd.config import Config
from vaultd.daemon.control import Turns
from vaultd.daemon.notify import Notifier
from vaultd.daemon.patience import Patience
from vaultd.daemon.schedule import due, tick
from vaultd.errors import DatabaseError, VaultdError, whereabouts
from vaultd.keys import PodKey
from vaultd.sizes import plural
from vaultd.sources.base import Source
from vaultd.state.store import State
from vaultd.state.vaults.old_vaults import OldVault

_ERASE_AGAIN: Final = timedelta(hours=1)
_WELCOME_AGAIN: Final = timedelta(hours=1)

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setup:
    """What the daemon works with; a reload makes a new one."""

    config: Config
    source: Source
    targets: Mapping[str, Backend]
    pod_key: PodKey


class Duties:
    """Each is a job of the clockwork, done in the daemon's own turn; none ever raises."""

    def __init__(
        self,
        setup: Setup,
        state: State,
        turns: Turns,
        notifier: Notifier,
        stopping: threading.Event,
    ) -> None:
        self.setup = setup
        self._state = state
        self._turns = turns
        self._notifier = notifier
        self._stopping = stopping
        self._welcome_at, self._told = 0.0, ""
        self._database = Patience("The database")
        self._duties: dict[str, Patience] = {}
        self._targets: dict[str, Patience] = {}

    def back_up(self) -> float | None:
        """Back up who is due; return when to try again, where it is other than usual."""
        return self._in_turn("The daemon backs up accounts.", "Backing up", self._tick)

    def scrub(self) -> float | None:
        """Read a share of every target again; what is bad is due at once."""
        return self._in_turn("The daemon scrubs.", "Scrubbing", self._scrub)

    def look(self) -> float | None:
        """Ask the database and every target whether they are there: a run without changes asks
        no target, and one that went away would be found when it is needed."""
        return self._in_turn("The daemon looks at its targets.", "Looking", self._look)

    def _must_end(self) -> bool:
        return self._stopping.is_set() or self._turns.wanted

    def _in_turn(
        self, doing: str, what: str, action: Callable[[Setup], float | None]
    ) -> float | None:
        with self._turns.own(doing):
            if self._must_end():
                return None
            patience = self._duties.setdefault(what, Patience(what))
            try:
                wanted = action(self.setup)
            except VaultdError as error:
                self._notifier.status(str(error))
                if isinstance(error, DatabaseError):
                    patience = self._database
                every = tick(self.setup.config.schedule.period).total_seconds()
                return patience.failed(str(error), every)
            except Exception as error:  # noqa: BLE001 - a bug must not end the daemon
                _log.error("%s failed, a bug in vaultd: %s", what, whereabouts(error))
                return None
            patience.worked()
            return wanted

    def _tick(self, setup: Setup) -> float | None:
        self._erase(setup)
        self._welcome(setup)
        return self._back_up(setup)

    def _welcome(self, setup: Setup) -> None:
        """Enrol by policy, or count, who signed up; the pod is asked a few times a period."""
        at = time.monotonic()
        if at < self._welcome_at:
            return
        pause = min(_WELCOME_AGAIN, setup.config.schedule.period / 24)
        self._welcome_at = at + pause.total_seconds()
        found = welcome(setup.config, self._state, setup.source, setup.targets)
        if found.enrolled:
            _log.info("%s enrolled by policy.", plural(len(found.enrolled), "account"))
        for note in found.notes:
            _log.warning("%s", note)
        told = count_sentence(found.count, setup.config.enroll.policy)
        if told and told != self._told:
            _log.warning("%s", told)
        self._told = told

    def _erase(self, setup: Setup) -> None:
        """Erase old vaults that are due, also while nobody is to be backed up."""
        if not self._state.old_vaults.count_pending():
            return
        own = OwnPlaces(setup.config, self._state)
        found = erase_old_vaults(
            self._state,
            setup.targets,
            own,
            again_after=min(_ERASE_AGAIN, setup.config.schedule.period / 4),
            should_stop=self._must_end,
        )
        own.save()
        _tell_erased(found.done, found.failed)

    def _back_up(self, setup: Setup) -> float | None:
        names = self._state.usernames()
        results = {result.username: result for result in self._state.journal.results()}
        waiting = due(names, results, setup.config.schedule.period, now())
        if not waiting:
            return None
        self._notifier.status(f"Backing up {plural(len(waiting), 'account')}.")
        with open_pool(setup.config) as pool:
            report = run_backup(
                setup.config,
                self._state,
                setup.source,
                setup.targets,
                setup.pod_key,
                waiting,
                should_stop=self._must_end,
                pool=pool,
            )
        self._database.worked()
        self._tell(report)
        write_metrics(setup.config, self._state)
        return None

    def _scrub(self, setup: Setup) -> None:
        own = OwnPlaces(setup.config, self._state)
        part = setup.config.scrub.part
        found = scrub(self._state, setup.targets, part, own=own, should_stop=self._must_end)
        for problem in (*found.problems, *found.notes):
            _log.warning("%s", problem)
        for bad in found.findings:
            _log.error("%s: %s Healed: %s.", bad.target, bad.sentence, bad.healed or "no")
        _log.info("Scrubbed %s, %d bad.", plural(found.objects, "object"), len(found.findings))

    def _look(self, setup: Setup) -> float | None:
        every = tick(setup.config.schedule.period).total_seconds()
        again: list[float] = []
        for name, trouble in ask_targets(self._state, setup.targets).items():
            patience = self._targets.setdefault(name, Patience(f"Target {name}"))
            if trouble:
                again.append(patience.failed(f"{name}: {trouble}", every))
            else:
                patience.worked()
        setup.source.moment()  # raises where the database is away
        self._database.worked()
        write_metrics(setup.config, self._state)
        return min(again, default=None)

    def _tell(self, report: RunReport) -> None:
        troubles, others = by_target(report.failed)
        for trouble in troubles:
            _log.warning("%s", trouble.sentence)
        for account in others:
            _log.warning("%s: %s", account.username, account.reason)
        for account in report.remarkable:
            for note in account.notes:
                _log.info("%s: %s", account.username, note)
        for room in report.rooms:
            if room.low:
                _log.warning("%s", room.sentence)
        _tell_erased(report.erased, report.not_erased)
        if report.own.accounts:
            _log.warning("%s", report.own.sentence)
        sentence = (
            f"{plural(report.looked_at, 'account')} looked at, {report.written} changed, "
            f"{len(report.failed)} failed, {report.bytes:,} bytes stored."
        )
        _log.info("%s", sentence)
        self._notifier.status(f"Last run: {sentence}")


def _tell_erased(done: Sequence[OldVault], failed: Sequence[OldVault]) -> None:
    for old in done:
        _log.info("%s: an old vault of %s was erased.", old.target, old.username)
    for old in failed:
        _log.warning(
            "%s: an old vault of %s could not be erased: %s", old.target, old.username, old.result
        )
