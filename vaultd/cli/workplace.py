"""What pod-side commands share: the config option, and opening state, source and targets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vaultd.config import Config

CONFIG = click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), help="Config file."
)


def load_config(path: Path | None) -> Config:
    """Load the config as the environment and `--config` say; raises ConfigError."""
    from vaultd.config import load

    return load(path, os.environ)
