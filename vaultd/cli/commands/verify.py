"""`archives`, `verify`: what a place holds, and whether it is sound; nothing is written."""

from __future__ import annotations

from pathlib import Path

import click

from vaultd.cli.json_option import AS_JSON
from vaultd.cli.kit_option import kit_option
from vaultd.cli.kit_place import ACCOUNT, FROM, KIT, POD_KEY, VAULT, open_kit
from vaultd.cli.output import emit_json, line, plural, remark, say, size
from vaultd.cli.place_option import naming_credentials, place_of, shown
from vaultd.cli.workplace import CONFIG
from vaultd.errors import DamageError, UsageError


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


COMMANDS = (archives, verify)
