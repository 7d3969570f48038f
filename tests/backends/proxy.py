"""A loopback TCP proxy that behaves like a bad network: slow, far away, breaking, lying.

What happens to a connection is its `Plan`. A proxy has one plan for all, or a function that gives
one for each connection's number, like `random_plans(seed)`.
"""

from __future__ import annotations

import random
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

_CHUNK = 64 * 1024
_MAX_WAITING = 4 * 1024 * 1024  # bytes on the line, as a real one holds no more
_PATIENCE = 0.5  # seconds after which a thread that waits for its socket looks up
_REQUEST = re.compile(rb"([A-Z]{3,9}) \S+ HTTP/1\.1\r\n")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST at once


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one connection; `up` is from the client, `down` is from the server.

    `delay`: seconds each way. `rate`: bytes per second each way. `drop_up`, `drop_down`: the
    connection is reset when so many bytes have passed. `truncate_down`: it ends in good order
    after so many bytes of the answer, and the rest is lost. `duplicate_down`: the chunk with this
    number (0 is the first) comes twice. `refuse`: reset at once. `black_hole`: taken, and
    never answered.
    """

    delay: float = 0.0
    rate: float | None = None
    drop_up: int | None = None
    drop_down: int | None = None
    truncate_down: int | None = None
    duplicate_down: int | None = None
    refuse: bool = False
    black_hole: bool = False


def random_plans(
    seed: int, *, trouble: float = 0.3, size: int = 20_000, delay: float = 0.002
) -> Callable[[int], Plan]:
    """Return a function from a connection's number to its plan, the same for the same seed.

    `trouble` is the share of connections that fail in some way, within the first `size` bytes.
    Nothing is refused for ever: a black hole would only cost the test its timeout.
    """

    def plan(number: int) -> Plan:
        dice = random.Random(f"{seed}/{number}")
        lag, at = dice.uniform(0, delay), dice.randrange(1, size)
        if dice.random() >= trouble:
            return Plan(delay=lag)
        return dice.choice(
            [
                Plan(refuse=True),
                Plan(delay=lag, drop_up=at),
                Plan(delay=lag, drop_down=at),
                Plan(delay=lag, truncate_down=at),
                Plan(delay=lag, duplicate_down=dice.randrange(3)),
            ]
        )

    return plan


class Proxy:
    """Listens on a free port of 127.0.0.1 (`port`) and forwards to `target` there.

    Used as a context manager. `plan` may be replaced at any time, and holds for the connections
    made after that. `connections` counts those accepted, `up` and `down` the bytes passed on,
    `requests` the HTTP requests by method: one begins with a chunk where clients await answers.
    """

    def __init__(self, target: int, plan: Plan | Callable[[int], Plan] = Plan()) -> None:
        self.target, self.plan = target, plan
        self.connections = self.up = self.down = 0
        self.requests: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._lines: set[_Line] = set()
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Proxy:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._stop()
        self.cut()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    @contextmanager
    def nobody_listening(self) -> Iterator[None]:
        """Refuse new connections as a server does that is not running, and cut the others."""
        self._stop()
        self.cut()
        try:
            yield
        finally:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self._start()

    def cut(self) -> None:
        """Reset all connections that are open now."""
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.reset()

    @property
    def open(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._lines)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with self._lock:
                    number = self.connections
                    self.connections += 1
                plan = self.plan if isinstance(self.plan, Plan) else self.plan(number)
                threading.Thread(target=self._serve, args=(client, plan), daemon=True).start()

    def _serve(self, client: socket.socket, plan: Plan) -> None:
        line = _Line(self, client, plan)
        with self._lock:
            self._lines.add(line)
        try:
            if self._closed:
                line.reset()
            line.run()
        finally:
            with self._lock:
                self._lines.discard(line)

    def count(self, way: Literal["up", "down"], size: int, piece: bytes = b"") -> None:
        """Add the bytes that a line has passed on, and the request that `piece` begins."""
        begun = _REQUEST.match(piece) if way == "up" else None
        with self._lock:
            setattr(self, way, getattr(self, way) + size)
            if begun is not None:
                self.requests[begun[1].decode()] += 1


class _Line:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, client: socket.socket, plan: Plan) -> None:
        self.proxy, self.client, self.plan = proxy, client, plan
        self.server: socket.socket | None = None
        self._over = threading.Event()

    def run(self) -> None:
        if self.plan.refuse:
            self.reset()
            return
        if self.plan.black_hole:
            self._over.wait()
            return
        try:
            self.server = socket.create_connection(("127.0.0.1", self.proxy.target), 10)
        except OSError:
            self.reset()
            return
        for one in (self.client, self.server):
            # Without a timeout, a send that waits would keep a closed socket open.
            one.settimeout(_PATIENCE)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up = threading.Thread(target=self._pass, args=(self.client, self.server, "up"), daemon=True)
        up.start()
        self._pass(self.server, self.client, "down")
        up.join()
        self._close()

    def reset(self) -> None:
        """End both sides at once, with RST."""
        self._over.set()
        for one in (self.client, self.server):
            if one is not None:
                with suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                # Wakes the threads that read; the RST goes out with the close.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RD)
        self._close()

    def _close(self) -> None:
        self._over.set()
        for one in (self.client, self.server):
            if one is not None:
                one.close()

    def _pass(self, source: socket.socket, sink: socket.socket, way: Literal["up", "down"]) -> None:
        queue = _Delayed(self.plan.delay, first=2 * self.plan.delay if way == "up" else 0.0)
        reader = threading.Thread(target=self._read, args=(source, queue), daemon=True)
        reader.start()
        try:
            self._write(sink, queue, way)
        except OSError:
            self.reset()
        finally:
            queue.close()
            reader.join()

    def _read(self, source: socket.socket, queue: _Delayed) -> None:
        try:
            while not self._over.is_set():
                try:
                    piece = source.recv(_CHUNK)
                except TimeoutError:
                    continue
                if not queue.put(piece) or not piece:
                    return
        except OSError:
            self.reset()
        queue.put(b"")

    def _write(self, sink: socket.socket, queue: _Delayed, way: Literal["up", "down"]) -> None:
        plan, passed, number = self.plan, 0, 0
        drop = plan.drop_up if way == "up" else plan.drop_down
        end = plan.truncate_down if way == "down" else None
        limit = min((n for n in (drop, end) if n is not None), default=None)
        while piece := queue.get():
            if self._over.is_set():
                return
            if way == "down" and number == plan.duplicate_down:
                piece += piece
            number += 1
            if limit is not None:
                piece = piece[: limit - passed]
            self._send(sink, piece)
            passed += len(piece)
            self.proxy.count(way, len(piece), piece)
            if passed == limit:
                if limit == end:
                    self._end_in_good_order(sink)
                else:
                    self.reset()
                return
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _send(self, sink: socket.socket, piece: bytes) -> None:
        rest, rate = memoryview(piece), self.plan.rate
        while rest:
            if self._over.is_set():
                raise OSError("reset meanwhile")
            part = rest
            if rate:
                part = rest[: max(1, int(rate / 20))]
                self._over.wait(len(part) / rate)
            with suppress(TimeoutError):
                rest = rest[sink.send(part) :]

    def _end_in_good_order(self, sink: socket.socket) -> None:
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        if self.server is not None:
            with suppress(OSError):
                self.server.shutdown(socket.SHUT_RDWR)


class _Delayed:
    """Chunks that come out `delay` seconds after they went in, without slowing the flow.

    The very first waits `first` seconds more: for the handshake, which on loopback took no time.
    """

    def __init__(self, delay: float, first: float) -> None:
        self._delay, self._first = delay, first
        self._items: deque[tuple[float, bytes]] = deque()
        self._waiting, self._closed = 0, False
        self._changed = threading.Condition()

    def put(self, piece: bytes) -> bool:
        """Add a chunk (b"" is the end); False when nobody will take it."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < _MAX_WAITING or self._closed)
            self._items.append((time.monotonic() + self._delay + self._first, piece))
            self._first = 0.0
            self._waiting += len(piece)
            self._changed.notify_all()
            return not self._closed

    def get(self) -> bytes:
        """Wait for the next chunk; b"" at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            if not self._items:
                return b""
            due, piece = self._items.popleft()
            self._waiting -= len(piece)
            self._changed.notify_all()
        left = due - time.monotonic()
        if left > 0:
            time.sleep(left)
        return piece

    def close(self) -> None:
        """Let go whoever waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
