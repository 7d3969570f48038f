"""A circuit breaker: a target that is away is not asked again and again by every account."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from vaultd.errors import PlaceBusy
from vaultd.sizes import plural


class Circuit:
    """Opens after `failures` calls in a row that failed for good; one call tries after `rest`.

    `rest` is in seconds and doubles, up to sixteen times, while the target stays away.
    """

    def __init__(
        self,
        name: str,
        *,
        failures: int = 3,
        rest: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._most = failures
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = 0
        self._closed_at = 0.0
        self._why = ""

    def check(self) -> None:
        """Raise PlaceBusy while the target is given its rest; lets one call try after that."""
        with self._lock:
            if self._failed < self._most:
                return
            left = self._closed_at - self._clock()
            if left > 0:
                raise PlaceBusy(
                    f"{self._name} did not answer {plural(self._failed, 'time')} and is left alone "
                    f"for {left:.0f} s more. It last said: {self._why}",
                    retry_after=left,
                    unknown=False,
                )
            # The next caller waits again until this one knows better.
            self._closed_at = self._clock() + self._rest

    def failed(self, error: PlaceBusy) -> None:
        """A call failed after all its tries."""
        with self._lock:
            self._failed += 1
            self._why = str(error)
            beyond = max(0, self._failed - self._most)
            self._closed_at = self._clock() + self._rest * 2 ** min(beyond, 4)

    def answered(self) -> None:
        """The target answered, even if with a refusal."""
        with self._lock:
            self._failed = 0

    @property
    def resting(self) -> bool:
        """Whether the target is being left alone."""
        with self._lock:
            return self._failed >= self._most and self._closed_at > self._clock()
