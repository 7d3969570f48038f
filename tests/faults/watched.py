"""A pod in memory that knows when it was written to, as databases do."""

from __future__ import annotations

from collections.abc import Mapping

from tests.backup.world import FakeSource
from vaultd.sources.base import Changes


class Watched(FakeSource):
    """A source that can tell whether, and for whom, anything was written since a moment."""

    def __init__(self) -> None:
        super().__init__()
        self._moments: list[Mapping[str, str]] = []

    def _now(self) -> Mapping[str, str]:
        return {
            name: repr((list(person.records.values()), sorted(self.files.items())))
            for name, person in self.people.items()
        }

    def moment(self) -> bytes | None:
        return repr(self._now()).encode()

    def changes(self, since: bytes | None) -> Changes:
        now = self._now()
        self._moments.append(now)
        until = str(len(self._moments) - 1).encode()
        if since is None:
            return Changes(until, None)
        then = self._moments[int(since)]
        return Changes(until, frozenset(name for name in now if now[name] != then[name]))
