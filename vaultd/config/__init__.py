"""The configuration: TOML, overlaid by `VAULTD_*` variables."""

from vaultd.config.checks import OWN
from vaultd.config.example import DEFAULT_TEXT
from vaultd.config.key_file import read_key
from vaultd.config.loading import (
    build,
    default_path,
    load,
    target_from_texts,
    target_from_variables,
)
from vaultd.config.sections import (
    Backup,
    Config,
    Enroll,
    Limits,
    Log,
    Metrics,
    Pod,
    Retention,
    Schedule,
    Scrub,
    StateSection,
    UserTargets,
)
from vaultd.config.targets import SECRETS, Target
from vaultd.config.values import byte_count, duration, percentage, redact_url

__all__ = [
    "DEFAULT_TEXT",
    "OWN",
    "SECRETS",
    "Backup",
    "Config",
    "Enroll",
    "Limits",
    "Log",
    "Metrics",
    "Pod",
    "Retention",
    "Schedule",
    "Scrub",
    "StateSection",
    "Target",
    "UserTargets",
    "build",
    "byte_count",
    "default_path",
    "duration",
    "load",
    "percentage",
    "read_key",
    "redact_url",
    "target_from_texts",
    "target_from_variables",
]
