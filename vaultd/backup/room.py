"""Room on targets: a warning before one is full, and no new vaults once it nearly is.

What is already there goes on until the very end: an account's next increment is small, and a vault
that stops growing is worse than one that was never begun while another target has it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from vaultd.backends.base import Backend, Space
from vaultd.config import OWN, Target
from vaultd.errors import PlaceError, PlaceFull
from vaultd.sizes import shown_bytes

_FRESH: Final = 30.0  # seconds for which an answer counts; new vaults come by the hundred


@dataclass(frozen=True, slots=True)
class Room:
    """One target's room, asked at `asked_at` (RFC 3339); with less free than `reserve` bytes no
    new vault is begun there."""

    target: str
    space: Space
    reserve: int
    asked_at: str | None = None

    @property
    def tight(self) -> bool:
        """Whether no new vault is begun there."""
        return self.space.free is not None and self.space.free < self.reserve

    @property
    def low(self) -> bool:
        """Whether it is time to make room."""
        return self.space.free is not None and self.space.free < 2 * self.reserve

    @property
    def sentence(self) -> str:
        """How much is left, and what that means."""
        if self.space.free is None:
            return f"{self.target} does not tell how much is left."
        left = f"{self.target} has {shown_bytes(self.space.free)} left"
        if self.tight:
            return f"{left}, less than its reserve of {self._kept}: no new vaults are begun there."
        if self.low:
            return f"{left}; below {self._kept} no new vaults are begun there."
        return f"{left}."

    @property
    def _kept(self) -> str:
        return shown_bytes(self.reserve)


class Rooms:
    """Knows whether a new vault may be begun on a target; asks it twice a minute at most."""

    def __init__(
        self, targets: Mapping[str, Target], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._targets = targets
        self._clock = clock
        self._known: dict[str, tuple[float, Room]] = {}
        self._lock = threading.Lock()

    def check_new(self, target: str, backend: Backend) -> None:
        """Raise PlaceFull when no new vault may be begun there.

        A user's own target has no reserve: one vault is all that it is for.
        """
        section = self._targets.get(target)
        if section is None or target == OWN:
            return
        with self._lock:
            at, room = self._known.get(target, (0.0, None))
        if room is None or self._clock() - at > _FRESH:
            try:
                space = backend.space()
            except PlaceError:
                return  # it cannot say; when it is full, storing will
            room = Room(target, space, section.reserve_bytes(space.total))
            with self._lock:
                self._known[target] = (self._clock(), room)
        if room.tight:
            raise PlaceFull(
                room.sentence,
                hint=f"Make room there, add a target, or lower targets.{target}.reserve.",
            )
