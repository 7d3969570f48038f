"""Histories: what may befall a pod, drawn from a seed, played, and cut to what makes it fail.

An operation is a tuple: the name of a method of `Simulation` and its arguments, nothing else, so
a history can be printed, cut, and played again.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.faults.simulation import KINDS, TARGETS, Simulation

Op = tuple[Any, ...]
_PARTS: Final = ("post", "photo")
_SHM: Final = Path("/dev/shm")


def draw(seed: int, length: int = 18) -> list[Op]:
    """Return the history of a seed: some hosts are honest, some serve old listings too."""
    chance = random.Random(seed)
    honest = chance.random() < 0.7
    return [_operation(chance, honest) for _ in range(chance.randint(length // 2, length))]


def _operation(chance: random.Random, honest: bool) -> Op:
    who = "bob" if chance.random() < 0.2 else "alice"
    target = chance.choice(TARGETS)
    kind = chance.choices(
        ("run", "put", "drop", "photo", "file", "no_file", "lose_state", "copy_state",
         "old_state", "empty", "remove", "flip", "recipient", "restart", "targets", "forget",
         "scrub", "part", "patience", "retention"),
        (34, 24, 9, 8, 6, 2, 2, 4, 4, 1, 2, 2, 1, 2, 3, 5, 5, 3, 2, 2),
    )[0]  # fmt: skip
    arguments: dict[str, tuple[Any, ...]] = {
        "put": (who, chance.choice(KINDS), chance.randrange(4), chance.randrange(3)),
        "drop": (who, chance.choice((*KINDS, "photo")), chance.randrange(4)),
        "photo": (who, chance.randrange(3), chance.randrange(3)),
        "file": (chance.randrange(3), chance.randrange(4)),
        "no_file": (chance.randrange(3),),
        "old_state": (chance.randrange(3),),
        "empty": (target,),
        "remove": (target, chance.randrange(1000) / 1000),
        "flip": (target, chance.randrange(1000) / 1000, chance.randrange(1000) / 1000),
        "recipient": (who, chance.randrange(3)),
        "targets": (chance.randrange(1, 3),),
        "patience": (chance.random() < 0.5,),
        "retention": (chance.random() < 0.7,),
        "forget": (
            who,
            chance.randrange(10**6),
            chance.choice((0, 0, 0.3)),
            chance.choice((0, 0, 1, 2)),
        ),
    }
    if kind in ("run", "part", "scrub"):
        kill = chance.choice((-1, 1)) * chance.randint(1, 5) if chance.random() < 0.25 else 0
        rate = chance.choice((0, 0, 0.1, 0.3, 0.6))
        fate = (chance.randrange(10**6), rate, kill, honest)
        if kind == "scrub":
            return ("scrub", chance.choice((0.1, 1.0)), *fate)
        return ("run", *fate) if kind == "run" else ("run", *fate, chance.choice(_PARTS))
    return (kind, *arguments.get(kind, ()))


def play(operations: list[Op]) -> Counter[str]:
    """Play a history on a fresh world and check its end; raises Broken or what the engine does."""
    with tempfile.TemporaryDirectory(dir=_SHM if _SHM.is_dir() else None) as folder:
        simulation = Simulation(Path(folder))
        try:
            for name, *arguments in operations:
                getattr(simulation, name)(*arguments)
            simulation.finish()
        finally:
            simulation.world.state.close()
        return simulation.judge.counts


def fails(operations: list[Op]) -> str:
    """Say how a history ends badly; empty when it ends well."""
    try:
        play(operations)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def smallest(operations: list[Op], tries: int = 200) -> list[Op]:
    """Leave out what is not needed to fail: halves first, single operations at last."""
    step = max(1, len(operations) // 2)
    while tries > 0:
        removed = False
        start = 0
        while start < len(operations) and tries > 0:
            shorter = operations[:start] + operations[start + step :]
            tries -= 1
            if fails(shorter):
                operations, removed = shorter, True
            else:
                start += step
        if not removed and step == 1:
            break
        step = max(1, step // 2)
    return operations
