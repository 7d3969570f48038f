"""`archives`, `verify`, `restore`: need a kit and a place, nothing else."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import click

from vaultd.cli.kit_option import kit_option
from vaultd.cli.kit_place import ACCOUNT, FROM, KIT, POD_KEY, VAULT, open_kit
from vaultd.cli.output import emit_json, line, plural, remark, say, size
from vaultd.cli.place_option import naming_credentials, place_of, shown
from vaultd.cli.selection_options import ONLY, SINCE, UNTIL
from vaultd.cli.workplace import CONFIG
from vaultd.errors import DamageError, UsageError
from vaultd.restore.formats import FORMATS, Options

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")


@click.command()
@KIT
@FROM
@ACCOUNT
@VAULT
@POD_KEY
@CONFIG
@AS_JSON
def archives(
    kit_source: str,
    place_text: str | None,
    account: str | None,
    vault_id: str | None,
    pod_key: tuple[str, ...],
    config_path: Path | None,
    as_json: bool,
) -> int:
    """List the points in time that a kit can restore."""
    vault, _, where = open_kit(
        kit_source,
        place_text,
        config_path,
        account=account,
        pod_keys=pod_key,
        vault_id=vault_id,
    )
    bad: dict[str, list[str]] = {}
    for problem in vault.problems:
        bad.setdefault(problem.object, []).append(problem.code)
    points = [
        {
            "sequence": point.entry.sequence,
            "time": point.manifest.time,
            "account": point.manifest.account,
            "counts": point.manifest.counts,
            "changes": {k: list(v) for k, v in point.manifest.changes.items()},
            "archives": len(point.manifest.archives) + 1,
            "size": point.entry.size,
            "name": point.entry.name,
            "chain": ",".join(bad.get(point.entry.name, [])) or "ok",
            "selection": point.manifest.selection,
        }
        for point in vault.points
        if point.complete
    ]
    if as_json:
        from vaultd.keys import fingerprint

        emit_json(
            {
                "vault": vault.listing.vault_id,
                "account": vault.account,
                "pod_keys": [fingerprint(pod) for pod in sorted(vault.pods)],
                "pod_key_given": vault.pinned,
                "notes": vault.remarks,
                "archives": points,
                "problems": [_problem(p.code, p.object, p.sentence) for p in vault.problems],
            }
        )
    else:
        say(f"{vault.account or 'nobody'}: vault {vault.listing.vault_id} in {where}")
        for point in vault.points:
            if not point.complete:
                continue
            counts = point.manifest.counts
            changed = sum(sum(c) for c in point.manifest.changes.values())
            main = ", ".join(
                plural(counts[k], k.replace("_", " "))
                for k in ("post", "photo", "contact", "message")
                if counts.get(k)
            )
            state = ",".join(bad.get(point.entry.name, [])) or "ok"
            line(
                "●",
                f"{point.entry.sequence:>5}  {point.manifest.time}  {size(point.entry.size):>10}  "
                f"{plural(changed, 'change'):>15}  {state:<6}  {point.manifest.selection or main}",
                ok=state == "ok",
            )
        for problem in vault.problems:
            remark(problem.sentence)
    return DamageError.exit_code if vault.problems else 0


def _problem(code: str, name: str, sentence: str) -> dict[str, object]:
    return {"code": code, "object": name, "sentence": sentence}


@click.command()
@kit_option(required=False, help="Decrypt and check every record too.")
@FROM
@ACCOUNT
@VAULT
@POD_KEY
@CONFIG
@AS_JSON
def verify(
    kit_source: str | None,
    place_text: str | None,
    account: str | None,
    vault_id: str | None,
    pod_key: tuple[str, ...],
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Check signatures, hashes and chains of every vault in a place; with a kit, its records."""
    from vaultd.restore.opening.nothing_here import nothing_here
    from vaultd.restore.verify import verify_place, verify_records

    vault = None
    if kit_source is not None:
        vault, place, where = open_kit(
            kit_source,
            place_text,
            config_path,
            account=account,
            pod_keys=pod_key,
            vault_id=vault_id,
        )
    elif place_text is None:
        raise UsageError("Nothing says which place to verify.", hint="Say --from PLACE.")
    elif account is not None or vault_id is not None or pod_key:
        raise UsageError(
            "--account, --vault and --pod-key need a kit.", hint="Say --kit, or leave them out."
        )
    else:
        place, where = place_of(place_text, config_path), shown(place_text)
    with naming_credentials(place_text or ""):
        result = verify_place(place)
    if not result.vaults:
        raise nothing_here(place, where)
    if vault is not None:
        verify_records(vault, result)
    if as_json:
        emit_json(
            {
                "vaults": result.vaults,
                "account": vault.account if vault is not None else None,
                "archives": result.archives,
                "blobs": result.blobs,
                "bytes": result.bytes,
                "records": result.records if vault is not None else None,
                "problems": [_problem(p.code, p.object, p.sentence) for p in result.problems],
                "problems_unlisted": result.unlisted,
            }
        )
    else:
        for problem in result.problems:
            line("✗", problem.sentence, ok=False)
        records = (
            f", {plural(result.records, 'record')} of {vault.account} decrypted"
            if vault is not None
            else ""
        )
        line(
            "✓" if not result.problems else "✗",
            f"{plural(result.vaults, 'vault')}, {plural(result.archives, 'archive')}, "
            f"{plural(result.blobs, 'blob')}, {size(result.bytes)} read{records}: "
            + ("all sound." if not result.problems else f"{plural(result.found, 'problem')}."),
            ok=not result.problems,
        )
    return DamageError.exit_code if result.problems else 0


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


COMMANDS = (archives, verify, restore)
