"""Is all well? What `vaultd status` says first, from what the state knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from vaultd.backup.accounts.newcomers import count_sentence
from vaultd.backup.counting import rooms
from vaultd.backup.pace import PAUSED
from vaultd.backup.status import AccountStatus
from vaultd.clock import now, parse_rfc3339, rfc3339
from vaultd.config import Config
from vaultd.sizes import plural, shown_age
from vaultd.state.journal import AccountResult, RunSummary
from vaultd.state.store import State

FEW_PICTURES: Final = 3  # an account lacks so many without more being wrong
_LATE: Final = 1.5  # periods
_SKEW: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether all is well, in words; `problems` are sentences, the gravest first.

    `oldest_look` is when the account was looked at that waits for longest (RFC 3339); None where
    one never was. `late` and `never` count accounts, `without_pictures` those that lack more than
    a few picture files.
    """

    enrolled: int
    problems: tuple[str, ...]
    last_run: RunSummary | None
    paused_since: str | None
    oldest_look: str | None
    late: int
    never: int
    without_pictures: int
    round: str

    @property
    def well(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.problems

    @property
    def sentence(self) -> str:
        """The first line for a podmin."""
        if self.problems:
            return f"Not well: {self.problems[0]}"
        looked = "" if self.oldest_look is None else f" in the last {_age(self.oldest_look)}"
        return (
            f"Well: {plural(self.enrolled, 'account')}, each looked at{looked} (a round takes "
            f"{self.round}) and backed up on every target."
        )

    def document(self) -> dict[str, object]:
        """Return what `vaultd status --json` says of it."""
        return {
            "well": self.well,
            "sentence": self.sentence,
            "problems": list(self.problems),
            "last_run": None if self.last_run is None else asdict(self.last_run),
            "paused_since": self.paused_since,
            "oldest_look": self.oldest_look,
            "late": self.late,
            "never": self.never,
            "without_pictures": self.without_pictures,
        }


def health(config: Config, state: State, statuses: Sequence[AccountStatus]) -> Health:
    """Judge the accounts' statuses, the last run, pauses and targets."""
    at, period = now(), config.schedule.period
    results = {result.username: result for result in state.journal.results()}
    looks = {s.username: results.get(s.username) for s in statuses}
    late = [r for r in looks.values() if r and at - parse_rfc3339(r.at) > period * _LATE]
    never = [name for name, result in looks.items() if result is None]
    oldest = min((r.at for r in looks.values() if r), default=None)
    bare = [r for r in looks.values() if r and r.missing > FEW_PICTURES]
    last, paused = state.journal.last_run(), _paused_since(state)
    every = config.schedule.every
    problems = [
        *_absences(statuses, looks, late, never, every),
        *_pause(paused),
        *_clock(oldest, looks, at),
        *_results(statuses, last),
        *_targets(config, state),
        *_pictures(bare),
        *_newcomers(config, state),
    ]
    return Health(
        len(statuses),
        tuple(problems),
        last,
        paused,
        None if never else oldest,
        len(late),
        len(never),
        len(bare),
        every,
    )


def _absences(
    statuses: Sequence[AccountStatus],
    looks: Mapping[str, AccountResult | None],
    late: Sequence[AccountResult],
    never: Sequence[str],
    every: str,
) -> list[str]:
    """Say who was not looked at in time."""
    if not statuses:
        return ["no account is enrolled; `vaultd enroll --all` enrols everybody."]
    due = f"a round is due every {every}. Is the daemon running (`systemctl status vaultd`)?"
    if len(never) == len(statuses):
        return [f"nothing was ever backed up; {due}"]
    found = []
    newest = max(result.at for result in looks.values() if result)
    if late and len(late) + len(never) == len(statuses):
        found.append(f"nothing has run for {_age(newest)}; {due}")
    elif late:
        oldest = min(result.at for result in late)
        found.append(
            f"{plural(len(late), 'account')} of {len(statuses):,} not looked at in time, the "
            f"first for {_age(oldest)}; {due}"
        )
    if never:
        found.append(f"{plural(len(never), 'account')} not looked at yet.")
    return found


def _pause(since: str | None) -> list[str]:
    if since is None:
        return []
    return [f"runs wait for {_age(since)} (`vaultd pause`); `vaultd resume` lets them go on."]


def _paused_since(state: State) -> str | None:
    try:
        status = (state.directory / PAUSED).stat()
    except FileNotFoundError:
        return None
    return rfc3339(datetime.fromtimestamp(status.st_mtime, UTC))


def _clock(
    oldest: str | None, looks: Mapping[str, AccountResult | None], at: datetime
) -> list[str]:
    ahead = [r.at for r in looks.values() if r and parse_rfc3339(r.at) > at + _SKEW]
    if oldest is None or not ahead:
        return []
    return [f"the last runs are dated {max(ahead)}, which is to come: was the clock set back?"]


def _results(statuses: Sequence[AccountStatus], last: RunSummary | None) -> list[str]:
    found = []
    if last is not None and last.error and not last.looked_at:
        found.append(f"the last run was broken off: {last.error}")
    failed = sum(1 for s in statuses if s.reason)
    lacking = sum(1 for s in statuses if not s.reason and _lacks(s))
    if failed:
        found.append(f"{plural(failed, 'account')} failed when last looked at.")
    if lacking:
        found.append(f"{plural(lacking, 'account')} without a backup on every target.")
    return found


def _lacks(status: AccountStatus) -> bool:
    """Tell whether a target of the pod has no point of an account that has one elsewhere."""
    return any(status.newest.values()) and not all(status.newest.values()) and status.own is None


def _targets(config: Config, state: State) -> list[str]:
    tallies = state.tallies.all()
    found = [
        f"target {name} does not answer since {tally.trouble_since}: {tally.trouble}"
        for name in config.targets
        if (tally := tallies.get(name)) is not None and tally.trouble
    ]
    return [*found, *(room.sentence for room in rooms(config, tallies) if room.tight)]


def _pictures(bare: Sequence[AccountResult]) -> list[str]:
    if not bare:
        return []
    return [
        f"{plural(sum(r.missing for r in bare), 'picture file')} of "
        f"{plural(len(bare), 'account')} missing or not readable; look at pod.uploads "
        "(`vaultd check`)."
    ]


def _newcomers(config: Config, state: State) -> list[str]:
    """Say whom the policy should have enrolled; with `opt-in` that is the podmin's own wish."""
    count = state.census.last()
    if count is None or not count.reason:
        return []
    return [count_sentence(count, config.enroll.policy)]


def _age(at: str) -> str:
    return shown_age((now() - parse_rfc3339(at)).total_seconds())
