"""Deterministic simulation: whatever happens, what was reported as written restores.

`pytest tests/faults --seed N` plays one history again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.faults.backend import Fault
from tests.faults.history import Op, draw, fails, play, smallest

SHORT, LONG, FIRST_LONG = 150, 4000, 1000
BATCHES = 10
OUTCOMES = (
    "histories", "operations", "written", "unchanged", "unchanged and sure", "passed over",
    "failed", "killed", "parts", "forgotten", "checked", "scrub: written again",
)  # fmt: skip
RARER = (
    *(fault.name for fault in Fault), "checked damaged", "forget", "scrub: copied",
    *(f"killed {when} {verb}" for when in ("before", "after")
      for verb in ("create", "list", "read")), "killed before delete",
)  # fmt: skip


def _play(seed: int) -> Counter[str]:
    operations = draw(seed, 60 if seed >= FIRST_LONG and seed % 8 == 0 else 18)
    try:
        return play(operations) + Counter(histories=1, operations=len(operations))
    except Exception as error:
        text = "\n".join(f"    {op!r}," for op in operations)
        least = smallest(operations)
        fewer = "\n".join(f"    {op!r}," for op in least)
        pytest.fail(
            f"seed {seed}: {type(error).__name__}: {error}\n\nAll of it:\n{text}\n\n"
            f"Enough to fail ({fails(least) or 'not always'}):\n{fewer}"
        )


def test_the_history_of_one_seed(one_seed: int | None) -> None:
    if one_seed is None:
        pytest.skip("--seed N plays one history")
    _play(one_seed)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_whatever_happens_what_was_written_restores(batch: int, one_seed: int | None) -> None:
    if one_seed is not None:
        pytest.skip("one seed was asked for")
    counts: Counter[str] = Counter()
    for seed in range(batch, SHORT, BATCHES):
        counts += _play(seed)
    for what in ("written", "unchanged and sure", "passed over", "failed", "killed", "checked"):
        assert counts[what], counts


def test_a_seed_plays_the_same_way_again() -> None:
    for seed in range(500, 512):
        operations = draw(seed, 30)
        assert play(operations) == play(operations), seed


@pytest.mark.long
def test_thousands_of_histories(record_property: Callable[[str, object], None]) -> None:
    """Everything that may befall a pod does; how often is told at the end."""
    counts: Counter[str] = Counter()
    broken = []
    for seed in range(FIRST_LONG, FIRST_LONG + LONG):
        try:
            counts.update(_play(seed))
        except pytest.fail.Exception as error:
            broken.append(str(error))
    told = (f"{number:9,} {what}" for what, number in sorted(counts.items()))
    record_property("counted", "\n".join(told))
    assert not broken, "\n\n".join(broken)
    assert [what for what in (*OUTCOMES, *RARER) if not counts[what]] == []


def test_a_history_is_a_function_of_its_seed_and_shrinks_to_what_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert draw(5) == draw(5) != draw(6)

    def two_photos(operations: list[Op]) -> str:
        return "two" if sum(op[0] == "photo" for op in operations) >= 2 else ""

    monkeypatch.setattr("tests.faults.history.fails", two_photos)
    long = draw(7, 400)
    assert [op[0] for op in smallest(long)] == ["photo", "photo"]
