"""Figures in Prometheus' text format (0.0.4): of the pod and its targets, never of one user."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from vaultd import __version__
from vaultd.backup.health import FEW_PICTURES
from vaultd.backup.pace import PAUSED
from vaultd.backup.user_targets.failures import own_failures
from vaultd.clock import parse_rfc3339
from vaultd.config import OWN, Config
from vaultd.errors import PlaceError
from vaultd.state.store import State
from vaultd.state.tallies import Tally

Sample = tuple[Mapping[str, str], float]
_STATUSES: Final = ("written", "unchanged", "failed", "never")


def metrics_text(config: Config, state: State) -> str:
    """Return all figures as text; raises PlaceError for an unusable state."""
    families = _Families()
    families.add("build_info", "gauge", "The version.", [({"version": __version__}, 1)])
    _runs(families, state)
    _targets(families, config, state)
    return families.text()


def write_metrics(config: Config, state: State) -> None:
    """Write the figures to `metrics.textfile`, whole or not at all; nothing where none is named.

    Raises PlaceError when the file cannot be written, and what `metrics_text` raises.
    """
    if not config.metrics.textfile:
        return
    path, text = Path(config.metrics.textfile), metrics_text(config, state)
    temporary = ""
    try:
        # Its name does not end with .prom, so that node_exporter never reads half of it.
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(fd, 0o644)  # another user reads it, and nothing in it is secret
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with suppress(OSError):
                Path(temporary).unlink()
        raise PlaceError(
            f"metrics.textfile: {path} cannot be written ({error.strerror}).",
            hint="Its folder must be writable for vaultd (ReadWritePaths= of the unit).",
        ) from error


class _Families:
    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: str, text: str, samples: Iterable[Sample]) -> None:
        """Add a metric with its samples; one without any is left out."""
        listed = list(samples)
        if not listed:
            return
        full = f"vaultd_{name}"
        self._lines += [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
        for labels, value in listed:
            inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            self._lines.append(f"{full}{{{inner}}} {value!r}" if inner else f"{full} {value!r}")

    def text(self) -> str:
        """Return what was added, with the line feed at the end that the format asks for."""
        return "\n".join(self._lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _seconds(moment: str) -> float:
    return parse_rfc3339(moment).timestamp()


def _runs(families: _Families, state: State) -> None:
    enrolled = state.enrolled()
    found = state.journal.status_counts()
    found["never"] = enrolled - sum(found.values())
    families.add("enrolled_accounts", "gauge", "Accounts that are backed up.", [({}, enrolled)])
    families.add(
        "accounts", "gauge", "Accounts by how the last run that looked at them ended for them.",
        [({"status": status}, found.get(status, 0)) for status in _STATUSES],
    )  # fmt: skip
    families.add(
        "old_vaults_to_erase", "gauge", "Old vaults that are still to be erased, on all targets.",
        [({}, state.old_vaults.count_pending())],
    )  # fmt: skip
    looks = state.journal.look_sums(FEW_PICTURES)
    families.add(
        "oldest_look_timestamp_seconds", "gauge",
        "When the account was looked at that waits for longest; alert on its age.",
        [({}, _seconds(looks.oldest))] if looks.oldest else [],
    )  # fmt: skip
    families.add(
        "missing_picture_files", "gauge", "Picture files that could not be read.",
        [({}, looks.missing)],
    )  # fmt: skip
    families.add(
        "accounts_lacking_pictures", "gauge", "Accounts that lack more than a few picture files.",
        [({}, looks.accounts)],
    )  # fmt: skip
    families.add(
        "paused", "gauge", "1 where runs wait for `vaultd resume`.",
        [({}, int((state.directory / PAUSED).exists()))],
    )  # fmt: skip
    count = state.census.last()
    families.add(
        "not_enrolled_accounts", "gauge",
        "Open accounts that are not enrolled, without those that were unenrolled.",
        [({}, count.not_enrolled)] if count else [],
    )  # fmt: skip
    last, success = state.journal.last_run(), state.journal.last_success()
    families.add(
        "last_success_timestamp_seconds", "gauge",
        "When the last run ended that nothing broke off; single accounts may have failed in it.",
        [({}, _seconds(success.finished))] if success and success.finished else [],
    )  # fmt: skip
    if last is None or last.finished is None:
        return
    for name, text, value in (
        ("timestamp_seconds", "When the last run ended.", _seconds(last.finished)),
        ("seconds", "How long it took.", _seconds(last.finished) - _seconds(last.started)),
        ("bytes", "Bytes that it stored.", float(last.bytes)),
        ("accounts", "Accounts that it looked at.", float(last.looked_at)),
        ("failed_accounts", "Accounts that failed in it.", float(last.failed)),
    ):
        families.add(f"last_run_{name}", "gauge", text, [({}, value)])


def _targets(families: _Families, config: Config, state: State) -> None:
    tallies = {
        name: tally
        for name, tally in sorted(state.tallies.all().items())
        if name in config.targets or name == OWN
    }
    for name, field, text in (
        ("requests", "calls", "Calls that a target carried out."),
        ("retries", "retries", "Calls that were tried again."),
        ("seconds", "seconds", "Seconds that these calls took."),
    ):
        families.add(
            f"target_{name}_total", "counter", text,
            [
                ({"target": target, "verb": verb}, value)
                for target, tally in tallies.items()
                for verb, value in sorted(getattr(tally.counters, field).items())
            ],
        )  # fmt: skip
    families.add(
        "target_errors_total", "counter", "Attempts that failed, by the error's stable word.",
        [
            ({"target": target, "verb": verb, "code": code}, count)
            for target, tally in tallies.items()
            for verb, codes in sorted(tally.counters.errors.items())
            for code, count in sorted(codes.items())
        ],
    )  # fmt: skip
    _amounts(families, tallies)
    sums = [
        ({"target": target}, each)
        for target, each in sorted(state.tallies.vaults().items())
        if target in config.targets or target == OWN
    ]
    families.add(
        "target_vaults", "gauge", "Vaults with at least one point.",
        [(target, each.vaults) for target, each in sums],
    )  # fmt: skip
    families.add(
        "target_newest_point_timestamp_seconds", "gauge", "The newest point of all vaults.",
        [(target, _seconds(each.newest)) for target, each in sums],
    )  # fmt: skip
    families.add(
        "target_oldest_point_timestamp_seconds", "gauge",
        "The newest point of the vault that did not change for longest.",
        [(target, _seconds(each.oldest)) for target, each in sums],
    )  # fmt: skip
    own = len(state.own_targets.all())
    families.add("own_targets", "gauge", "Accounts with a target of their own.", [({}, own)])
    failing = own_failures(config, state)
    families.add(
        "own_targets_failing", "gauge", "Accounts whose own target failed when it was last tried.",
        [({}, failing.accounts)],
    )  # fmt: skip
    families.add(
        "own_targets_failing_since_timestamp_seconds", "gauge", "Since when the oldest of these.",
        [({}, _seconds(failing.oldest))] if failing.oldest else [],
    )  # fmt: skip


def _amounts(families: _Families, tallies: Mapping[str, Tally]) -> None:
    counters = [(target, tally.counters) for target, tally in tallies.items()]
    sent = [({"target": target}, count.sent) for target, count in counters]
    received = [({"target": target}, count.received) for target, count in counters]
    families.add("target_sent_bytes_total", "counter", "Bytes of stored objects.", sent)
    families.add("target_received_bytes_total", "counter", "Bytes of read objects.", received)
    one = [(target, tally) for target, tally in tallies.items() if target != OWN]
    families.add(
        "target_circuit_open", "gauge", "1 where the last run ended by leaving the target alone.",
        [({"target": target}, int(tally.resting)) for target, tally in one],
    )  # fmt: skip
    free = [({"target": t}, tally.free) for t, tally in one if tally.free is not None]
    total = [({"target": t}, tally.total) for t, tally in one if tally.total is not None]
    families.add("target_free_bytes", "gauge", "Bytes left when last asked.", free)
    families.add("target_total_bytes", "gauge", "Bytes in all when last asked.", total)
