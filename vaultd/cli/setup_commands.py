"""`init`, `check`, `keygen`, `recipient`: before the first backup."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vaultd.backends.place import open_place
from vaultd.backup.enroll import RECOVERY_FILE
from vaultd.backup.setup import check_all
from vaultd.cli.kit_option import read_kit
from vaultd.cli.output import emit_json, line, remark
from vaultd.cli.workplace import CONFIG, load_config
from vaultd.config import DEFAULT_TEXT, default_path
from vaultd.errors import ConfigError, PlaceError
from vaultd.keys import Kit, PodKey, Secrets, generate_secret, kit, to_words

AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")


@click.command()
@CONFIG
def init(config_path: Path | None) -> None:
    """Write a commented config, make the pod key and the podmin's recovery key."""
    path = config_path or default_path(os.environ)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(DEFAULT_TEXT, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"The config {path} cannot be written ({error.strerror}).",
                hint="Choose another place with --config FILE.",
            ) from error
        line("✓", f"wrote the config {path}; edit its [pod], [state] and [targets.main]")
    config = load_config(path)
    state = Path(config.state.path)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"state.path: {state} cannot be made ({error.strerror}).",
            hint="Set another path, or run vaultd init as the user that may write there.",
        ) from error
    for name, target in config.targets.items():
        try:
            place = open_place(target.url, target, name=name, create=True)
            if target.scheme != "file":
                place.probe()  # makes the folder there
        except OSError as error:
            raise ConfigError(f"targets.{name}.url: {error.strerror}.") from error
        except PlaceError as error:
            if target.scheme == "file":
                raise
            line("✗", f"target {name}: {error}", ok=False)
    pod_key = PodKey.load_or_create(state / "pod.key")
    line("✓", f"pod key {pod_key.fingerprint}")
    if (state / RECOVERY_FILE).exists():
        line("✓", f"the podmin's recovery key exists already ({state / RECOVERY_FILE})")
        return
    secret = generate_secret()
    recipient = Secrets.from_secret(secret).recipient
    (state / RECOVERY_FILE).write_text(f"{recipient}\n", encoding="ascii")
    words = to_words(secret)
    click.echo("\nThe podmin's recovery key. It is shown once and stored nowhere:\n")
    for start in range(0, 12, 4):
        click.echo(
            "    "
            + "".join(
                f"{start + i + 1:>2}. {w:<12}" for i, w in enumerate(words[start : start + 4])
            )
        )
    click.echo(
        "\nWrite these twelve words on paper and keep them away from the pod. With them and the\n"
        "storage you can restore every account enrolled with --all whose user has not claimed an\n"
        "own kit: vaultd restore --kit - --from PLACE --account USER --out DIR --format diaspora\n"
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
    config = load_config(config_path)
    results = check_all(config, target)
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
@click.option("--kit", "kit_source", required=True, metavar="KIT", help="Kit file, or - to type.")
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
