"""Stands for a place that could not be opened: every verb says why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from typing import BinaryIO, NoReturn

from vaultd.backends.base import Finding, ObjectInfo, Space
from vaultd.errors import PlaceError, PlaceLockedAway, PlaceRefused, UsageError, VaultdError


class FailingBackend:
    """Satisfies Backend; every verb raises `why`: as it is where it is a PlaceError, as
    PlaceRefused where it lies with what was given (UsageError), else as PlaceLockedAway."""

    def __init__(self, why: VaultdError) -> None:
        self.why = why

    def _refuse(self) -> NoReturn:
        if isinstance(self.why, PlaceError):
            raise copy(self.why) from self.why
        kind = PlaceRefused if isinstance(self.why, UsageError) else PlaceLockedAway
        raise kind(self.why.message, hint=self.why.hint) from self.why

    def create(self, name: str, data: BinaryIO, size: int) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def delete(self, name: str) -> None:  # noqa: ARG002
        """Refuse."""
        self._refuse()

    def space(self) -> Space:
        """Refuse."""
        self._refuse()

    def probe(self) -> Sequence[Finding]:
        """Refuse."""
        self._refuse()
