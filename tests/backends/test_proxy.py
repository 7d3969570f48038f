"""The bad network of the tests does what its plan says, no more and no less."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.backends.proxy import Plan, Proxy, random_plans
from tests.backends.servers.raw_tcp import serve


def echo(connection: socket.socket) -> None:
    while piece := connection.recv(65536):
        connection.sendall(piece)
    connection.shutdown(socket.SHUT_WR)


@pytest.fixture
def echo_port() -> Iterator[int]:
    with serve(echo) as port:
        yield port


def connect(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10)


def everything(connection: socket.socket) -> bytes:
    """Read to the end in good order; a reset raises ConnectionResetError."""
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def exchange(proxy: Proxy, content: bytes) -> bytes:
    """Send and read at once, as a large echo would block otherwise."""
    with connect(proxy) as connection:

        def send() -> None:
            with suppress(OSError):  # the reading end says what is wrong
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            return everything(connection)
        finally:
            sender.join()


def wait_until_closed(proxy: Proxy) -> None:
    for _ in range(200):
        if proxy.open == 0:
            return
        time.sleep(0.02)
    raise AssertionError(f"{proxy.open} connections are still open")


@pytest.mark.parametrize("plan", [Plan(), Plan(delay=0.01), Plan(rate=50_000_000)])
def test_without_trouble_every_byte_passes_in_order_and_is_counted(
    echo_port: int, plan: Plan
) -> None:
    content = bytes(range(256)) * 40_000
    with Proxy(echo_port, plan) as proxy:
        for _ in range(2):
            answer = exchange(proxy, content)
            assert hashlib.sha256(answer).digest() == hashlib.sha256(content).digest()
        wait_until_closed(proxy)
        assert (proxy.connections, proxy.up, proxy.down) == (2, 2 * len(content), 2 * len(content))


def test_a_delay_holds_each_way_and_once_more_for_the_handshake(echo_port: int) -> None:
    with Proxy(echo_port, Plan(delay=0.05)) as proxy, connect(proxy) as connection:
        times = []
        for _ in range(3):
            began = time.monotonic()
            connection.sendall(b"ping")
            assert connection.recv(4) == b"ping"
            times.append(time.monotonic() - began)
    assert times[0] >= 0.2
    assert all(seconds >= 0.1 for seconds in times)
    assert min(times) < 0.2


def test_a_delay_does_not_slow_the_flow(echo_port: int) -> None:
    content = bytes(20_000_000)
    with Proxy(echo_port, Plan(delay=0.04)) as proxy:
        began = time.monotonic()
        assert len(exchange(proxy, content)) == len(content)
    # 20 MB in steps of 64 KB, each waiting for the one before, would take 25 seconds.
    assert time.monotonic() - began < 8


def test_a_rate_is_kept_both_ways(echo_port: int) -> None:
    with Proxy(echo_port, Plan(rate=100_000)) as proxy:
        began = time.monotonic()
        assert exchange(proxy, bytes(50_000)) == bytes(50_000)
    assert 0.5 <= time.monotonic() - began < 3


@pytest.mark.parametrize("after", [0, 1, 1000, 100_000])
def test_a_dropped_answer_is_reset_after_so_many_bytes(echo_port: int, after: int) -> None:
    with Proxy(echo_port, Plan(drop_down=after)) as proxy:
        with connect(proxy) as connection:
            connection.sendall(bytes(200_000))
            got = 0
            with pytest.raises(ConnectionResetError):
                while piece := connection.recv(65536):
                    got += len(piece)
        assert got <= after
        assert proxy.down == after


def test_a_dropped_upload_is_reset_after_so_many_bytes() -> None:
    arrived: list[int] = []

    def swallow(connection: socket.socket) -> None:
        total = 0
        try:
            while piece := connection.recv(65536):
                total += len(piece)
        finally:
            arrived.append(total)

    with serve(swallow) as port, Proxy(port, Plan(drop_up=70_000)) as proxy:
        with connect(proxy) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
            while True:
                connection.sendall(bytes(10_000))
        wait_until_closed(proxy)
        assert proxy.up == 70_000
        for _ in range(100):
            if arrived:
                break
            time.sleep(0.02)
    assert arrived[0] <= 70_000


def test_a_truncated_answer_ends_in_good_order(echo_port: int) -> None:
    with (
        Proxy(echo_port, Plan(truncate_down=1234)) as proxy,
        connect(proxy) as connection,
    ):
        connection.sendall(bytes(5000))
        assert everything(connection) == bytes(1234)


def test_a_chunk_comes_twice(echo_port: int) -> None:
    with (
        Proxy(echo_port, Plan(duplicate_down=1)) as proxy,
        connect(proxy) as connection,
    ):
        got = b""
        for number, expected in enumerate((b"one.", b"two.two.", b"three.")):
            connection.sendall((b"one.", b"two.", b"three.")[number])
            part = b""
            while len(part) < len(expected):
                part += connection.recv(100)
            got += part
        assert got == b"one.two.two.three."


def test_a_refused_connection_is_reset(echo_port: int) -> None:
    with (
        Proxy(echo_port, Plan(refuse=True)) as proxy,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
        connect(proxy) as connection,
    ):
        connection.sendall(b"x")
        connection.recv(1)
        connection.sendall(b"x")


def test_nobody_listening_is_refused_for_real_and_then_listens_again(echo_port: int) -> None:
    with Proxy(echo_port) as proxy:
        old = connect(proxy)
        old.sendall(b"x")
        assert old.recv(1) == b"x"
        with proxy.nobody_listening():
            with pytest.raises(ConnectionRefusedError):
                connect(proxy)
            with suppress(ConnectionResetError):
                assert old.recv(1) == b""
        old.close()
        assert exchange(proxy, b"back") == b"back"


def test_a_black_hole_takes_and_never_answers(echo_port: int) -> None:
    with Proxy(echo_port, Plan(black_hole=True)) as proxy, connect(proxy) as connection:
        connection.sendall(b"anybody?")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        assert (proxy.open, proxy.up) == (1, 0)


def test_a_cut_resets_what_is_open_even_while_it_blocks() -> None:
    def pour(connection: socket.socket) -> None:
        while True:
            connection.sendall(bytes(65536))

    with serve(pour) as port, Proxy(port) as proxy, connect(proxy) as connection:
        for _ in range(100):  # until the line is full, as nobody reads
            before = proxy.down
            time.sleep(0.05)
            if before and proxy.down == before:
                break
        proxy.cut()
        wait_until_closed(proxy)
        with pytest.raises(ConnectionResetError):
            everything(connection)


def test_a_server_that_is_away_resets() -> None:
    with serve(echo) as port:
        pass
    with (
        Proxy(port) as proxy,
        connect(proxy) as connection,
        pytest.raises((ConnectionResetError, BrokenPipeError)),
    ):
        connection.sendall(b"x")
        everything(connection)


def test_each_connection_may_have_its_own_plan(echo_port: int) -> None:
    plans = [Plan(), Plan(truncate_down=1), Plan()]
    with Proxy(echo_port, lambda number: plans[number]) as proxy:
        assert [exchange(proxy, b"abc") for _ in plans] == [b"abc", b"a", b"abc"]
        proxy.plan = Plan(truncate_down=2)
        assert exchange(proxy, b"abc") == b"ab"
        assert proxy.connections == 4


def test_random_plans_are_the_same_for_a_seed_and_of_every_kind() -> None:
    one, same, other = random_plans(7), random_plans(7), random_plans(8)
    plans = [one(number) for number in range(300)]
    assert plans == [same(number) for number in range(300)]
    assert plans != [other(number) for number in range(300)]
    quiet = [p for p in plans if p == Plan(delay=p.delay)]
    assert 180 < len(quiet) < 240
    for kind in ("refuse", "drop_up", "drop_down", "truncate_down", "duplicate_down"):
        assert sum(getattr(p, kind) not in (None, False) for p in plans) > 5
    assert not any(p.black_hole for p in plans)
    assert all(p == Plan(delay=p.delay) for p in map(random_plans(7, trouble=0.0), range(50)))


def test_random_trouble_leaves_no_connection_and_no_thread_behind(echo_port: int) -> None:
    before = threading.active_count()
    with Proxy(echo_port, random_plans(3, trouble=0.7)) as proxy:
        fine = 0
        for _ in range(60):
            try:
                fine += exchange(proxy, bytes(20_000)) == bytes(20_000)
            except OSError:
                continue
        assert 5 < fine < 55
        wait_until_closed(proxy)
    for _ in range(100):
        if threading.active_count() <= before + 1:
            return
        time.sleep(0.05)
    raise AssertionError(threading.enumerate())
