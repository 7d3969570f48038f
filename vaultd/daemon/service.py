"""`vaultd run`: due accounts are backed up, tick by tick, until a signal says stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from vaultd.backends.base import Backend
from vaultd.backup.metrics import write_metrics
from vaultd.backup.own_targets import OwnPlaces
from vaultd.backup.pool import open_pool
from vaultd.backup.report import RunReport, whereabouts
from vaultd.backup.run import run_backup
from vaultd.backup.scrub import scrub
from vaultd.backup.setup import open_source, open_targets
from vaultd.clock import now
from vaultd.config import Config, load
from vaultd.daemon.logs import set_up_logging
from vaultd.daemon.notify import Notifier
from vaultd.daemon.schedule import due, tick
from vaultd.errors import VaultdError
from vaultd.keys import PodKey
from vaultd.sources.base import Source
from vaultd.state.lock import StateLock
from vaultd.state.store import State

STOP_SECONDS: Final = 50  # systemd gives a minute
_PULSE: Final = 20.0

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the daemon works with; a reload makes a new one."""

    config: Config
    source: Source
    targets: Mapping[str, Backend]
    pod_key: PodKey


class Service:
    """One daemon; `run` returns after SIGTERM or SIGINT.

    `set_up` reads the config and opens what it names: at the start, where an error ends the
    daemon, and at SIGHUP, where it keeps the old set-up.
    """

    def __init__(self, set_up: Callable[[], Workshop], notifier: Notifier) -> None:
        self._set_up = set_up
        self._notifier = notifier
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._idle = threading.Lock()

    def run(self) -> bool:
        """Serve until stopped; tell whether all work ended in time.

        Raises LockedError when another vaultd works on this state, and what `set_up` raises.
        """
        self._workshop = workshop = self._set_up()
        directory = Path(workshop.config.state.path)
        with StateLock(directory):
            self._state = State(directory)
            self._listen()
            scheduler = BackgroundScheduler(
                executors={"default": ThreadPoolExecutor(1)},
                job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
                timezone="UTC",
            )
            job = scheduler.add_job(
                self._tick,
                "interval",
                seconds=tick(workshop.config.schedule.period).total_seconds(),
                next_run_time=now(),
            )
            scheduler.add_job(
                self._scrub, "interval", seconds=workshop.config.scrub.period.total_seconds()
            )
            scheduler.start()
            self._notifier.ready()
            _log.info("Ready: %d accounts enrolled.", len(self._state.enrollments()))
            pulse = min(_PULSE, (self._notifier.watchdog_seconds or _PULSE * 2) / 2)
            while not self._stop.is_set():
                self._wake.wait(pulse)
                self._wake.clear()
                self._notifier.alive()
                if self._reload.is_set():
                    self._reload.clear()
                    self._reload_config(job.reschedule)
            return self._shut_down(scheduler)

    def stop(self) -> None:
        """Ask the daemon to stop: the account in flight is finished first."""
        self._stop.set()
        self._wake.set()

    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload.set()
        self._wake.set()

    def _shut_down(self, scheduler: BackgroundScheduler) -> bool:
        self._notifier.stopping()
        self._notifier.status("Stopping: finishing the account in flight.")
        scheduler.shutdown(wait=False)
        done = self._idle.acquire(timeout=STOP_SECONDS)
        if done:
            self._idle.release()
            self._state.close()
            _log.info("Stopped.")
        else:
            _log.warning("An upload did not end in time; it is dropped, the next run repeats it.")
        return done

    def _reload_config(self, reschedule: Callable[..., object]) -> None:
        self._notifier.reloading()
        try:
            workshop = self._set_up()
        except VaultdError as error:
            _log.error("Reload refused, the old config stays: %s", error)
            self._notifier.status(f"Reload refused: {error}")
        else:
            if workshop.config.state.path != self._workshop.config.state.path:
                _log.error("state.path cannot change while running; restart to change it.")
            else:
                self._workshop = workshop
                seconds = tick(workshop.config.schedule.period).total_seconds()
                reschedule("interval", seconds=seconds)
                _log.info("The config was reloaded.")
        self._notifier.ready()

    def _tick(self) -> None:
        with self._idle:
            if self._stop.is_set():
                return
            workshop = self._workshop
            try:
                self._back_up(workshop)
            except VaultdError as error:
                _log.error("%s", error)
                self._notifier.status(str(error))
            except Exception as error:  # noqa: BLE001 - a bug must not end the daemon
                _log.error("A run failed unexpectedly, a bug in vaultd: %s", whereabouts(error))

    def _back_up(self, workshop: Workshop) -> None:
        names = [enrollment.username for enrollment in self._state.enrollments()]
        results = {result.username: result for result in self._state.journal.results()}
        waiting = due(names, results, workshop.config.schedule.period, now())
        if not waiting:
            return
        self._notifier.status(f"Backing up {len(waiting)} accounts.")
        with open_pool(workshop.config) as pool:
            report = run_backup(
                workshop.config,
                self._state,
                workshop.source,
                workshop.targets,
                workshop.pod_key,
                waiting,
                should_stop=self._stop.is_set,
                pool=pool,
            )
        self._tell(report)
        write_metrics(workshop.config, self._state)

    def _scrub(self) -> None:
        """Read a share of every target again; what is bad is due at once."""
        with self._idle:
            if self._stop.is_set():
                return
            workshop = self._workshop
            try:
                own = OwnPlaces(workshop.config, self._state)
                part = workshop.config.scrub.part
                found = scrub(self._state, workshop.targets, part, own=own)
            except VaultdError as error:
                _log.error("Scrubbing failed: %s", error)
                return
            except Exception as error:  # noqa: BLE001 - a bug must not end the daemon
                _log.error("Scrubbing failed, a bug in vaultd: %s", whereabouts(error))
                return
            for problem in (*found.problems, *found.notes):
                _log.warning("%s", problem)
            for bad in found.findings:
                _log.error("%s: %s Healed: %s.", bad.target, bad.sentence, bad.healed or "no")
            _log.info("Scrubbed %d objects, %d bad.", found.objects, len(found.findings))

    def _tell(self, report: RunReport) -> None:
        for account in report.failed:
            _log.warning("%s: %s", account.username, account.reason)
        for account in report.remarkable:
            for note in account.notes:
                _log.info("%s: %s", account.username, note)
        for room in report.rooms:
            if room.low:
                _log.warning("%s", room.sentence)
        if report.own.accounts:
            _log.warning("%s", report.own.sentence)
        sentence = (
            f"{report.looked_at} accounts looked at, {report.written} changed, "
            f"{len(report.failed)} failed, {report.bytes:,} bytes stored."
        )
        _log.info("%s", sentence)
        self._notifier.status(f"Last run: {sentence}")


def serve(config_path: Path | None) -> int:
    """Be the daemon of this config until stopped; return the exit code."""

    def set_up() -> Workshop:
        config = load(config_path, os.environ)
        set_up_logging(config.log.level, config.log.format)
        pod_key = PodKey.load(Path(config.state.path) / "pod.key")
        return Workshop(config, open_source(config), open_targets(config), pod_key)

    if not Service(set_up, Notifier()).run():
        # A thread hangs in an upload. Every moment is one to be killed at, so do not wait for it.
        logging.shutdown()
        os._exit(0)
    return 0
