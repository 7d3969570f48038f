"""A trial of a place by what a run does there: create, list, read in parts, delete, also in pieces.

`probe()` measures what a place honours, by requests of its own; that all of it holds together is
known only when the very verbs of a run went well. One trial for every backend.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple, Protocol, runtime_checkable

from vaultd.backends.base import Backend, Finding
from vaultd.errors import ObjectExists, ObjectMissing, PlaceError

FOLDER: Final = "vaultd-trial"
_WHAT: Final = "trial"
_SMALL: Final = 1_500
_LARGE: Final = 1024 * 1024
_STEP: Final = 1024 * 1024
_STALE_SECONDS: Final = 86400
_PAUSES: Final = (0.5, 1.5, 4.0)  # until what was stored must be listed (Swift lists late)


class Trial(NamedTuple):
    """A backend to try: `large` bytes go in pieces there; `locked` seconds nothing is deleted."""

    backend: Backend
    large: int = _LARGE
    locked: float = 0.0


@runtime_checkable
class ForTrial(Protocol):
    """A backend that is tried with other sizes or locks than it works with."""

    def for_trial(self) -> Trial:
        """Return the same place with the smallest pieces and the shortest locks it can have."""
        ...


class _Unfit(Exception):
    """What went wrong, as the sentence of a finding."""


def trial_of(backend: Backend) -> Trial:
    """Return how a backend is tried. Raises PlaceError where the place must be asked for it."""
    return backend.for_trial() if isinstance(backend, ForTrial) else Trial(backend)


def measure(backend: Backend) -> Sequence[Finding]:
    """Return what `probe()` finds, and how the trial went. Raises PlaceError where `probe` does."""
    return [*backend.probe(), try_out(backend)]


def try_out(backend: Backend, *, sleep: Callable[[float], None] = time.sleep) -> Finding:
    """Store a small and a large object as a run does, list, read and delete them.

    What stays is the empty folder, on storages that have folders. Never raises PlaceError: what
    goes wrong is a grave finding.
    """
    try:
        trial = trial_of(backend)
        _clean(trial.backend)
        _go(trial, sleep)
    except _Unfit as error:
        return Finding(_WHAT, False, str(error))
    except PlaceError as error:
        return Finding(_WHAT, False, f"what a run does fails: {error}")
    return Finding(
        _WHAT, True, "small and large objects were stored, listed, read and deleted as in a run"
    )


def _go(trial: Trial, sleep: Callable[[float], None]) -> None:
    start = f"{FOLDER}/{int(time.time()):010x}-{secrets.token_hex(8)}"
    # As long as the name of an archive is.
    objects = {
        f"{start}-{hashlib.sha256(content).hexdigest()}": content
        for content in (secrets.token_bytes(_SMALL), secrets.token_bytes(trial.large))
    }
    try:
        for name, content in objects.items():
            trial.backend.create(name, io.BytesIO(content), len(content))
        _list(trial.backend, start, {name: len(each) for name, each in objects.items()}, sleep)
        for name, content in objects.items():
            _again(trial.backend, name, content)
            _read(trial.backend, name, content)
        if trial.locked:
            sleep(trial.locked)
        for name, content in objects.items():
            _delete(trial.backend, name, content)
    except BaseException:
        for name in objects:
            with suppress(PlaceError):  # a trial of another day removes it
                trial.backend.delete(name)
        raise


def _again(backend: Backend, name: str, content: bytes) -> None:
    with suppress(ObjectExists):
        backend.create(name, io.BytesIO(content[::-1]), len(content))
        raise _Unfit(f"a second object of one name replaces the first ({_size(content)})")


def _list(
    backend: Backend, start: str, wanted: dict[str, int], sleep: Callable[[float], None]
) -> None:
    for pause in (*_PAUSES, None):
        found = {info.name: info.size for info in backend.list(start)}
        if found == wanted:
            return
        if set(found) >= set(wanted):
            raise _Unfit("it lists objects without their right length")
        if pause is not None:
            sleep(pause)
    raise _Unfit(
        "it does not list what was just stored: a drop folder takes uploads only; use one that may "
        "be read as well"
    )


def _read(backend: Backend, name: str, content: bytes) -> None:
    middle, end = len(content) // 2, len(content)
    for offset, length in ((0, 100), (middle, 100), (end - 10, 100), (end, 10)):
        if backend.read(name, offset, length) != content[offset : offset + length]:
            raise _Unfit(f"it gives back other bytes than asked for ({_size(content)}, in part)")
    for offset in range(0, end, _STEP):
        if backend.read(name, offset, _STEP) != content[offset : offset + _STEP]:
            raise _Unfit(f"it gives back other bytes than were stored ({_size(content)})")


def _delete(backend: Backend, name: str, content: bytes) -> None:
    for _ in range(2):
        backend.delete(name)
    with suppress(ObjectMissing):
        backend.read(name, 0, 1)
        raise _Unfit(f"what was deleted is still there ({_size(content)})")


def _clean(backend: Backend) -> None:
    """Remove what trials of over a day ago left, by our own clock, which wrote its names."""
    old = time.time() - _STALE_SECONDS
    for info in list(backend.list(f"{FOLDER}/")):
        began = info.name.removeprefix(f"{FOLDER}/").partition("-")[0]
        if len(began) == 10 and began.isalnum() and _before(began, old):
            backend.delete(info.name)


def _before(began: str, old: float) -> bool:
    try:
        return int(began, 16) < old
    except ValueError:
        return False


def _size(content: bytes) -> str:
    return f"an object of {len(content):,} bytes"
