"""Counting what targets were asked and how much room they have, for reports and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vaultd.backends.base import Backend, Space
from vaultd.backends.wrappers.retrying import RetryingBackend, begin_run, retrying_part
from vaultd.backup.room import Room
from vaultd.clock import now, rfc3339
from vaultd.errors import PlaceError
from vaultd.state.store import State
from vaultd.state.tallies import Counters, Tally

if TYPE_CHECKING:
    from vaultd.config import Config


def counted(place: object) -> Counters:
    """Return what a backend counted since it was last asked; a folder counts nothing."""
    patient = retrying_part(place)
    if patient is None:
        return Counters()
    meter = patient.meter.drain()
    errors: dict[str, dict[str, int]] = {}
    for (verb, code), count in meter.errors.items():
        errors.setdefault(verb, {})[code] = count
    return Counters(
        dict(meter.calls),
        dict(meter.retries),
        errors,
        meter.seconds,
        meter.bytes_up,
        meter.bytes_down,
    )


def count_run(
    config: Config,
    state: State,
    targets: Mapping[str, Backend],
    more: Mapping[str, Counters],
    *,
    ask: bool,
) -> list[Room]:
    """Add what a run counted (`more` is what its workers did) to the tallies.

    With `ask` every target is asked for its room. Returns the rooms that are known.
    """
    tallies = state.tallies.all()
    touched: dict[str, Tally] = {}
    for name in (*targets, *(name for name in more if name not in targets)):
        tally = touched[name] = tallies.get(name, Tally())
        place = targets.get(name)
        if place is not None and ask:
            _ask(tally, place)  # its trouble is in the report already, and in the counters
        tally.counters.add(counted(place))
        tally.counters.add(more.get(name, Counters()))
        tally.resting = isinstance(place, RetryingBackend) and place.resting
    state.tallies.save(touched)
    return rooms(config, touched)


def ask_targets(state: State, targets: Mapping[str, Backend]) -> dict[str, str]:
    """Ask every target for its room; return what went wrong by target, empty where it answers."""
    tallies = state.tallies.all()
    touched = {name: tallies.get(name, Tally()) for name in targets}
    for place in targets.values():
        begin_run(place)  # what shut it in the last run may be mended
    troubles = {name: _ask(touched[name], place) for name, place in targets.items()}
    for name, place in targets.items():
        touched[name].counters.add(counted(place))
    state.tallies.save(touched)
    return troubles


def _ask(tally: Tally, place: Backend) -> str:
    """Ask a target for its room; return what went wrong."""
    try:
        space = place.space()
    except PlaceError as error:
        tally.trouble = str(error)
        tally.trouble_since = tally.trouble_since or rfc3339(now())
        return tally.trouble
    tally.trouble, tally.trouble_since = "", None
    tally.asked_at, tally.total, tally.free = rfc3339(now()), space.total, space.free
    return ""


def rooms(config: Config, tallies: Mapping[str, Tally]) -> list[Room]:
    """Return the room of each configured target whose free bytes are known."""
    return [
        Room(
            name, Space(tally.total, tally.free), target.reserve_bytes(tally.total), tally.asked_at
        )
        for name, target in config.targets.items()
        if (tally := tallies.get(name)) is not None and tally.free is not None
    ]
