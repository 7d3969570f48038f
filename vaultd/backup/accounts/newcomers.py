"""Users who sign up later: enrolled by policy before a run, or counted and told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vaultd.backends.base import Backend
from vaultd.backup.accounts.enroll import EnrollReport, enroll_all, load_recovery
from vaultd.clock import now, rfc3339
from vaultd.config import Config
from vaultd.errors import VaultdError
from vaultd.sizes import plural
from vaultd.sources.base import Source
from vaultd.state.census import Count
from vaultd.state.store import State


@dataclass(slots=True)
class Newcomers:
    """What `welcome` found: usernames `enrolled` now, and the count of those that are not."""

    enrolled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    count: Count = field(default_factory=lambda: Count("", 0, 0))

    def document(self) -> dict[str, object]:
        """Return it as the keys that the JSON document of a run has of it."""
        return {"enrolled": self.enrolled, "not_enrolled": self.count.not_enrolled}


def welcome(
    config: Config, state: State, source: Source, targets: Mapping[str, Backend]
) -> Newcomers:
    """Enrol every open account that is not enrolled, if `enroll.policy` says so; count the others.

    The caller holds the state lock. Closed and half-registered accounts, and those that were
    unenrolled, are nobody's newcomers. That some cannot be enrolled stops no run: it is in the
    count. Raises DatabaseError.
    """
    moment = source.moment()
    last = state.census.last()
    if last is not None and moment is not None and last.moment == moment and not last.not_enrolled:
        return Newcomers(count=last)
    new, out = _not_enrolled(state, source)
    found = Newcomers()
    reason = ""
    if new and config.enroll.policy == "all":
        report = EnrollReport()
        try:
            recovery = load_recovery(Path(config.state.path))
            report = enroll_all(state, source, targets, recovery, only=list(new.values()))
        except VaultdError as error:
            reason = str(error)
        found.enrolled = [each.username for each in report.enrolled]
        found.notes = report.notes
        reason = reason or next(iter(report.failed.values()), "")
        enrolled = {each.guid for each in report.enrolled}
        new = {guid: name for guid, name in new.items() if guid not in enrolled}
    found.count = Count(rfc3339(now()), len(new), out, reason, moment)
    state.census.save(found.count)
    return found


def _not_enrolled(state: State, source: Source) -> tuple[dict[str, str], int]:
    """Return guids and usernames of open accounts without a vault, and how many want none."""
    enrolled = state.guids()
    new = {g: name for g, name in source.open_accounts().items() if g not in enrolled}
    out = state.opted_out(new)
    return {guid: name for guid, name in new.items() if guid not in out}, len(out)


def names_not_enrolled(state: State, source: Source) -> list[str]:
    """Return the usernames of open accounts that are not enrolled now. Raises DatabaseError."""
    return sorted(_not_enrolled(state, source)[0].values())


def count_sentence(count: Count, policy: str, names: Collection[str] = ()) -> str:
    """Say how many accounts are not enrolled and what to do; empty where all are."""
    if not count.not_enrolled:
        return ""
    shown = ", ".join([*list(names)[:5], *(["…"] if len(names) > 5 else [])])
    many = f"{plural(count.not_enrolled, 'account')} of the pod "
    many += "is not backed up" if count.not_enrolled == 1 else "are not backed up"
    what = f"{many}: not enrolled{f' ({shown})' if shown else ''}"
    if policy == "all":
        return f"{what}. {count.reason or 'The next run enrols them.'}"
    return (
        f'{what}, as enroll.policy is "opt-in". `vaultd enroll --all` enrols them, and so does '
        'enroll.policy = "all" from the next run on.'
    )
