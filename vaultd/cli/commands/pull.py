"""`pull`: an export that diaspora* made, into a vault of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vaultd.cli.json_option import AS_JSON
from vaultd.cli.kit_option import kit_option
from vaultd.cli.output import emit_json, line, plural, remark, size
from vaultd.cli.place_option import file_url, place_of
from vaultd.errors import AccountsFailed


@click.command("pull")
@click.argument("export", type=click.Path(path_type=Path, dir_okay=False))
@kit_option(required=True, help="Kit file, or -.")
@click.option("--to", "place_text", required=True, metavar="PLACE", help="A folder or a URL.")
@click.option(
    "--photos", type=click.Path(path_type=Path, dir_okay=False), help="The photos archive (.zip)."
)
@click.option(
    "--state",
    "state_path",
    type=click.Path(path_type=Path, file_okay=False),
    help="What is remembered between pulls. [default: $XDG_STATE_HOME/vaultd/pull/VAULT]",
)
@AS_JSON
def pull_command(
    export: Path,
    kit_source: str,
    place_text: str,
    photos: Path | None,
    state_path: Path | None,
    as_json: bool,
) -> int:
    """Back up an account archive (.json, .json.gz, .zip) that a pod without vaultd gave you.

    Pull the next export into the same place, and only what changed is stored.
    """
    from vaultd.backup.pull import pull
    from vaultd.cli.kit_option import read_kit
    from vaultd.keys import PodKey, Secrets, owner_signing_seed, parse_pod_key
    from vaultd.sources.export.source import ExportFileSource

    kit = read_kit(kit_source)
    recipient = Secrets.from_secret(kit.secret).recipient
    source = ExportFileSource(export, photos)
    place = place_of(place_text, None, create=True, role="TO")
    state = state_path or _default_state() / recipient.vault_id
    key = PodKey(owner_signing_seed(kit.secret))
    report = pull(source, kit.secret, place, file_url(place_text), state)
    (account,) = report.accounts or (None,)
    if as_json:
        emit_json(
            {
                "account": source.accounts()[0].handle,
                "vault": recipient.vault_id,
                "pod_key": key.fingerprint,
                "changed": report.written,
                "archives": report.archives,
                "bytes": report.bytes,
                "failed": len(report.failed),
                "reason": account.reason if account is not None else "",
                "notes": list(account.notes) if account is not None else [],
            }
        )
        return AccountsFailed.exit_code if report.failed else 0
    for note in account.notes if account is not None else ():
        remark(note)
    handle = source.accounts()[0].handle
    if report.failed and account is not None:
        line("✗", f"{handle}: {account.reason}", ok=False)
        return AccountsFailed.exit_code
    if report.written:
        line("✓", f"{handle}: {plural(report.archives, 'archive')}, {size(report.bytes)} stored")
    else:
        line("✓", f"{handle}: nothing changed since the last pull")
    known = {parse_pod_key(text) for text in kit.pod_keys}
    if known and key.public not in known:
        remark("this kit is of a pod's vault, whose key it names; what you pulled has yours.")
        remark(f"To restore it, say --pod-key {key.fingerprint}")
    return 0


def _default_state() -> Path:
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "vaultd" / "pull"


COMMANDS = (pull_command,)
