"""What a target was asked and how it answered: counters for metrics and reports."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Meter:
    """Counts per verb: calls, retries, errors by code, seconds, and bytes each way. Thread safe."""

    calls: Counter[str] = field(default_factory=Counter)
    retries: Counter[str] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def called(self, verb: str, seconds: float, *, up: int = 0, down: int = 0) -> None:
        """Count one call that ended, well or not."""
        with self._lock:
            self.calls[verb] += 1
            self.seconds[verb] = self.seconds.get(verb, 0.0) + seconds
            self.bytes_up += up
            self.bytes_down += down

    def failed(self, verb: str, code: str, *, again: bool) -> None:
        """Count an error by its stable code, and whether it is tried again."""
        with self._lock:
            self.errors[verb, code] += 1
            if again:
                self.retries[verb] += 1

    def drain(self) -> Meter:
        """Return what was counted so far, and begin anew."""
        with self._lock:
            taken = Meter(
                self.calls, self.retries, self.errors, self.seconds, self.bytes_up, self.bytes_down
            )
            self.calls, self.retries, self.errors, self.seconds = (
                Counter(),
                Counter(),
                Counter(),
                {},
            )
            self.bytes_up = self.bytes_down = 0
            return taken
