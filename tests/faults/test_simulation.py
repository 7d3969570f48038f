"""Deterministic simulation: whatever happens, what was reported as written restores.

`pytest tests/faults --seed N` plays one history again.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.faults.history import Op, draw, fails, play, smallest

SHORT, LONG = 150, 4000
BATCHES = 10


def _play(seed: int, length: int = 18) -> Counter[str]:
    operations = draw(seed, length)
    try:
        return play(operations)
    except Exception as error:
        text = "\n".join(f"    {op!r}," for op in operations)
        fewer = "\n".join(f"    {op!r}," for op in smallest(operations))
        pytest.fail(
            f"seed {seed}: {type(error).__name__}: {error}\n\nAll of it:\n{text}\n\n"
            f"Enough to fail ({fails(smallest(operations)) or 'not always'}):\n{fewer}"
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
    for what in ("written", "unchanged", "failed", "killed", "checked"):
        assert counts[what], counts


def test_a_seed_plays_the_same_way_again() -> None:
    for seed in range(500, 512):
        operations = draw(seed, 30)
        assert play(operations) == play(operations), seed


@pytest.mark.long
@pytest.mark.parametrize("batch", range(40))
def test_thousands_of_histories(batch: int) -> None:
    for seed in range(1000 + batch, 1000 + LONG, 40):
        _play(seed, length=18 if seed % 4 else 60)


def test_a_history_is_a_function_of_its_seed_and_shrinks_to_what_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert draw(5) == draw(5) != draw(6)

    def two_photos(operations: list[Op]) -> str:
        return "two" if sum(op[0] == "photo" for op in operations) >= 2 else ""

    monkeypatch.setattr("tests.faults.history.fails", two_photos)
    long = draw(7, 400)
    assert [op[0] for op in smallest(long)] == ["photo", "photo"]
