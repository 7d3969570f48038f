"""The configuration: TOML, overlaid by `VAULTD_*` variables; unknown keys are refused by path."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from vaultd.errors import ConfigError

_MAX_CONFIG: Final = 1024 * 1024
_DURATION: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DATABASES: Final = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")


class Pod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pod: its public URL, its database (read only), its `public/uploads` folder."""

    url: str
    database: str
    uploads: str


class StateSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where vaultd keeps its own state."""

    path: str = "/var/lib/vaultd"


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place for vaults."""

    url: str


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the daemon backs up every account."""

    every: str = "24h"

    @property
    def period(self) -> timedelta:
        """The period; raises ConfigError."""
        return duration(self.every, "schedule.every")


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the pod may feel: accounts read in one transaction."""

    batch_accounts: int = 50


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Level `debug`, `info`, `warning` or `error`; format `text` or `json`."""

    level: str = "info"
    format: str = "text"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration."""

    pod: Pod
    targets: dict[str, Target]
    state: StateSection = StateSection()
    schedule: Schedule = Schedule()
    limits: Limits = Limits()
    log: Log = Log()


DEFAULT_TEXT: Final = """\
# vaultd: encrypted off-site backup for a diaspora* pod.
# Every key can also be set as VAULTD_SECTION_KEY, such as VAULTD_POD_DATABASE.

[pod]
# The public address, exactly as environment.url of the pod.
url = "https://pod.example"
# The pod's database; a user that may only SELECT is enough. mysql:// and sqlite:/// too.
database = "postgresql://reader@localhost/diaspora"
# The pod's public/uploads folder, for the pictures.
uploads = "/srv/diaspora/public/uploads"

[state]
# Where vaultd keeps its own notes and the pod key. Losing state.sqlite3 loses nothing.
path = "/var/lib/vaultd"

# Where the vaults go. Any number of targets, each complete by itself.
[targets.main]
url = "file:///srv/vaults"

[schedule]
# Each account is backed up once in this time; accounts are spread over it (s, m, h, d).
every = "24h"

[limits]
# Accounts read together in one read-only transaction.
batch_accounts = 50

[log]
# debug, info, warning, error
level = "info"
# text or json
format = "text"
"""


def default_path(environment: Mapping[str, str]) -> Path:
    """Return where the config is looked for without `--config`.

    `VAULTD_CONFIG`, else the user's XDG file if it exists, else `/etc/vaultd/config.toml`.
    """
    if environment.get("VAULTD_CONFIG"):
        return Path(environment["VAULTD_CONFIG"])
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    own = Path(home) / "vaultd" / "config.toml"
    return own if own.exists() else Path("/etc/vaultd/config.toml")


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the config file and lay the `VAULTD_*` variables over it.

    Raises ConfigError with the path of the key that is wrong.
    """
    found = path or default_path(environment)
    try:
        data = found.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"The config {found} cannot be read ({error.strerror}).",
            hint="`vaultd init --config FILE` writes one.",
        ) from error
    if len(data) > _MAX_CONFIG:
        raise ConfigError(f"The config {found} is larger than 1 MiB.")
    try:
        tree = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"The config {found} is not TOML: {error}.") from error
    return build(tree, environment)


def build(tree: dict[str, object], environment: Mapping[str, str]) -> Config:
    """Check a parsed config tree; raises ConfigError."""
    _check_keys(tree)
    _overlay(tree, environment)
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at ")
        key = where.strip("`").removeprefix("$.").replace("[...]", ".*") or "the config"
        raise ConfigError(f"{key}: {text}.", hint="See config.example.toml.") from error
    _check_values(config)
    return config


_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "pod": Pod,
    "state": StateSection,
    "schedule": Schedule,
    "limits": Limits,
    "log": Log,
}


def _check_keys(tree: dict[str, object]) -> None:
    for section, content in tree.items():
        if section not in _SECTIONS and section != "targets":
            raise _unknown(section, section, [*_SECTIONS, "targets"])
        if not isinstance(content, dict):
            raise ConfigError(f"{section}: this must be a section, [{section}].")
        parts = (
            [(f"{section}.{name}", Target, keys) for name, keys in content.items()]
            if section == "targets"
            else [(section, _SECTIONS[section], content)]
        )
        for where, struct, keys in parts:
            if not isinstance(keys, dict):
                raise ConfigError(f"{where}: this must be a section, [{where}].")
            for key in keys:
                if key not in struct.__struct_fields__:
                    raise _unknown(f"{where}.{key}", key, list(struct.__struct_fields__))


def _unknown(where: str, key: str, known: list[str]) -> ConfigError:
    close = difflib.get_close_matches(key, known, 1)
    return ConfigError(
        f"{where}: there is no such key" + (f"; did you mean {close[0]!r}?" if close else "."),
        hint="See config.example.toml.",
    )


def _overlay(tree: dict[str, object], environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        parts = name.lower().split("_")
        if len(parts) < 3 or parts[0] != "vaultd":
            continue
        section = tree.setdefault(parts[1], {}) if parts[1] in (*_SECTIONS, "targets") else None
        if not isinstance(section, dict):
            continue
        if parts[1] == "targets":
            target = section.setdefault("_".join(parts[2:-1]), {})
            if isinstance(target, dict) and parts[-1] in Target.__struct_fields__:
                target[parts[-1]] = value
            continue
        key = "_".join(parts[2:])
        if key not in _SECTIONS[parts[1]].__struct_fields__:
            raise _unknown(f"{parts[1]}.{key} (from {name})", key, list(section))
        section[key] = int(value) if value.isdigit() else value


def _check_values(config: Config) -> None:
    if (
        urlsplit(config.pod.url).scheme not in ("http", "https")
        or not urlsplit(config.pod.url).netloc
    ):
        raise ConfigError("pod.url: this must be the pod's address, like https://pod.example.")
    scheme = config.pod.database.partition("://")[0].partition("+")[0]
    if scheme not in _DATABASES:
        raise ConfigError(
            f"pod.database: {scheme[:20]!r} is not a database vaultd reads.",
            hint="Use postgresql://, mysql:// or sqlite:///.",
        )
    if not config.targets:
        raise ConfigError("targets: there is none.", hint="Add a section [targets.main].")
    for name in config.targets:
        if not re.fullmatch(r"[a-z0-9_-]{1,40}", name):
            raise ConfigError(f"targets.{name}: a target's name has only a-z, 0-9, _ and -.")
    if config.schedule.period.total_seconds() < 60:
        raise ConfigError("schedule.every: less than a minute is too often.")
    if not 1 <= config.limits.batch_accounts <= 1000:
        raise ConfigError("limits.batch_accounts: this must be from 1 to 1000.")
    if config.log.level not in ("debug", "info", "warning", "error"):
        raise ConfigError("log.level: this must be debug, info, warning or error.")
    if config.log.format not in ("text", "json"):
        raise ConfigError("log.format: this must be text or json.")


def duration(text: str, key: str) -> timedelta:
    """Parse `24h`, `30m`, `7d`, `90s`; raises ConfigError naming the key."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{key}: {text[:20]!r} is not a time like 24h, 30m or 7d.")
    return timedelta(seconds=int(match[1]) * _SECONDS[match[2]])


def redact_url(url: str) -> str:
    """Return a URL without its password, for people and logs."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:…@{host}"))
