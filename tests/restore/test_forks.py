"""Work in forks gives what a loop gives, whatever becomes of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from vaultd.errors import PlaceError
from vaultd.restore.forks import in_forks


class Answer(msgspec.Struct):
    number: int
    process: int


def children() -> set[str]:
    """The processes that this one started, servers of other tests among them."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {child for task in tasks for child in task.read_text().split()}


def answer(number: int) -> Answer:
    return Answer(number, os.getpid())


@pytest.mark.parametrize("parts", [0, 1, 2, 50])
@pytest.mark.parametrize("forks", [0, 1, 2, 5])
def test_answers_come_in_order(parts: int, forks: int) -> None:
    found = list(in_forks(answer, range(parts), Answer, forks))
    assert [each.number for each in found] == list(range(parts))
    others = {each.process for each in found} - {os.getpid()}
    assert bool(others) == (parts > 0 and forks > 1)
    assert len(others) <= forks


def test_more_parts_than_a_pipe_holds() -> None:
    parts = range(40_000)
    assert list(in_forks(lambda number: number * 2, parts, int, 2)) == [n * 2 for n in parts]


def test_answers_larger_than_a_pipe_holds() -> None:
    found = list(in_forks(lambda number: str(number) * 100_000, range(8), str, 3))
    assert found == [str(number) * 100_000 for number in range(8)]


def test_an_error_is_raised_where_its_part_is() -> None:
    def work(number: int) -> Answer:
        if number in (3, 7):
            raise PlaceError(f"The disk of part {number} is broken.", hint="Buy one.")
        return answer(number)

    found = in_forks(work, range(10), Answer, 2)
    assert [next(found).number for _ in range(3)] == [0, 1, 2]
    with pytest.raises(PlaceError, match=r"^The disk of part 3 is broken\. Buy one\.$") as caught:
        next(found)
    assert caught.value.hint == "Buy one."


def test_what_cannot_be_sent_is_done_here() -> None:
    assert (
        list(in_forks(lambda _: "half a character \ud83d", range(3), str, 2))
        == ["half a character \ud83d"] * 3
    )


@pytest.mark.parametrize("when", [{0}, {5}, {49}, set(range(50))])
def test_what_a_killed_fork_had_in_hand_is_done_again(when: set[int]) -> None:
    parent = os.getpid()

    def work(number: int) -> Answer:
        if number in when and os.getpid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(number)

    before = children()
    found = list(in_forks(work, range(50), Answer, 3))
    assert [each.number for each in found] == list(range(50))
    assert all(found[number].process == parent for number in when)
    assert children() == before


def test_an_interrupt_ends_the_forks() -> None:
    def work(number: int) -> int:
        if number == 1:
            os.kill(parent, signal.SIGUSR1)
        time.sleep(60)
        return number

    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    parent, others = os.getpid(), children()
    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(in_forks(work, range(4), int, 2))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert children() == others


ORPHANS = """
import os, time
from vaultd.restore.forks import in_forks
def work(number):
    os.write(1, b"%d\\n" % os.getpid())
    time.sleep(0.01)
list(in_forks(work, range(3_000), type(None), 2))
"""


def test_forks_end_with_a_killed_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    for _ in range(10):
        parent.stdout.readline()
    parent.kill()
    parent.wait()
    with parent.stdout as rest:  # its end comes when no fork is left
        assert len(rest.read().splitlines()) < 1000
