"""The configuration: TOML, overlaid by `VAULTD_*` variables."""

from vaultd.config.example import DEFAULT_TEXT
from vaultd.config.loading import build, default_path, load, target_from_variables
from vaultd.config.sections import (
    Backup,
    Config,
    Limits,
    Log,
    Pod,
    Retention,
    Schedule,
    Scrub,
    StateSection,
)
from vaultd.config.targets import Target
from vaultd.config.values import duration, percentage, redact_url

__all__ = [
    "DEFAULT_TEXT",
    "Backup",
    "Config",
    "Limits",
    "Log",
    "Pod",
    "Retention",
    "Schedule",
    "Scrub",
    "StateSection",
    "Target",
    "build",
    "default_path",
    "duration",
    "load",
    "percentage",
    "redact_url",
    "target_from_variables",
]
