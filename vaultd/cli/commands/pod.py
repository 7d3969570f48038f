"""`enroll`, `backup`, `run`: on the pod, with its database and state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from vaultd.backends.base import Backend
from vaultd.backup.accounts.enroll import enroll_all, load_recovery
from vaultd.backup.accounts.newcomers import Newcomers, welcome
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.checks.pod_signs import doubts
from vaultd.backup.metrics import write_metrics
from vaultd.backup.pace import PAUSED
from vaultd.backup.report import AccountReport, RunReport
from vaultd.backup.run.pool import open_pool
from vaultd.backup.run.progress import RunProgress
from vaultd.backup.run.run import run_backup
from vaultd.backup.target_trouble import by_target
from vaultd.cli.commands.account import enroll_account, show_newcomers
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, line, plural, remark, size
from vaultd.cli.progress import WAYS, Progress
from vaultd.cli.selection_options import ONLY, SINCE, UNTIL
from vaultd.cli.stopping import STOPPED, stop_on_signals
from vaultd.cli.workplace import CONFIG, open_config, working_on
from vaultd.config import Config
from vaultd.daemon.service import serve
from vaultd.errors import AccountsFailed, DatabaseError, PlaceError, UsageError
from vaultd.keys import PodKey
from vaultd.selection import select
from vaultd.sources.base import Source
from vaultd.state.store import State


@click.command()
@click.argument("user", required=False)
@click.option("--recipient", metavar="vault1…", help="The recipient of the user's own kit.")
@click.option("--all", "everybody", is_flag=True, help="Everybody not enrolled yet, with escrow.")
@click.option(
    "--erase-old",
    is_flag=True,
    help="Erase the vault of USER's kit of before, too, once it can go.",
)
@CONFIG
@AS_JSON
def enroll(
    user: str | None,
    recipient: str | None,
    everybody: bool,
    erase_old: bool,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Enrol one account to its kit, or all accounts with the podmin's recovery key as escrow."""
    if everybody == (user is not None) or (user is not None) != (recipient is not None):
        raise UsageError(
            "Say either USER --recipient vault1…, or --all.", hint="See vaultd enroll --help."
        )
    config = open_config(config_path)
    with working_on(config, "enroll") as state_path:
        pod_key = PodKey.load(state_path / "pod.key")
        state = State(state_path)
        if user is not None and recipient is not None:
            return enroll_account(
                config, state, user, recipient, erase_old=erase_old, as_json=as_json
            )
        report = enroll_all(
            state, open_source(config), open_targets(config), load_recovery(state_path)
        )
    if as_json:
        emit_json(
            {
                "enrolled": [e.username for e in report.enrolled],
                "already": report.already,
                "opted_out": report.opted_out,
                "closed": report.closed,
                "failed": report.failed,
                "notes": report.notes,
                "pod_key": pod_key.fingerprint,
            }
        )
    else:
        line(
            "✓", f"{plural(len(report.enrolled), 'account')} enrolled, {len(report.already)} before"
        )
        if report.closed:
            line("●", f"{plural(report.closed, 'closed account')} left out")
        if report.opted_out:
            names = ", ".join(report.opted_out)
            line("●", f"left out, as they were unenrolled: {names}")
        for sentence in report.notes:
            remark(sentence)
        for sentence in report.failed.values():
            line("✗", sentence, ok=False)
    return AccountsFailed.exit_code if report.failed else 0


