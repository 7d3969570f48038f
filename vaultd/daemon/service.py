"""`vaultd run`: due accounts are backed up, tick by tick, until a signal says stop."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.clock import now
from vaultd.config import Config, load
from vaultd.daemon.clockwork import Clockwork
from vaultd.daemon.control import ControlServer, Turns
from vaultd.daemon.duties import Duties, Setup
from vaultd.daemon.logs import set_up_logging
from vaultd.daemon.notify import Notifier
from vaultd.daemon.schedule import tick, until_scrub
from vaultd.errors import VaultdError
from vaultd.keys import PodKey
from vaultd.sizes import plural
from vaultd.state.lock import StateLock
from vaultd.state.store import State

STOP_SECONDS: Final = 50  # systemd gives a minute
_PULSE: Final = 20.0
_BACKUP, _SCRUB, _LOOK = "backup", "scrub", "look"

_log: Final = logging.getLogger(__name__)


class Service:
    """One daemon; `run` returns after SIGTERM or SIGINT.

    `set_up` reads the config and opens what it names: at the start, where an error ends the
    daemon, and at SIGHUP, where it keeps the old set-up.
    """

    def __init__(self, set_up: Callable[[], Setup], notifier: Notifier) -> None:
        self._set_up = set_up
        self._notifier = notifier
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._reload = threading.Event()

    def run(self) -> bool:
        """Serve until stopped; tell whether all work ended in time.

        Raises LockedError when another vaultd works on this state, and what `set_up` raises.
        """
        setup = self._set_up()
        directory = Path(setup.config.state.path)
        clockwork = Clockwork()
        with StateLock(directory) as lock:
            state, turns = State(directory), Turns(lock, self._stop)
            with ControlServer(directory, turns, lambda: clockwork.soon(_BACKUP)):
                duties = Duties(setup, state, turns, self._notifier, self._stop)
                self._listen()
                periods = _periods(setup.config)
                clockwork.add(_BACKUP, periods[_BACKUP], duties.back_up)
                first = until_scrub(state.vaults.last_scrub(), setup.config.scrub.period, now())
                clockwork.add(_SCRUB, periods[_SCRUB], duties.scrub, after=first.total_seconds())
                clockwork.add(_LOOK, periods[_LOOK], duties.look, after=periods[_LOOK])
                clockwork.start()
                self._notifier.ready()
                _log.info("Ready: %s enrolled.", plural(state.enrolled(), "account"))
                self._serve(duties, clockwork)
                return self._shut_down(clockwork, turns, state)

    def _serve(self, duties: Duties, clockwork: Clockwork) -> None:
        pulse = min(_PULSE, (self._notifier.watchdog_seconds or _PULSE * 2) / 2)
        while not self._stop.is_set():
            self._wake.wait(pulse)
            self._wake.clear()
            self._notifier.alive()
            if self._reload.is_set():
                self._reload.clear()
                self._reload_config(duties, clockwork)

    def stop(self) -> None:
        """Ask the daemon to stop: what was read whole is stored first."""
        self._stop.set()
        self._wake.set()

    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._stop.is_set():
            os._exit(128 + number)  # Ctrl-C twice: every moment is one to be killed at
        self.stop()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload.set()
        self._wake.set()

    def _shut_down(self, clockwork: Clockwork, turns: Turns, state: State) -> bool:
        self._notifier.stopping()
        self._notifier.status("Stopping: storing what was read whole.")
        _log.info("Stopping: storing what was read whole; Ctrl-C again ends at once.")
        clockwork.end()
        done = turns.idle_within(STOP_SECONDS)
        if done:
            state.close()
            _log.info("Stopped.")
        else:
            _log.warning("An upload did not end in time; it is dropped, the next run repeats it.")
        return done

    def _reload_config(self, duties: Duties, clockwork: Clockwork) -> None:
        self._notifier.reloading()
        try:
            setup = self._set_up()
        except VaultdError as error:
            _log.error("Reload refused, the old config stays: %s", error)
            self._notifier.status(f"Reload refused: {error}")
        else:
            if setup.config.state.path != duties.setup.config.state.path:
                _log.error("state.path cannot change while running; restart to change it.")
            else:
                duties.setup = setup
                for name, seconds in _periods(setup.config).items():
                    clockwork.change(name, seconds)
                _log.info("The config was reloaded.")
        self._notifier.ready()


def _periods(config: Config) -> dict[str, float]:
    """Return how often each duty is done, in seconds."""
    return {
        _BACKUP: tick(config.schedule.period).total_seconds(),
        _SCRUB: config.scrub.period.total_seconds(),
        _LOOK: config.schedule.period.total_seconds(),
    }


def serve(config_path: Path | None) -> int:
    """Be the daemon of this config until stopped; return the exit code."""

    def set_up() -> Setup:
        config = load(config_path, os.environ)
        set_up_logging(config.log.level, config.log.format)
        pod_key = PodKey.load(Path(config.state.path) / "pod.key")
        return Setup(config, open_source(config), open_targets(config), pod_key)

    if not Service(set_up, Notifier()).run():
        # A thread hangs in an upload. Every moment is one to be killed at, so do not wait for it.
        logging.shutdown()
        os._exit(0)
    return 0
