"""A few logged-in sessions, shared by many threads: each is lent to one thread at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from typing import Final, Generic, Protocol, TypeVar

from vaultd.errors import PlaceBusy

_PATIENCE: Final = 900.0


class Session(Protocol):
    """What a pool must know of a session."""

    @property
    def usable(self) -> bool:
        """Whether the next command would be understood: no broken pipe, no reply pending."""
        ...

    def alive(self) -> bool:
        """Ask, as cheaply as may be, whether the server still holds an idle session."""
        ...

    def close(self) -> None:
        """Hang up; never raises."""
        ...


class TooManySessions(PlaceBusy):
    """The server allows no further session now."""


S = TypeVar("S", bound=Session)


class SessionPool(Generic[S]):
    """At most `limit` sessions made by `connect`, made when needed, the last used lent first.

    Where the server allows fewer, the pool makes do with those it has.
    """

    def __init__(self, connect: Callable[[], S], limit: int) -> None:
        self._connect = connect
        self._limit = limit
        self._idle: list[S] = []
        self._open = 0
        self._changed = Condition()

    @contextmanager
    def session(self) -> Iterator[S]:
        """Lend a session; raises what `connect` raises, PlaceBusy when none gets free."""
        session = self._take()
        try:
            yield session
        finally:
            self._give_back(session)

    def close(self) -> None:
        """Hang up all idle sessions; a later use connects anew."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._open -= len(idle)
            self._changed.notify_all()
        for session in idle:
            session.close()

    def _take(self) -> S:
        until = time.monotonic() + _PATIENCE
        while True:
            session = self._reserve(until)
            if session is None:
                session = self._make()
                if session is not None:
                    return session
            elif session.usable and session.alive():
                return session
            else:
                self._drop(session)

    def _reserve(self, until: float) -> S | None:
        """Return an idle session, or None: the right to make one."""
        with self._changed:
            while not self._idle and self._open >= self._limit:
                if not self._changed.wait(until - time.monotonic()):
                    raise PlaceBusy(
                        f"All {self._limit} sessions were busy for {_PATIENCE:.0f} s.",
                        unknown=False,
                    )
            if self._idle:
                return self._idle.pop()
            self._open += 1
            return None

    def _make(self) -> S | None:
        """Return a new session; None when the server wants no more than there are."""
        try:
            return self._connect()
        except TooManySessions:
            with self._changed:
                self._open -= 1
                self._changed.notify()
                if not self._open:
                    raise
                self._limit = self._open
            return None
        except BaseException:
            self._forget()
            raise

    def _give_back(self, session: S) -> None:
        if not session.usable:
            self._drop(session)
            return
        with self._changed:
            self._idle.append(session)
            self._changed.notify()

    def _drop(self, session: S) -> None:
        self._forget()
        session.close()

    def _forget(self) -> None:
        with self._changed:
            self._open -= 1
            self._changed.notify()
