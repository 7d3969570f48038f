"""A circuit breaker: a target that is away is not asked again and again by every account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy

from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceRefused


class LeftAlone(PlaceBusy):
    """Nothing was asked of the place: it is given its rest."""


class Circuit:
    """Opens after `failures` calls in a row that failed for good, or when nothing worked for
    `budget` seconds; one call tries after `rest`.

    `rest` is in seconds and doubles, up to sixteen times, while the target stays away. A place
    that lets nobody in is shut until `begin`: no further login is tried in the same run.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 3,
        rest: float = 60.0,
        budget: float = 180.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._most = failures
        self._rest = rest
        self._budget = budget
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._closed_at: float | None = None
        self._why = ""
        self._since: float | None = None
        self._refused = 0
        self._shut: PlaceError | None = None
        self.answers = 0

    def check_shut(self) -> None:
        """Raise what the target said when it let nobody in."""
        with self._lock:
            if self._shut is not None:
                raise copy(self._shut)

    def check(self) -> None:
        """Raise while the target is shut (as it said) or given its rest (PlaceBusy); lets one
        call try after that."""
        self.check_shut()
        with self._lock:
            if self._closed_at is None:
                return
            left = self._closed_at - self._clock()
            if left > 0:
                raise LeftAlone(
                    f"{self._name} could not be used and is left alone for {left:.0f} s more. "
                    f"It last said: {self._why}",
                    retry_after=left,
                    unknown=False,
                )
            # The next caller waits again until this one knows better.
            self._closed_at = self._clock() + self._rest

    def trouble(self) -> float:
        """An attempt failed; return for how many seconds nothing has worked by now."""
        with self._lock:
            if self._since is None:
                self._since = self._clock()
            return self._clock() - self._since

    def failed(self, error: PlaceBusy) -> None:
        """A call failed after all its tries."""
        with self._lock:
            self._failed += 1
            self._why = str(error)
            long_ago = self._since is not None and self._clock() - self._since >= self._budget
            if self._failed < self._most and not long_ago and self._closed_at is None:
                return
            beyond = max(0, self._failed - self._most)
            self._closed_at = self._clock() + self._rest * 2 ** min(beyond, 4)

    def answered(self) -> None:
        """The target answered, even if with a refusal."""
        with self._lock:
            self.answers += 1
            self._failed = 0
            self._since = self._closed_at = None

    def worked(self) -> None:
        """The target did what it was asked."""
        self.answered()
        with self._lock:
            self._refused = 0

    def refused(self, error: PlaceError) -> None:
        """The target answered with a refusal: one of everything, or a third in a row, shuts it."""
        self.answered()
        with self._lock:
            self._refused += 1
            alike = isinstance(error, PlaceRefused) and self._refused >= self._most
            if alike or isinstance(error, PlaceClosed):
                self._shut = error

    def begin(self) -> None:
        """A new run begins: somebody may have mended what shut the target."""
        with self._lock:
            self._shut, self._refused = None, 0

    @property
    def resting(self) -> bool:
        """Whether the target is being left alone."""
        with self._lock:
            away = self._closed_at is not None and self._closed_at > self._clock()
            return away or self._shut is not None
