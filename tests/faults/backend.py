"""A place that misbehaves on purpose: every fault drawn from a seed, recorded, and replayable."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final

from vaultd.backends.base import Backend, Finding, ObjectInfo, Space
from vaultd.errors import ObjectExists, PlaceBusy, PlaceFull

_REMEMBERED: Final = 64


class Fault(Enum):
    """What may go wrong; each belongs to the calls named in `FAULTS`."""

    BEFORE = "an error, and nothing happened"
    AFTER = "an error, although it was done"
    PARTIAL = "an error after a part of the bytes; nothing complete is there"
    FULL = "no room left"
    BURST = "this call and the next ones fail, as with a server in trouble"
    SLOW = "it takes its time"
    STALE = "a listing as it was some changes ago"
    SHUFFLED = "a listing in another order"
    REPEATED = "a listing with entries that come twice"
    LOST = "a delete that says fine, and the object stays"
    FLIPPED = "a bit of what is read is wrong"
    CUT = "less is read than there is"


FAULTS: Final[Mapping[str, tuple[Fault, ...]]] = {
    "create": (Fault.BEFORE, Fault.AFTER, Fault.PARTIAL, Fault.FULL, Fault.BURST, Fault.SLOW),
    "read": (Fault.BEFORE, Fault.BURST, Fault.SLOW, Fault.FLIPPED, Fault.CUT),
    "list": (
        Fault.BEFORE, Fault.BURST, Fault.SLOW, Fault.STALE, Fault.SHUFFLED, Fault.REPEATED,
    ),
    "delete": (Fault.BEFORE, Fault.AFTER, Fault.BURST, Fault.SLOW, Fault.LOST),
    "space": (Fault.BEFORE, Fault.BURST, Fault.SLOW),
    "probe": (Fault.BEFORE, Fault.BURST, Fault.SLOW),
}  # fmt: skip


class Killed(BaseException):
    """The process ends here, as far as the engine can tell."""


@dataclass(slots=True)
class Fate:
    """Shared by all that one process uses: what is dead does nothing more, not even tidy up."""

    dead: bool = False

    def check(self, *_: object) -> None:
        """Raise Killed once the process is dead."""
        if self.dead:
            raise Killed("It is dead.")

    def die(self, where: str) -> None:
        """Kill the process."""
        self.dead = True
        raise Killed(where)


@dataclass(frozen=True, slots=True)
class Event:
    """One call and what was wrong with it; `amount` says how much (0 … 1), by the fault."""

    call: int
    method: str
    name: str
    fault: Fault | None = None
    amount: float = 0.0

    def __str__(self) -> str:
        fault = "" if self.fault is None else f" {self.fault.name}({self.amount:.3f})"
        return f"{self.call} {self.method} {self.name}{fault}"


Plan = Mapping[int, tuple[Fault, float]]


class FaultyBackend:
    """Wraps a place. Quiet until `arm` draws faults from a seed, or `replay` takes a plan.

    `events` has every call since then; `plan()` of it is what `replay` needs. A kill is asked
    for by the number of the call, before (`n`) or after (`-n`) its effect. `bitten` counts for
    good the faults that made a difference, by their names, and the kills.
    """

    def __init__(self, inner: Backend, fate: Fate | None = None) -> None:
        self.inner = inner
        self.fate = fate or Fate()
        self.events: list[Event] = []
        self.bitten: Counter[str] = Counter()
        self.waited = 0.0
        self._chance: random.Random | None = None
        self._rate = 0.0
        self._only: frozenset[Fault] = frozenset(Fault)
        self._plan: Plan = {}
        self._kill = 0
        self._burst = 0
        self._changes: list[tuple[str, int | None]] = []
        self._lock = Lock()

    def arm(
        self, seed: object, rate: float, only: Sequence[Fault] = tuple(Fault), kill: int = 0
    ) -> None:
        """From now on a call fails with probability `rate`."""
        self.quiet()
        self._chance = random.Random(f"{seed}")
        self._rate, self._only, self._kill = rate, frozenset(only), kill

    def replay(self, plan: Plan, kill: int = 0) -> None:
        """From now on the calls numbered in `plan` fail as it says."""
        self.quiet()
        self._plan, self._kill = plan, kill

    def quiet(self) -> None:
        """No faults any more."""
        self.events.clear()
        self._chance, self._plan, self._burst, self._kill = None, {}, 0, 0

    def plan(self) -> dict[int, tuple[Fault, float]]:
        """What went wrong since `arm`, for `replay`."""
        return {e.call: (e.fault, e.amount) for e in self.events if e.fault is not None}

    def _draw(self, method: str, name: str) -> Event:
        with self._lock:
            self.fate.check()
            call = len(self.events) + 1
            fault, amount = self._plan.get(call, (None, 0.0))
            if self._chance is not None:
                hit, pick, amount = (self._chance.random() for _ in range(3))
                fitting = [f for f in FAULTS[method] if f in self._only]
                if hit < self._rate and fitting:
                    fault = fitting[int(pick * len(fitting))]
            event = Event(call, method, name, fault, amount if fault else 0.0)
            self.events.append(event)
            if self._kill == call:
                self.bitten[f"killed before {method}"] += 1
                self.fate.die(str(event))
            if self._burst:
                self._burst -= 1
                self._bite(Fault.BURST)
                raise PlaceBusy("The server is still in trouble (503).")
        if fault in (Fault.SLOW, Fault.BEFORE, Fault.BURST):
            self._bite(fault)
        if fault is Fault.SLOW:
            self.waited += amount * 60
        elif fault is Fault.BEFORE:
            raise PlaceBusy("The place is away.")
        elif fault is Fault.BURST:
            self._burst = 1 + int(amount * 4)
            raise PlaceBusy("The server is in trouble (500).")
        return event

    def _bite(self, fault: Fault) -> None:
        self.bitten[fault.name] += 1

    def _end(self, event: Event) -> None:
        if self._kill == -event.call:
            self.bitten[f"killed after {event.method}"] += 1
            self.fate.die(f"after {event}")
        if event.fault is Fault.AFTER:
            self._bite(Fault.AFTER)
            raise PlaceBusy("The answer never came.")

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        event = self._draw("create", name)
        if event.fault in (Fault.FULL, Fault.PARTIAL):
            self._bite(event.fault)
        if event.fault is Fault.FULL:
            raise PlaceFull("The place is full.")
        if event.fault is Fault.PARTIAL:
            self._leave_part(name, data.read(int(size * event.amount)))
            raise PlaceBusy("The connection broke.")
        try:
            self.inner.create(name, data, size)
        except ObjectExists:
            self._end(event)  # what was asked for is the case: then an error may hide it as well
            raise
        self._remember(name, None)
        self._end(event)

    def _leave_part(self, name: str, part: bytes) -> None:
        """A folder keeps a temporary file of a broken write; other places keep nothing."""
        root = getattr(self.inner, "root", None)
        if isinstance(root, Path):
            folder = (root / name).parent
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f".tmp-{len(self.events):016x}").write_bytes(part)

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        event = self._draw("read", name)
        data = self.inner.read(name, offset, length)
        self._end(event)
        if data and event.fault in (Fault.FLIPPED, Fault.CUT):
            self._bite(event.fault)
        if data and event.fault is Fault.FLIPPED:
            bit = int(event.amount * len(data) * 8)
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            return bytes(flipped)
        if event.fault is Fault.CUT:
            return data[: int(event.amount * len(data))]
        return data

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        event = self._draw("list", prefix)
        found = there = list(self.inner.list(prefix))
        self._end(event)
        if event.fault is Fault.STALE:
            found = [*self._earlier(prefix, found, event.amount)]
        elif event.fault is Fault.SHUFFLED:
            found = random.Random(event.amount).sample(found, len(found))
        elif event.fault is Fault.REPEATED:
            found = [item for item in found for _ in range(2)]
        if event.fault is not None and found != there:
            self._bite(event.fault)
        return iter(found)

    def delete(self, name: str) -> None:
        event = self._draw("delete", name)
        size = next((o.size for o in self.inner.list(name) if o.name == name), None)
        if event.fault is Fault.LOST:
            self.bitten[Fault.LOST.name] += size is not None
        else:
            self.inner.delete(name)
            if size is not None:
                self._remember(name, size)
        self._end(event)

    def space(self) -> Space:
        self._draw("space", "")
        return self.inner.space()

    def probe(self) -> Sequence[Finding]:
        self._draw("probe", "")
        return self.inner.probe()

    def _remember(self, name: str, size_before: int | None) -> None:
        with self._lock:
            self._changes.append((name, size_before))
            del self._changes[:-_REMEMBERED]

    def _earlier(
        self, prefix: str, now: Sequence[ObjectInfo], amount: float
    ) -> Sequence[ObjectInfo]:
        """Undo the newest changes in a listing: at least one, at most the remembered ones."""
        sizes: dict[str, int | None] = {item.name: item.size for item in now}
        back = 1 + int(amount * amount * len(self._changes))
        for name, size in reversed(self._changes[-back:]):
            sizes[name] = size
        return [
            ObjectInfo(name, size)
            for name, size in sorted(sizes.items())
            if size is not None and name.startswith(prefix)
        ]


def as_stream(data: bytes) -> BinaryIO:
    """Return bytes as `create` wants them."""
    return io.BytesIO(data)
