"""`init`, `check`, `keygen`, `recipient`: before the first backup."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from vaultd.backends.opening import open_place
from vaultd.backends.trial import measure
from vaultd.backup.accounts.enroll import RECOVERY_FILE, load_recovery
from vaultd.backup.checks.checks import check_all
from vaultd.cli.init_steps import folders, make_folder, missing, owner_to_be, write_config
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.kit_option import kit_option, read_kit
from vaultd.cli.output import emit_json, line, remark, say
from vaultd.cli.privileges import work_as_owner
from vaultd.cli.workplace import CONFIG, load_config, open_config
from vaultd.clock import now, rfc3339
from vaultd.config import default_path
from vaultd.errors import PlaceError
from vaultd.keys import Kit, PodKey, Recipient, Secrets, generate_secret, kit, to_words


@click.command()
@click.option("--user", metavar="NAME", help="As root: whose the folders become. [default: vaultd]")
@click.option("--yes", is_flag=True, help="Do not ask before keys and folders are made.")
@CONFIG
def init(user: str | None, yes: bool, config_path: Path | None) -> int:
    """Write a commented config, make the pod key and the podmin's recovery key."""
    path = config_path or default_path(os.environ)
    owner, fresh = owner_to_be(user), not path.exists()
    if fresh:
        write_config(path, owner)
        line("✓", f"wrote the config {path}; edit its [pod], [state] and [targets.main]")
    config = load_config(path)
    state, named = Path(config.state.path), folders(config)
    lacking = missing(config, named)
    if lacking and sys.stdin.isatty() and not yes:
        say("\n".join(["vaultd init makes now:", *(f"  {each}" for each in lacking)]), err=True)
        if not click.confirm("Go on?", default=not fresh, err=True):
            line("●", f"nothing was made; edit {path} and run `vaultd init` again")
            return 0
    for key, folder in named.items():
        make_folder(key, folder, owner)
    work_as_owner(state)
    result = 0
    for name, target in config.targets.items():
        try:
            place = open_place(target.url, target, name=name, create=True)
            wrong = [f.sentence for f in measure(place) if f.grave and not f.fine]
        except PlaceError as error:
            if target.scheme == "file":
                raise
            wrong = [str(error)]
        for sentence in wrong:
            line("✗", f"target {name}: {sentence}", ok=False)
            result = PlaceError.exit_code
    pod_key = PodKey.load_or_create(state / "pod.key")
    line("✓", f"pod key {pod_key.fingerprint}; it belongs on the sheet with the podmin's words")
    if (state / RECOVERY_FILE).exists():
        made = datetime.fromtimestamp((state / RECOVERY_FILE).stat().st_mtime, UTC)
        line(
            "✓",
            f"the podmin's recovery key {short(load_recovery(state))} is there since "
            f"{rfc3339(made)}; its words are on the sheet that names it, and nowhere else",
        )
        _who_runs_it(state)
        return result
    secret = generate_secret()
    recipient = Secrets.from_secret(secret).recipient
    (state / RECOVERY_FILE).write_text(f"{recipient}\n", encoding="ascii")
    words = to_words(secret)
    click.echo(
        f"\nThe podmin's recovery key {short(recipient)}, made {rfc3339(now())}.\n"
        "It is shown once and stored nowhere:\n"
    )
    for start in range(0, 12, 4):
        click.echo(
            "    "
            + "".join(
                f"{start + i + 1:>2}. {w:<12}" for i, w in enumerate(words[start : start + 4])
            )
        )
    click.echo(
        f"\n    Pod key: {pod_key.fingerprint}\n\n"
        "Write these twelve words and the pod key on paper and keep them away from the pod. With\n"
        "them and the storage you can restore every account enrolled with --all whose user has\n"
        "not claimed an own kit. The pod key is no secret: it tells your pod's vaults from forged\n"
        "ones. vaultd restore --kit - --pod-key pod1… --from PLACE --account USER --out DIR\n"
        "--format diaspora\n"
    )
    _who_runs_it(state)
    return result


def short(recipient: Recipient) -> str:
    """Return the beginning of a recipient, by which sheets of words are told apart."""
    return f"{str(recipient)[:16]}…"


def _who_runs_it(state: Path) -> None:
    """Say what is left to do where root's folders wait for the unit's user."""
    if os.geteuid() == 0 and state.stat().st_uid == 0:
        remark(
            f"{state} belongs to root. systemd/vaultd.service runs vaultd as the user vaultd: make "
            f"that user and `chown -R vaultd: {state}`, and the folders of targets, too. Commands "
            "run as root work as the owner of the state."
        )


@click.command()
@click.option(
    "--target",
    metavar="NAME",
    help="Only this target, and what changed about it; USER@own is a user's.",
)
@CONFIG
@AS_JSON
def check(target: str | None, config_path: Path | None, as_json: bool) -> int:
    """Check config, database, schema, pictures, keys and targets; a line each."""
    config = open_config(config_path)
    results = check_all(config, target, config_path or default_path(os.environ))
    if as_json:
        emit_json(
            {
                "fine": all(r.fine for r in results),
                "checks": [
                    {"what": r.what, "fine": r.fine, "sentence": r.sentence} for r in results
                ],
            }
        )
    else:
        for result in results:
            line("✓" if result.fine else "✗", f"{result.what}: {result.sentence}", ok=result.fine)
    return max((r.exit_code for r in results if not r.fine), default=0)


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="KIT")
@click.option("--account", default="", help="The diaspora ID, to be printed on the kit.")
@click.option("--place", "places", multiple=True, help="Where the vault lies, to be printed too.")
@click.option(
    "--pod-key", "pod_keys", multiple=True, help="The pod's key (pod1…), to be printed too."
)
@CONFIG
def keygen(
    out: Path,
    account: str,
    places: tuple[str, ...],
    pod_keys: tuple[str, ...],
    config_path: Path | None,
) -> None:
    """Make a new recovery secret, write its kit, print the recipient."""
    new = Kit(generate_secret(), pod_keys, places, account)
    kit.write(out, new)
    click.echo(str(Secrets.from_secret(new.secret).recipient))
    remark(f"the kit is in {out}; print it, keep the paper, and remove the file from the pod.")


@click.command()
@kit_option(required=True, help="Kit file, or - to type the words.")
@CONFIG
@AS_JSON
def recipient(kit_source: str, config_path: Path | None, as_json: bool) -> None:
    """Print the recipient of a kit: what the pod needs to know."""
    found = Secrets.from_secret(read_kit(kit_source).secret).recipient
    if as_json:
        emit_json({"recipient": str(found), "vault": found.vault_id})
    else:
        click.echo(str(found))


COMMANDS = (init, check, keygen, recipient)
