"""`--from` and `--to`: a PLACE is a URL, the name of a target in the config, or `USER@own`.

The credentials of a URL come from VAULTD_PLACE_… variables, named like the keys of a target; where
two places need different ones, from VAULTD_FROM_… and VAULTD_TO_….
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vaultd.backends.base import Backend
from vaultd.backends.place import open_place
from vaultd.cli.workplace import load_config
from vaultd.errors import UsageError

if TYPE_CHECKING:
    from vaultd.config import Target

_PREFIXES: Final = ("VAULTD_PLACE_", "VAULTD_FROM_", "VAULTD_TO_")
_OWN: Final = "@own"

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
        return open_place(text, _from_variables(text, role), create=create)
    config = load_config(config_path)
    if text.endswith(_OWN):
        from vaultd.backup.own_setting import open_own_target
        from vaultd.state.store import State

        state = State(Path(config.state.path))
        return open_own_target(config, state, text.removesuffix(_OWN))[1]
    targets = config.targets
    if text not in targets:
        raise UsageError(
            f"{text[:40]!r} is neither a URL nor a target of the config.",
            hint=f"Its targets are {', '.join(targets)}; a URL reads like file:///srv/vaults.",
        )
    return open_place(targets[text].url, targets[text], name=text, create=create)


def _from_variables(url: str, role: str) -> Target | None:
    if not any(name.upper().startswith(_PREFIXES) for name in os.environ):
        return None
    from vaultd.config import target_from_variables

    return target_from_variables(url, os.environ, ("PLACE", role))
