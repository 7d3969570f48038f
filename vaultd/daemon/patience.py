"""Trouble that comes again and again: asked ever more seldom, and told of with a count."""

from __future__ import annotations

import logging
from typing import Final

from vaultd.sizes import shown_age

_LONGEST: Final = 3600.0

_log: Final = logging.getLogger(__name__)


class Patience:
    """What one thing that may be away says: the first time, and then as often as it is asked."""

    def __init__(self, what: str) -> None:
        """`what` begins the sentence that it is back, as `The database` or `Scrubbing`."""
        self._what = what
        self.failures = 0

    def failed(self, sentence: str, every: float) -> float:
        """Tell of a failure; return the seconds until the next try: twice as many each time."""
        self.failures += 1
        again = "" if self.failures == 1 else f" ({self.failures} times in a row)"
        wait = min(every * (1 << min(self.failures - 1, 30)), max(_LONGEST, every))
        _log.error("%s%s Next try in %s.", sentence, again, shown_age(wait))
        return wait

    def worked(self) -> None:
        """Tell that it is back, if it was away."""
        if self.failures:
            times = "once" if self.failures == 1 else f"{self.failures} times"
            _log.info("%s works again, after it failed %s.", self._what, times)
        self.failures = 0
