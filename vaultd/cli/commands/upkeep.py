"""`forget` and `scrub`: what keeps vaults small and sound over the years."""

from __future__ import annotations

from pathlib import Path

import click

from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.engine.context import open_context
from vaultd.backup.run.run import run_backup
from vaultd.backup.upkeep.forget import ForgetReport, Forgotten, forget
from vaultd.backup.upkeep.scrub import ScrubReport, scrub
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, line, plural, remark, size
from vaultd.cli.workplace import CONFIG, open_config, working_on
from vaultd.config import percentage
from vaultd.errors import DamageError, PlaceError
from vaultd.keys import PodKey
from vaultd.state.store import State


@click.command("forget")
@click.argument("users", nargs=-1, metavar="[USER ...]")
@click.option("--dry-run", is_flag=True, help="Only list what would go.")
@CONFIG
@AS_JSON
def forget_command(
    users: tuple[str, ...], dry_run: bool, config_path: Path | None, as_json: bool
) -> int:
    """Let go of points in time that [retention] does not keep, and of what only they need."""
    config = open_config(config_path)
    with working_on(config, "forget") as state_path:
        pod_key = PodKey.load(state_path / "pod.key")
        state = State(state_path)
        context = open_context(config, state, pod_key)
        own = OwnPlaces(config, state)
        report = forget(context, open_targets(config), users or None, own=own, dry_run=dry_run)
    if as_json:
        emit_json(_forget_document(report, dry_run))
    else:
        _show_forgotten(report, dry_run)
    return PlaceError.exit_code if report.problems else 0


def _forget_document(report: ForgetReport, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "bytes": sum(vault.bytes for vault in report.vaults),
        "vaults": [
            {
                "username": vault.username,
                "target": vault.target,
                "points": list(vault.points),
                "objects": list(vault.objects),
                "deleted": vault.deleted,
                "bytes": vault.bytes,
                "waits": vault.waits,
            }
            for vault in report.vaults
        ],
        "problems": report.problems,
        "notes": report.notes,
    }


def _show_forgotten(report: ForgetReport, dry_run: bool) -> None:
    verb = "would go" if dry_run else "gone"
    for vault in report.vaults:
        points = ", ".join(str(point) for point in vault.points) or "none"
        line(
            "●",
            f"{vault.username}, {vault.target}: points {points}; {_objects(vault)}, "
            f"{size(vault.bytes)} {verb}{vault.waits and f'; the rest waits: {vault.waits}'}",
        )
    for note in report.notes:
        remark(note)
    for problem in report.problems:
        line("✗", problem, ok=False)
    total = sum(vault.bytes for vault in report.vaults)
    line(
        "✗" if report.problems else "✓",
        f"{plural(len(report.vaults), 'vault')}, {size(total)} {verb}",
        ok=not report.problems,
    )


def _objects(vault: Forgotten) -> str:
    whole = plural(len(vault.objects), "object")
    return whole if vault.deleted == len(vault.objects) else f"{vault.deleted} of {whole}"


@click.command("scrub")
@click.argument("users", nargs=-1, metavar="[USER ...]")
@click.option("--share", metavar="5%", help="How much of each target to read; 100% is all.")
@CONFIG
@AS_JSON
def scrub_command(
    users: tuple[str, ...], share: str | None, config_path: Path | None, as_json: bool
) -> int:
    """Read stored objects again, oldest check first, and heal what is damaged or missing."""
    config = open_config(config_path)
    part = config.scrub.part if share is None else percentage(share, "--share")
    with working_on(config, "scrub") as state_path:
        state, targets = State(state_path), open_targets(config)
        report = scrub(state, targets, part, users or None, own=OwnPlaces(config, state))
        again = report.to_write_again
        if again:
            run_backup(
                config,
                state,
                open_source(config),
                targets,
                PodKey.load(state_path / "pod.key"),
                again,
            )
    if as_json:
        emit_json(_scrub_document(report))
    else:
        _show_scrubbed(report)
    if report.problems:
        return PlaceError.exit_code
    return DamageError.exit_code if report.findings else 0


def _scrub_document(report: ScrubReport) -> dict[str, object]:
    return {
        "vaults": report.vaults,
        "objects": report.objects,
        "bytes": report.bytes,
        "findings": [
            {
                "username": found.username,
                "target": found.target,
                "object": found.object,
                "code": found.code,
                "sentence": found.sentence,
                "healed": found.healed,
            }
            for found in report.findings
        ],
        "problems": report.problems,
        "notes": report.notes,
    }


def _show_scrubbed(report: ScrubReport) -> None:
    for found in report.findings:
        line("✗", f"{found.username}, {found.target}: {found.sentence}", ok=False)
        remark(f"healed: {found.healed}")
    for note in report.notes:
        remark(note)
    for problem in report.problems:
        line("✗", problem, ok=False)
    bad = len(report.findings) + len(report.problems)
    line(
        "✗" if bad else "✓",
        f"{plural(report.vaults, 'vault')}, {plural(report.objects, 'object')}, "
        f"{size(report.bytes)} read: "
        + ("all sound." if not bad else f"{plural(bad, 'finding')}."),
        ok=not bad,
    )


COMMANDS = (forget_command, scrub_command)
