"""`--from` and `--to`: a PLACE is a URL, or the name of a target in the config.

The credentials of a URL come from VAULTD_PLACE_… variables, named like the keys of a target.
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

VARIABLES: Final = "vaultd_place_"

PLACE = click.option(
    "--from", "place_url", required=True, metavar="PLACE", help="A URL, or a target's name."
)


def place_of(text: str, config_path: Path | None, *, create: bool = False) -> Backend:
    """Return the place that somebody named; raises UsageError, ConfigError, PlaceError."""
    if ":" in text or "/" in text:
        return open_place(text, _from_variables(text), create=create)
    targets = load_config(config_path).targets
    if text not in targets:
        raise UsageError(
            f"{text[:40]!r} is neither a URL nor a target of the config.",
            hint=f"Its targets are {', '.join(targets)}; a URL reads like file:///srv/vaults.",
        )
    return open_place(targets[text].url, targets[text], name=text, create=create)


def _from_variables(url: str) -> Target | None:
    if not any(name.lower().startswith(VARIABLES) for name in os.environ):
        return None
    from vaultd.config import target_from_variables

    return target_from_variables(url, os.environ)
