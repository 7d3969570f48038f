"""Many creators of one name at one time: does S3's condition let exactly one win?"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError
from typing import Final, Protocol

from vaultd.backends.base import Finding
from vaultd.backends.s3.client import S3Client
from vaultd.errors import ObjectExists, PlaceError

_CREATORS: Final = 8
_ROUNDS: Final = 5
_PATIENCE: Final = 30.0  # seconds until all threads stand at the line
_WHAT: Final = "create by several at once"


class Put(Protocol):
    """Stores `body` under `key`."""

    def __call__(self, key: str, body: bytes, *, conditional: bool) -> None:
        """Raise what the place says."""
        ...


def race(client: S3Client, key: Callable[[], str], put: Put) -> Finding:
    """Let 8 threads create one object, some times over; raises the first PlaceError of others."""
    if not client.settings.conditional:
        sentence = "Not measured without conditions; vaultd's names differ anyway."
        return Finding(_WHAT, True, sentence)
    several = 0
    with ThreadPoolExecutor(_CREATORS) as pool:
        for _ in range(_ROUNDS):
            name, barrier = key(), Barrier(_CREATORS)

            def create(number: int, name: str = name, barrier: Barrier = barrier) -> bool:
                try:
                    barrier.wait(_PATIENCE)
                    put(name, bytes([number]) * 1000, conditional=True)
                except (ObjectExists, BrokenBarrierError):
                    return False
                except PlaceError as error:
                    if getattr(error, "error_code", "") or error.move == "wait":
                        return False  # refused is not won
                    raise
                return True

            several += list(pool.map(create, range(_CREATORS))).count(True) > 1
    if not several:
        return Finding(_WHAT, True, f"In {_ROUNDS} races of {_CREATORS} creators one won each.")
    sentence = (
        f"In {several} of {_ROUNDS} races several creators of one name won; harmless, as vaultd's "
        "names differ with their content."
    )
    return Finding(_WHAT, False, sentence, grave=False)
