"""Values in a configuration: times, shares, and URLs made fit to be shown."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from vaultd.errors import ConfigError

_DURATION: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZE: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([KMGT]i?)?B?")
_UNITS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")
# Up to the last @, as a password may hold any character that should have been escaped.
_PASSWORD: Final = re.compile(r"(?s)(://[^:/?#@]*):.*@")
_PASSWORD_OPTION: Final = re.compile(r"(?i)([?&](?:password|passwd|sslpassword)=)[^&]*")


def percentage(text: str, key: str) -> float:
    """Parse `5%` into 0.05; raises ConfigError naming the key."""
    match = _PERCENT.fullmatch(text.strip())
    if match is None or float(match[1]) > 100:
        raise ConfigError(f"{key}: {text[:20]!r} is not a share like 5%.")
    return float(match[1]) / 100


def duration(text: str, key: str) -> timedelta:
    """Parse `24h`, `30m`, `7d`, `90s`; raises ConfigError naming the key."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{key}: {text[:20]!r} is not a time like 24h, 30m or 7d.")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def byte_count(text: str, key: str) -> int:
    """Parse `500MB`, `10GiB` or a plain number into bytes; raises ConfigError naming the key."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{key}: {text[:20]!r} is not a size like 10GiB or 500MB.")
    unit = match[2] or ""
    return int(float(match[1]) * (1024 if "i" in unit else 1000) ** _UNITS[unit[:1]])


def redact_url(url: str) -> str:
    """Return a URL without its password, for people and logs; rather too little than too much."""
    return _PASSWORD_OPTION.sub(r"\1…", _PASSWORD.sub(r"\1:…@", url))
