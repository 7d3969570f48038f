"""`restore`: needs a kit and a place, nothing else."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import click

from vaultd.cli.json_option import AS_JSON
from vaultd.cli.kit_place import ACCOUNT, FROM, KIT, POD_KEY, VAULT, open_kit
from vaultd.cli.output import emit_json, line, plural, remark
from vaultd.cli.selection_options import ONLY, SINCE, UNTIL
from vaultd.cli.workplace import CONFIG
from vaultd.errors import DamageError, UsageError
from vaultd.restore.formats import FORMATS, Options


@click.command()
@KIT
@FROM
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--format", "form", required=True, type=click.Choice(tuple(FORMATS)))
@click.option(
    "--at",
    "when",
    metavar="DAY|TIME|SEQUENCE",
    help="An earlier point in time; a day means its end.",
)
@ONLY
@SINCE
@UNTIL
@click.option("--post", metavar="GUID", help="Only this post and what is on it.")
@click.option(
    "--unpack-limit",
    metavar="SIZE",
    help="Allow so much although what is stored is far smaller, such as 10GB.",
)
@click.option("--force", is_flag=True, help="Replace what an earlier restore left in --out.")
@click.option("--email", metavar="ADDRESS", help="With --format diaspora: the new account's.")
@ACCOUNT
@VAULT
@POD_KEY
@CONFIG
@AS_JSON
def restore(
    kit_source: str,
    place_text: str | None,
    out: Path,
    form: str,
    when: str | None,
    only: tuple[str, ...],
    since: str | None,
    until: str | None,
    post: str | None,
    unpack_limit: str | None,
    force: bool,
    email: str | None,
    account: str | None,
    vault_id: str | None,
    pod_key: tuple[str, ...],
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Get an account back from kit and place, as a diaspora archive, as pages, or as records."""
    from vaultd.config import byte_count
    from vaultd.restore.output.out_folder import prepare
    from vaultd.restore.passed_over import passed_over
    from vaultd.restore.snapshot import Snapshot
    from vaultd.selection import select

    _check_email(email, form)
    if post is not None and not post.strip():
        raise UsageError("--post names no post.", hint="Give the GUID of one.")
    selection = select(only, since, until, post or "")
    allowed = byte_count(unpack_limit, "--unpack-limit") if unpack_limit else 0
    vault, _, _ = open_kit(
        kit_source,
        place_text,
        config_path,
        account=account,
        pod_keys=pod_key,
        vault_id=vault_id,
        when=when,
    )
    point = vault.at(when)
    snapshot = Snapshot(vault, point, selection, unpack_limit=allowed)
    if post and not any(record.id == post for record in snapshot.records({"post"})):
        raise UsageError(
            f"There is no post {post[:80]!r} of {snapshot.manifest.account} as of "
            f"{snapshot.manifest.time} that this restore would take.",
            hint="A post is named by its GUID: the end of its address on the pod.",
        )
    prepare(out, force=force)
    try:
        written = FORMATS[form](snapshot, out, Options(email))
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise UsageError(
            f"{out} cannot be written ({reason}).",
            hint="Make room there, or name another folder with --out.",
        ) from error
    counts = Counter(written.counts)
    missing = [
        f"{counts[kind]} of {expected} {kind} records were restored."
        for kind, expected in snapshot.manifest.counts.items()
        if counts[kind] != expected and not selection.part
    ]
    damage = [*snapshot.damage, *missing, *passed_over(vault, point, when)]
    if as_json:
        emit_json(
            {
                "account": snapshot.manifest.account,
                "vault": vault.listing.vault_id,
                "pod_key_given": vault.pinned,
                "notes": vault.remarks,
                "at": snapshot.manifest.time,
                "sequence": snapshot.sequence,
                "format": form,
                "selection": selection.sentence or snapshot.manifest.selection,
                "out": str(out),
                "counts": dict(counts),
                "damage": damage,
                "obstacles": list(written.obstacles),
            }
        )
    else:
        total = sum(counts.values())
        line(
            "✗" if damage else "✓",
            f"{snapshot.manifest.account} as of {snapshot.manifest.time}: "
            f"{plural(total, 'record')} restored to {out}",
            ok=not damage,
        )
        for sentence in (*damage, *written.obstacles):
            remark(sentence)
    return DamageError.exit_code if damage else 0


def _check_email(email: str | None, form: str) -> None:
    from vaultd.restore.importer_rules import is_email

    if email is None:
        return
    if form != "diaspora":
        raise UsageError("--email belongs to --format diaspora.")
    if not is_email(email):
        raise UsageError(f"{email!r} is no e-mail address that diaspora* takes.")


COMMANDS = (restore,)
