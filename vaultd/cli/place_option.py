"""`--from` and `--to`: a PLACE is a URL, the name of a target in the config, or `USER@own`.

The credentials of a URL come from VAULTD_PLACE_… variables, named like the keys of a target; where
two places need different ones, from VAULTD_FROM_… and VAULTD_TO_….
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from vaultd.backends.base import Backend
from vaultd.backends.place import open_place
from vaultd.backup.own_setting import open_own_target
from vaultd.cli.workplace import load_config
from vaultd.config import OWN, target_from_variables
from vaultd.errors import UsageError
from vaultd.state.store import State

PLACE = click.option(
    "--from", "place_url", required=True, metavar="PLACE", help="A URL, or a target's name."
)


def place_of(
    text: str, config_path: Path | None, *, create: bool = False, role: str = "FROM"
) -> Backend:
    """Return the place that somebody named as `role`, FROM or TO.

    Raises UsageError, ConfigError, PlaceError, and what opening a user's own target raises.
    """
    if ":" in text or "/" in text:
        target = target_from_variables(text, os.environ, ("PLACE", role))
        return open_place(text, target, create=create)
    config = load_config(config_path)
    if text.endswith(f"@{OWN}"):
        state = State(Path(config.state.path))
        return open_own_target(config, state, text.removesuffix(f"@{OWN}"))[1]
    targets = config.targets
    if text not in targets:
        raise UsageError(
            f"{text[:40]!r} is neither a URL nor a target of the config.",
            hint=f"Its targets are {', '.join(targets)}; a URL reads like file:///srv/vaults.",
        )
    return open_place(targets[text].url, targets[text], name=text, create=create)
