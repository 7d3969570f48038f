"""What pod-side commands share: the config option, and working as the owner of the state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vaultd.config import Config

CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),  # loading it says why not
    help="Config file.",
)


def load_config(path: Path | None) -> Config:
    """Load the config as the environment and `--config` say; raises ConfigError."""
    from vaultd.config import load

    return load(path, os.environ)


def open_config(path: Path | None) -> Config:
    """Load the config for a command that works on the state: from here on as the state's owner.

    Raises ConfigError, also for a state that belongs to somebody else.
    """
    from vaultd.cli.privileges import work_as_owner

    config = load_config(path)
    work_as_owner(Path(config.state.path))
    return config


@contextmanager
def working_on(config: Config, command: str) -> Iterator[Path]:
    """Hold the config's state for a command, beside a running daemon too; yields its folder.

    Raises LockedError, ConfigError.
    """
    from vaultd.cli.output import remark
    from vaultd.daemon.control import turn

    directory = Path(config.state.path)
    with turn(directory, command, lambda sentence: remark(f"waiting: {sentence}")):
        yield directory