@click.command()
@click.argument("users", nargs=-1, metavar="[USER ...]")
@ONLY
@SINCE
@UNTIL
@click.option(
    "--progress",
    type=click.Choice(WAYS),
    default="auto",
    show_default=True,
    help="How to show where the run stands, on standard error.",
)
@CONFIG
@AS_JSON
def backup(
    users: tuple[str, ...],
    only: tuple[str, ...],
    since: str | None,
    until: str | None,
    progress: str,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """One run for these accounts, or for all that are enrolled.

    With --only, --since or --until it writes partial archives beside the whole ones.
    """
    config = open_config(config_path)
    selection = select(only, since, until)
    if selection.part and not users:
        raise UsageError("A partial archive is made of named accounts.", hint="Name the users.")
    way = "none" if as_json and progress == "auto" else progress
    with (
        working_on(config, "backup") as state_path,
        stop_on_signals() as asked,
        open_pool(config) as pool,
    ):
        state, source, targets = State(state_path), open_source(config), open_targets(config)
        for doubt in doubts(config, source):
            remark(doubt)
        newcomers = _welcome(config, state, source, targets) if not users else Newcomers()
        where = RunProgress(len(set(users)) or state.enrolled())
        with Progress(way, where):
            report = run_backup(
                config,
                state,
                source,
                targets,
                PodKey.load(state_path / "pod.key"),
                users or None,
                should_stop=asked,
                selection=selection,
                pool=pool,
                progress=where,
                insist=bool(users),
            )
        try:
            write_metrics(config, state)
        except PlaceError as error:
            remark(str(error))  # the backup itself is done
    if as_json:
        emit_json({**run_document(report), **newcomers.document()})
    else:
        _show(report)
        show_newcomers(config, newcomers)
    if report.interrupted:
        return STOPPED
    return AccountsFailed.exit_code if report.failed or newcomers.count.reason else 0


def _welcome(
    config: Config, state: State, source: Source, targets: Mapping[str, Backend]
) -> Newcomers:
    try:
        return welcome(config, state, source, targets)
    except DatabaseError:
        return Newcomers()  # the run meets the same trouble, notes it and tells


def run_document(report: RunReport) -> dict[str, object]:
    """Return a run as the JSON document of `backup --json` (docs/operations.md)."""
    return {
        "looked_at": report.looked_at,
        "changed": report.written,
        "unchanged": len(report.unchanged),
        "failed": len(report.failed),
        "archives": report.archives,
        "bytes": report.bytes,
        "seconds": round(report.seconds, 3),
        "interrupted": report.interrupted,
        "rooms": [
            {"target": r.target, "free": r.space.free, "total": r.space.total, "low": r.low}
            for r in report.rooms
        ],
        "own_targets": report.own.document(),
        "failing_targets": [trouble.document() for trouble in by_target(report.failed)[0]],
        "accounts": [_account(account) for account in report.accounts],
    }


def _account(account: AccountReport) -> dict[str, object]:
    return {
        "username": account.username,
        "status": account.status.value,
        "records": account.records,
        "reason": account.reason,
        "notes": list(account.notes),
        "missing_pictures": account.missing,
        "targets": [
            {
                "target": t.target,
                "status": t.status.value,
                "archive": t.archive,
                "sequence": t.sequence,
                "size": t.size,
                "blobs": t.blobs,
                "changes": {kind: list(counts) for kind, counts in t.changes.items()},
                "reason": t.reason,
                "move": t.move,
            }
            for t in account.targets
        ],
    }


def _show(report: RunReport) -> None:
    for account in report.remarkable:
        for note in account.notes:
            remark(f"{account.username}: {note}")
    troubles, others = by_target(report.failed)
    for trouble in troubles:
        line("✗", trouble.sentence, ok=False)
    for account in others:
        line("✗", f"{account.username}: {account.reason}", ok=False)
    for room in report.rooms:
        line("✗" if room.low else "●", room.sentence, ok=not room.low)
    if report.own.accounts:
        line("●", report.own.sentence)
    if report.erased:
        line("●", f"{plural(len(report.erased), 'old vault')} erased")
    for old in report.not_erased:
        remark(f"{old.username}, {old.target}: an old vault could not be erased: {old.result}")
    if report.interrupted:
        line("●", "stopped before the last account; the next run goes on from here")
    line(
        "✓" if not report.failed else "✗",
        f"{plural(report.looked_at, 'account')} looked at, {report.written} changed, "
        f"{len(report.failed)} failed, {size(report.bytes)} stored in "
        f"{plural(report.archives, 'archive')} ({report.seconds:.1f} s)",
        ok=not report.failed,
    )


@click.command()
@CONFIG
def run(config_path: Path | None) -> int:
    """Be the daemon: back up every account once per period until stopped."""
    open_config(config_path)
    return serve(config_path)


@click.command()
@CONFIG
def pause(config_path: Path | None) -> int:
    """Have runs wait before their next batch, until `vaultd resume`."""
    path = Path(open_config(config_path).state.path) / PAUSED
    try:
        path.touch(mode=0o600)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).") from error
    line("●", "runs wait before their next batch; `vaultd resume` lets them go on")
    return 0


@click.command()
@CONFIG
def resume(config_path: Path | None) -> int:
    """Let runs go on after `vaultd pause`."""
    path = Path(open_config(config_path).state.path) / PAUSED
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path} cannot be removed ({error.strerror}).") from error
    line("✓", "runs go on")
    return 0


COMMANDS = (enroll, backup, run, pause, resume)
