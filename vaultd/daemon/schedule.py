"""Who is due when: accounts spread over the period by a hash of their name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from vaultd.clock import parse_rfc3339
from vaultd.state.journal import AccountResult

_SLOTS: Final = 96
_SHORTEST: Final = timedelta(seconds=5)
_LONGEST: Final = timedelta(minutes=15)
_RETRY: Final = timedelta(hours=1)


def tick(period: timedelta) -> timedelta:
    """Return how often to look for due accounts: 96 times a period, within 5 s and 15 min."""
    return min(max(period / _SLOTS, _SHORTEST), _LONGEST)


def until_scrub(last: str | None, period: timedelta, at: datetime) -> timedelta:
    """Return how long after its start a daemon scrubs first: a daemon that is restarted every few
    days must come to it, too; one that never did lets the first backup go before."""
    if last is None:
        return min(_RETRY, period)
    return min(max(parse_rfc3339(last) + period - at, _SHORTEST), period)


def latest_slot(username: str, period: timedelta, at: datetime) -> datetime:
    """Return the account's newest slot that is not after `at`; slots are one period apart."""
    digest = hashlib.blake2b(username.encode(), digest_size=8).digest()
    offset = int.from_bytes(digest, "big") / 2**64 * period.total_seconds()
    return at - timedelta(seconds=(at.timestamp() - offset) % period.total_seconds())


def due(
    usernames: Iterable[str],
    results: Mapping[str, AccountResult],
    period: timedelta,
    at: datetime,
) -> list[str]:
    """Return the accounts to back up now.

    Due are accounts never looked at, those whose slot has come since they were (also while the
    daemon was down), and failed ones after a while.
    """
    return [name for name in usernames if _is_due(name, results.get(name), period, at)]


def _is_due(name: str, result: AccountResult | None, period: timedelta, at: datetime) -> bool:
    if result is None:
        return True
    last = parse_rfc3339(result.at)
    if last > at:  # the clock was set back: do not wait for it to catch up
        return True
    if result.status == "failed" and at - last >= min(_RETRY, period / 4):
        return True
    return last < latest_slot(name, period, at)
