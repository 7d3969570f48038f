"""`--from` and `--to`: a PLACE is a folder, a URL, a target's name in the config, or `USER@own`.

The credentials of a URL come from VAULTD_PLACE_… variables, named like the keys of a target; where
two places need different ones, from VAULTD_FROM_… and VAULTD_TO_….
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from vaultd.backends.base import Backend
from vaultd.backends.opening import open_place
from vaultd.cli.workplace import load_config
from vaultd.errors import ConfigError, PlaceRefused, UsageError

if TYPE_CHECKING:
    from vaultd.config import Target

_PREFIXES: Final = ("VAULTD_PLACE_", "VAULTD_FROM_", "VAULTD_TO_")
_OWN: Final = "@own"
_WAIT: Final = 20.0  # seconds, as somebody waits before the terminal

PLACE = click.option(
    "--from",
    "place_url",
    required=True,
    metavar="PLACE",
    help="A folder, a URL, or a target's name.",
)


def place_of(
    text: str, config_path: Path | None, *, create: bool = False, role: str = "FROM"
) -> Backend:
    """Return the place that somebody named as `role`, FROM or TO.

    Raises UsageError, ConfigError, PlaceError, and what opening a user's own target raises.
    """
    if _is_path(text):
        text = _url_of(text)
    if ":" in text:
        return open_place(text, _from_variables(text, role), create=create, first_contact=_WAIT)
    try:
        config = load_config(config_path)
    except ConfigError:
        if config_path is not None:
            raise
        if Path(text).is_dir():
            return open_place(_url_of(text), create=create, first_contact=_WAIT)
        raise UsageError(
            f"{text[:40]!r} is no folder here and no URL, and no config could be read that would "
            "have it as a target.",
            hint="A place is a folder like /srv/vaults, a URL like file:///srv/vaults, or with "
            "--config FILE the name of a target.",
        ) from None
    if text.endswith(_OWN):
        from vaultd.backup.user_targets.settings import open_own_target
        from vaultd.state.store import State

        state = State(Path(config.state.path))
        return open_own_target(config, state, text.removesuffix(_OWN))[1]
    targets = config.targets
    if text in targets:
        return open_place(
            targets[text].url, targets[text], name=text, create=create, first_contact=_WAIT
        )
    if Path(text).is_dir():
        return open_place(_url_of(text), create=create, first_contact=_WAIT)
    raise UsageError(
        f"{text[:40]!r} is no folder here, no URL and no target of the config.",
        hint=f"Its targets are {', '.join(targets)}; a folder reads like /srv/vaults, a URL like "
        "file:///srv/vaults.",
    )


def file_url(text: str) -> str:
    """Return a place's URL, also where it was named as a folder."""
    return text if ":" in text and not _is_path(text) else _url_of(text)


@contextmanager
def naming_credentials(text: str) -> Iterator[None]:
    """Within, a place that lets nobody in without credentials has a hint how to give them."""
    try:
        yield
    except PlaceRefused as error:
        if "://" in text and _from_variables(text, "FROM") is None:
            error.hint = (
                f"{error.hint} The credentials of a URL come from variables such as "
                "VAULTD_PLACE_PASSWORD, VAULTD_PLACE_ACCESS_KEY and VAULTD_PLACE_SECRET_KEY."
            ).strip()
        raise


def shown(text: str) -> str:
    """Return a place as it may be repeated: never with a password."""
    if ":" not in text or _is_path(text) or text.startswith("file:"):
        return text
    from vaultd.config import redact_url

    return redact_url(text)


def _is_path(text: str) -> bool:
    return text in (".", "..") or text.startswith(("/", "./", "../", "~")) or (
        "/" in text and ":" not in text
    )  # fmt: skip


def _url_of(path: str) -> str:
    return Path(path).expanduser().absolute().as_uri()


def _from_variables(url: str, role: str) -> Target | None:
    if not any(name.upper().startswith(_PREFIXES) for name in os.environ):
        return None
    from vaultd.config import target_from_variables

    return target_from_variables(url, os.environ, ("PLACE", role))
