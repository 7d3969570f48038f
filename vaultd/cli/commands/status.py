"""`status`: what a podmin wants to know first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from vaultd.backup.accounts.leaving import leaving
from vaultd.backup.accounts.newcomers import count_sentence
from vaultd.backup.health import Health, health
from vaultd.backup.metrics import metrics_text
from vaultd.backup.status import AccountStatus, account_statuses, target_statuses
from vaultd.backup.user_targets.failures import own_failures
from vaultd.cli.commands.account import show_leaving
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, line, plural
from vaultd.cli.workplace import CONFIG, open_config
from vaultd.clock import now, parse_rfc3339
from vaultd.sizes import shown_age, shown_bytes
from vaultd.state.store import State

_SMALL: Final = 20  # accounts: as many are listed one by one anyway
_FAILING: Final = 20  # failing accounts that are listed


@click.command()
@click.option("--metrics", is_flag=True, help="Figures in Prometheus' text format instead.")
@click.option("--all", "everybody", is_flag=True, help="A line for each account.")
@CONFIG
@AS_JSON
def status(metrics: bool, everybody: bool, config_path: Path | None, as_json: bool) -> int:
    """Say what a podmin wants to know first: whether all is well, since when, and what is not."""
    config = open_config(config_path)
    state = State(Path(config.state.path))
    if metrics:
        click.echo(metrics_text(config, state), nl=False)
        return 0
    statuses = account_statuses(state, list(config.targets))
    found = health(config, state, statuses)
    left, count = leaving(config, state.old_vaults.all()), state.census.last()
    targets, own = target_statuses(config, state), own_failures(config, state)
    if as_json:
        documents = [s.document() for s in statuses]
        emit_json(
            {
                **found.document(),
                "accounts": documents,
                "targets": targets,
                "own_targets": own.document(),
                "old_vaults": [each.document() for each in left],
                "not_enrolled": None if count is None else count.not_enrolled,
                "opted_out": None if count is None else count.opted_out,
            }
        )
        return 0
    _show_health(found)
    safe = sum(1 for s in statuses if not s.reason and all(s.newest.values()))
    line(
        "✓" if safe == len(statuses) else "✗",
        f"{safe:,} of {plural(len(statuses), 'enrolled account')} have a backup on every target",
        ok=safe == len(statuses),
    )
    _show_accounts(statuses, everybody=everybody)
    if own.accounts:
        line("●", own.sentence)
    if count is not None and count.not_enrolled and not count.reason:
        line("●", count_sentence(count, config.enroll.policy))
    show_leaving([each for each in left if each.old.due or each.old.escrow])
    for each in targets:
        line("✗" if each["low"] else "●", f"{each['sentence']}", ok=not each["low"])
    return 0


def _show_health(found: Health) -> None:
    line("✓" if found.well else "✗", found.sentence, ok=found.well)
    for problem in found.problems[1:]:
        line("✗", f"{problem[0].upper()}{problem[1:]}", ok=False)
    last = found.last_run
    if last is None or last.finished is None:
        line("●", "no run has ended yet")
        return
    line(
        "●",
        f"last run {_since(last.finished)}: {plural(last.looked_at, 'account')} looked at, "
        f"{last.changed:,} changed, {last.failed:,} failed, {shown_bytes(last.bytes)} stored"
        + (f"; {last.error}" if last.error else ""),
    )


def _show_accounts(statuses: Sequence[AccountStatus], *, everybody: bool) -> None:
    small = everybody or len(statuses) <= _SMALL
    failing = [s for s in statuses if s.reason or s.own is not None]
    shown = statuses if small else failing[:_FAILING]
    for found in shown:
        newest = ", ".join(f"{target} {_since(at)}" for target, at in found.newest.items())
        line(
            "✗" if found.reason else "●",
            f"{found.username}: {newest}" + (f". {found.reason}" if found.reason else ""),
            ok=not found.reason,
        )
        if found.own is not None and not found.reason:
            line("●", f"{found.username}: own target {found.own.sentence}")
    if not small:
        left = len(failing) - len(shown)
        more = f"{left:,} more of them fail; " if left > 0 else ""
        line("●", f"{more}`vaultd status --all` lists {plural(len(statuses), 'account')}")


def _since(at: str | None) -> str:
    """Return a time and its age for people: `2026-11-24T03:00:00Z (5 h ago)`."""
    if at is None:
        return "never"
    return f"{at} ({shown_age((now() - parse_rfc3339(at)).total_seconds())} ago)"


COMMANDS = (status,)
