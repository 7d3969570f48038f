"""`target set|remove|list|reseal`: an account's own target, beside or in place of the pod's."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from vaultd.backends.place_url import parse_place
from vaultd.backup.user_targets.settings import (
    KEYS,
    list_own_targets,
    remove_own_target,
    reseal_own_targets,
    set_own_target,
)
from vaultd.cli.json_option import AS_JSON
from vaultd.cli.output import emit_json, line, plural, remark
from vaultd.cli.workplace import CONFIG, open_config, working_on
from vaultd.config import SECRETS, Config
from vaultd.errors import UsageError
from vaultd.state.store import State

_MOST = 64 * 1024
_USUAL = {"s3": "secret_key", "dropbox": "refresh_token"}


@click.group()
def target() -> None:
    """Targets that users bring: sealed at rest, reaching no inner network."""


@target.command("set")
@click.argument("user")
@click.argument("place")
@click.option(
    "--key", "keys", multiple=True, metavar="NAME=VALUE",
    help=f"What belongs to the place and is no secret: {', '.join(KEYS)}.",
)  # fmt: skip
@click.option(
    "--secret", "secrets", multiple=True, type=click.Choice(SECRETS),
    help="Which secret is given; of several each is a line. Default: what the place needs.",
)  # fmt: skip
@click.option(
    "--secret-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Read the secret from a file, not from standard input or the terminal.",
)  # fmt: skip
@click.option(
    "--ca-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Trust the authority with this certificate (PEM); it is kept, not the file's name.",
)  # fmt: skip
@click.option("--only", is_flag=True, help="In place of the pod's targets, not beside them.")
@CONFIG
@AS_JSON
def set_command(
    user: str,
    place: str,
    keys: tuple[str, ...],
    secrets: tuple[str, ...],
    secret_file: Path | None,
    ca_file: Path | None,
    only: bool,
    config_path: Path | None,
    as_json: bool,
) -> int:
    """Try a place, and keep it as USER's own target; the secret never stands in the command."""
    scheme = parse_place(place).scheme
    texts = _keys(keys)
    # Before the config: a root's file is read as root.
    texts.update(_secrets(secrets or (_USUAL.get(scheme, "password"),), secret_file))
    if ca_file is not None:
        texts["ca"] = _read(ca_file)
    config = open_config(config_path)
    with working_on(config, "target set"):
        findings = set_own_target(config, _state(config), user, place, texts, only=only)
    if as_json:
        emit_json(
            {
                "username": user,
                "url": place,
                "only": only,
                "findings": [
                    {"what": f.what, "fine": f.fine, "sentence": f.sentence} for f in findings
                ],
            }
        )
        return 0
    for found in findings:
        line("✓" if found.fine else "●", f"{found.what}: {found.sentence}")
    beside = "in place of" if only else "beside"
    line("✓", f"{user} is backed up to {place} {beside} the pod's targets from the next run on")
    return 0


def _keys(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in KEYS:
            # The value is not repeated: it may be a secret all the same.
            raise UsageError(
                f"--key {name[:40]}=…: there is no such key.",
                hint=f"There are {', '.join(KEYS)}; a secret is typed, piped or in a file.",
            )
        found[name] = value
    return found


def _secrets(names: tuple[str, ...], file: Path | None) -> dict[str, str]:
    if file is None and sys.stdin.isatty():
        return {n: click.prompt(f"The {n}", hide_input=True, err=True) for n in names}
    text = _read(file)
    values = [text.strip("\r\n")] if len(names) == 1 else text.splitlines()
    if len(values) < len(names) or not all(values):
        raise UsageError(
            f"No {names[len([v for v in values if v]) if len(names) > 1 else 0]} came in.",
            hint="Type it, pipe it, or name a file with --secret-file.",
        )
    return dict(zip(names, values, strict=False))


def _read(file: Path | None) -> str:
    if file is None:
        return sys.stdin.read(_MOST)
    try:
        with file.open(encoding="utf-8") as opened:
            return opened.read(_MOST)
    except OSError as error:
        raise UsageError(f"{file} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not text.") from error


@target.command("remove")
@click.argument("user")
@CONFIG
def remove_command(user: str, config_path: Path | None) -> int:
    """Forget USER's own target; what is stored there stays."""
    config = open_config(config_path)
    with working_on(config, "target remove"):
        had_one = remove_own_target(_state(config), user)
    if had_one:
        line("✓", f"{user} has no target of its own any more; the vault there stays as it is")
    else:
        line("●", f"{user} had no target of its own")
    return 0


@target.command("list")
@click.argument("users", nargs=-1, metavar="[USER ...]")
@CONFIG
@AS_JSON
def list_command(users: tuple[str, ...], config_path: Path | None, as_json: bool) -> int:
    """Say who has a target of its own, since when, whether it fails, and whose move it is."""
    config = open_config(config_path)
    found = list_own_targets(config, _state(config), users or None)
    if as_json:
        emit_json({"targets": [asdict(each) for each in found]})
        return 0
    for each in found:
        wrong = each.trouble or ("" if each.failure is None else each.failure.sentence)
        newest = f"newest point {each.newest}" if each.newest else "nothing there yet"
        line(
            "✗" if wrong else "●",
            f"{each.username or '(not enrolled)'}: {each.url}{' only' if each.only else ''}, "
            f"set {each.set_at}, {newest} {wrong}".rstrip(),
            ok=not wrong,
        )
    line("✓", f"{plural(len(found), 'account')} with a target of its own")
    return 0


@target.command("reseal")
@click.option(
    "--old", "old", required=True, type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE", help="The key with which they are sealed now; user_targets.key is the new one.",
)  # fmt: skip
@CONFIG
def reseal_command(old: Path, config_path: Path | None) -> int:
    """Seal all targets of users with a new key."""
    config = open_config(config_path)
    with working_on(config, "target reseal"):
        done = reseal_own_targets(config, _state(config), {"file": str(old)})
    line("✓", f"{plural(done.resealed, 'target')} resealed, {done.already} had the new key")
    if done.left:
        remark(f"neither key opens {plural(done.left, 'target')}: `vaultd target list` names them.")
    return UsageError.exit_code if done.left else 0


def _state(config: Config) -> State:
    return State(Path(config.state.path))


COMMANDS = (target,)
