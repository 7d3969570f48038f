"""`unenroll`, and what `enroll USER` shows: one account comes, changes its kit, or goes."""

from __future__ import annotations

from pathlib import Path

import click

from vaultd.backup.accounts.enroll import enroll
from vaultd.backup.accounts.leaving import Leaving, leaving, unenroll
from vaultd.backup.accounts.newcomers import Newcomers, count_sentence
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.run.run import run_backup
from vaultd.backup.upkeep.erasing import erase_old_vaults
from vaultd.backup.user_targets.run_time import OwnPlaces
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, line, plural, remark, size
from vaultd.cli.workplace import CONFIG, open_config, working_on
from vaultd.config import Config
from vaultd.errors import AccountsFailed, PlaceError, VaultdError
from vaultd.keys import PodKey, Recipient
from vaultd.state.store import State


def enroll_account(
    config: Config, state: State, user: str, recipient: str, *, erase_old: bool, as_json: bool
) -> int:
    """Enrol one account to its kit; one that had another vault gets the new one written at once.

    Return the exit code.
    """
    pod_key = PodKey.load(state.directory / "pod.key")
    before = {each.vault_id for each in state.enrollments([user])}
    source, names = open_source(config), list(config.targets)
    done = enroll(
        state, source, user, Recipient.parse(recipient), targets=names, erase_old=erase_old
    )
    trouble = ""
    if before - {done.vault_id}:
        try:
            report = run_backup(
                config, state, source, open_targets(config), pod_key, [user], insist=True
            )
            trouble = " ".join(account.reason for account in report.failed)
        except VaultdError as error:
            trouble = str(error)
    shown = leaving(config, state.old_vaults.of_account(user))
    if as_json:
        emit_json(
            {
                "enrolled": [user],
                "vault": done.vault_id,
                "pod_key": pod_key.fingerprint,
                "old_vaults": [each.document() for each in shown],
                "reason": trouble,
            }
        )
    else:
        line("✓", f"{done.handle} is enrolled; vault {done.vault_id}")
        remark(f"write this pod's key on the kit: {pod_key.fingerprint}")
        if trouble:
            line("✗", f"the new vault could not be written whole yet: {trouble}", ok=False)
        show_leaving(shown)
    return AccountsFailed.exit_code if trouble else 0


def show_leaving(shown: list[Leaving]) -> None:
    """Print a line for each old vault."""
    for each in shown:
        gone = each.old.done_at is not None
        line("✓" if gone else "●", each.sentence)


def show_newcomers(config: Config, newcomers: Newcomers) -> None:
    """Print who was enrolled by policy before a run, and how many are not."""
    for note in newcomers.notes:
        remark(note)
    if newcomers.enrolled:
        line("✓", f"{plural(len(newcomers.enrolled), 'account')} enrolled by policy")
    count = newcomers.count
    if count.not_enrolled:
        told = count_sentence(count, config.enroll.policy)
        line("✗" if count.reason else "●", told, ok=not count.reason)


@click.command("unenroll")
@click.argument("user")
@click.option("--erase", is_flag=True, help="Erase all that is stored of the account, everywhere.")
@CONFIG
@AS_JSON
def unenroll_command(user: str, erase: bool, config_path: Path | None, as_json: bool) -> int:
    """Stop backing USER up; what is stored stays, or is erased, with a receipt.

    What cannot be erased now (target away, objects locked) is erased by a later run; the same
    command again says how far it is. No policy enrols USER again; `vaultd enroll USER` does.
    """
    config = open_config(config_path)
    with working_on(config, "unenroll") as path:
        state = State(path)
        known = unenroll(state, user, list(config.targets), erase=erase)
        if erase:
            own = OwnPlaces(config, state, insist=True)
            for guid in {each.guid for each in known}:
                erase_old_vaults(state, open_targets(config), own, guid=guid)
            own.save()
        state.tidy()
        shown = leaving(config, state.old_vaults.of_account(user))
    waiting = [each for each in shown if each.old.pending]
    if as_json:
        emit_json(
            {
                "username": user,
                "enrolled": False,
                "erased": erase and not waiting,
                "vaults": [each.document() for each in shown],
            }
        )
    else:
        line("✓", f"{user} is not backed up any more")
        show_leaving(shown)
        if erase and not waiting:
            objects = sum(each.old.objects for each in shown)
            total = size(sum(each.old.bytes for each in shown))
            line("✓", f"all erased: {plural(objects, 'object')}, {total}")
        elif waiting:
            remark(f"{plural(len(waiting), 'vault')} still to be erased: later runs do it.")
    return PlaceError.exit_code if waiting else 0


COMMANDS = (unenroll_command,)
