"""The configuration: TOML, overlaid by `VAULTD_*` variables; unknown keys are refused by path."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from vaultd.errors import ConfigError

_S = TypeVar("_S", bound=msgspec.Struct)

_MAX_CONFIG: Final = 1024 * 1024
_DURATION: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DATABASES: Final = ("postgresql", "postgres", "mysql", "mariadb", "sqlite")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_DECIMAL: Final = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*%")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9]{0,20})(\+[a-z0-9_]+)?://")
# Up to the last @, as a password may hold any character that should have been escaped.
_PASSWORD: Final = re.compile(r"(?s)(://[^:/?#@]*):.*@")
_PASSWORD_OPTION: Final = re.compile(r"(?i)([?&](?:password|passwd|sslpassword)=)[^&]*")


class Pod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pod: its public URL, its database (read only), its `public/uploads` folder."""

    url: str
    database: str
    uploads: str

    def __repr__(self) -> str:
        return f"Pod({self.url!r}, {redact_url(self.database)!r}, {self.uploads!r})"


class StateSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where vaultd keeps its own state."""

    path: str = "/var/lib/vaultd"


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place for vaults."""

    url: str

    def __repr__(self) -> str:
        return f"Target({redact_url(self.url)!r})"


class Schedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the daemon backs up every account."""

    every: str = "24h"

    @property
    def period(self) -> timedelta:
        """The period; raises ConfigError."""
        return duration(self.every, "schedule.every")


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which points in time stay restorable; the newest always does.

    The newest `keep_last`, and the newest of each of the last days, weeks, months and years that
    have one; nothing younger than `min_age` is deleted. `enabled = false` keeps everything.
    """

    enabled: bool = True
    keep_last: int = 3
    keep_daily: int = 7
    keep_weekly: int = 4
    keep_monthly: int = 3
    keep_yearly: int = 0
    min_age: str = "0d"

    @property
    def age(self) -> timedelta:
        """`min_age`; raises ConfigError."""
        return duration(self.min_age, "retention.min_age")


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is stored: pictures or text only, and bounds in bytes (0: none) for one picture and
    for all that one account's run stores."""

    photos: bool = True
    photo_bytes: int = 0
    account_bytes: int = 0


class Scrub(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of every target the daemon reads again, and how often."""

    every: str = "7d"
    share: str = "5%"

    @property
    def period(self) -> timedelta:
        """The period; raises ConfigError."""
        return duration(self.every, "scrub.every")

    @property
    def part(self) -> float:
        """The share as a number from 0 to 1; raises ConfigError."""
        return percentage(self.share, "scrub.share")


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the pod and its network may feel; 0 is no limit, for `workers` one a core."""

    batch_accounts: int = 50
    workers: int = 0
    uploads: int = 8
    bytes_per_second: int = 0
    rows_per_second: int = 0
    max_load: float = 0.0
    statement_timeout: str = "5m"
    lock_timeout: str = "10s"


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
    retention: Retention = Retention()
    backup: Backup = Backup()
    scrub: Scrub = Scrub()
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

[retention]
# Which points in time stay restorable; the newest always does. false keeps everything.
enabled = true
keep_last = 3
keep_daily = 7
keep_weekly = 4
keep_monthly = 3
keep_yearly = 0
# Nothing younger is ever deleted (for targets that lock objects: their lock period).
min_age = "0d"

[backup]
# false: text only, without picture files.
photos = true
# Larger pictures are left out and reported; 0 is no limit (bytes).
photo_bytes = 0
# An account that would store more in one run fails and is reported; 0 is no limit (bytes).
account_bytes = 0

[scrub]
# The daemon reads this share of every target again, oldest check first, and heals what is bad.
every = "7d"
share = "5%"

[limits]
# Accounts read together in one read-only transaction.
batch_accounts = 50
# Processes that read and pack; 0 is one a core.
workers = 0
# Uploads at once on each target.
uploads = 8
# Uploads (bytes) and reads of the database (rows) in a second; 0 is no limit.
bytes_per_second = 0
rows_per_second = 0
# A run waits between batches while the load average is higher; 0 is no limit.
max_load = 0.0
# No statement and no wait for a lock in the pod's database takes longer (s, m, h; 0s is no limit).
statement_timeout = "5m"
lock_timeout = "10s"

[log]
# debug, info, warning, error
level = "info"
# text or json
format = "text"
"""


_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "pod": Pod,
    "state": StateSection,
    "schedule": Schedule,
    "retention": Retention,
    "backup": Backup,
    "scrub": Scrub,
    "limits": Limits,
    "log": Log,
}


def default_path(environment: Mapping[str, str]) -> Path:
    """Return where the config is looked for without `--config`.

    `VAULTD_CONFIG`, else the user's XDG file if it exists, else `/etc/vaultd/config.toml`.
    """
    if environment.get("VAULTD_CONFIG"):
        return Path(environment["VAULTD_CONFIG"])
    home = environment.get("XDG_CONFIG_HOME") or f"{environment.get('HOME', '')}/.config"
    own = Path(home) / "vaultd" / "config.toml"
    return own if own.is_file() else Path("/etc/vaultd/config.toml")


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the config file and lay the `VAULTD_*` variables over it.

    A file that nobody named may be missing where variables say enough. Raises ConfigError with
    the path of the key that is wrong.
    """
    found = path or default_path(environment)
    named = path is not None or bool(environment.get("VAULTD_CONFIG"))
    try:
        data = found.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not named and _settings(environment):
            return build({}, environment)
        raise ConfigError(
            f"The config {found} cannot be read ({error.strerror}).",
            hint="`vaultd init --config FILE` writes one.",
        ) from error
    if len(data) > _MAX_CONFIG:
        raise ConfigError(f"The config {found} is larger than 1 MiB.")
    try:
        tree = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits too
        raise ConfigError(f"The config {found} is not TOML: {error}.") from error
    return build(tree, environment)


def build(tree: dict[str, object], environment: Mapping[str, str]) -> Config:
    """Check a parsed config tree and the variables over it; raises ConfigError."""
    for section in tree:
        if section not in _SECTIONS and section != "targets":
            raise _unknown(section, section, [*_SECTIONS, "targets"])
    sections = {name: _table(name, tree.get(name, {})) for name in _SECTIONS}
    targets = {
        name: _table(f"targets.{name}", keys)
        for name, keys in _table("targets", tree.get("targets", {})).items()
    }
    _overlay(sections, targets, environment)
    if not sections["pod"]:
        raise ConfigError("pod: the section [pod] is missing.", hint="See config.example.toml.")
    config = Config(
        pod=_convert("pod", sections["pod"], Pod),
        state=_convert("state", sections["state"], StateSection),
        schedule=_convert("schedule", sections["schedule"], Schedule),
        retention=_convert("retention", sections["retention"], Retention),
        backup=_convert("backup", sections["backup"], Backup),
        scrub=_convert("scrub", sections["scrub"], Scrub),
        limits=_convert("limits", sections["limits"], Limits),
        log=_convert("log", sections["log"], Log),
        targets={n: _convert(f"targets.{n}", keys, Target) for n, keys in targets.items()},
    )
    _check_values(config)
    return config


def _table(where: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: this must be a section, [{where}].")
    return dict(value)


def _convert(where: str, keys: dict[str, object], struct: type[_S]) -> _S:
    known = {field.name: field for field in msgspec.structs.fields(struct)}
    for key in keys:
        if key not in known:
            raise _unknown(f"{where}.{key}", key, list(known))
    for key, field in known.items():
        if field.required and key not in keys:
            raise ConfigError(f"{where}.{key}: this is missing.", hint="See config.example.toml.")
        try:
            msgspec.convert(keys.get(key, field.default), field.type)
        except msgspec.ValidationError as error:
            raise ConfigError(
                f"{where}.{key}: {error}.", hint="See config.example.toml."
            ) from error
        if keys.get(key) == "":
            raise ConfigError(f"{where}.{key}: this is empty.", hint="See config.example.toml.")
    return msgspec.convert(keys, struct)


def _unknown(where: str, key: str, known: list[str]) -> ConfigError:
    close = difflib.get_close_matches(key, known, 1)
    return ConfigError(
        f"{where}: there is no such key" + (f"; did you mean {close[0]!r}?" if close else "."),
        hint="See config.example.toml.",
    )


def _settings(environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return the variables that set a key: name, section (targets.NAME), key."""
    found = []
    for name in environment:
        prefix, _, rest = name.lower().partition("_")
        section, _, key = rest.partition("_")
        if prefix != "vaultd" or not key:
            continue
        if section in _SECTIONS:
            found.append((name, section, key))
        elif section == "targets":
            target, _, key = key.rpartition("_")
            found.append((name, f"targets.{target}", key))
    return found


def _overlay(
    sections: dict[str, dict[str, object]],
    targets: dict[str, dict[str, object]],
    environment: Mapping[str, str],
) -> None:
    for name, section, key in _settings(environment):
        target = section.partition(".")[2]
        struct = _SECTIONS.get(section, Target)
        known = {field.name: field for field in msgspec.structs.fields(struct)}
        if key not in known:
            raise _unknown(f"{section}.{key} (from {name})", key, list(known))
        value = environment[name]
        keys = sections[section] if section in sections else targets.setdefault(target, {})
        keys[key] = _typed(value, known[key].type)


def _typed(value: str, wanted: object) -> object:
    """Return a variable's text as its key's type; what does not fit is refused later."""
    if wanted is int and _NUMBER.fullmatch(value):
        return int(value)
    if wanted is float and _DECIMAL.fullmatch(value):
        return float(value)
    if wanted is bool and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _check_values(config: Config) -> None:
    try:
        address = urlsplit(config.pod.url)
        fine = address.scheme in ("http", "https") and bool(address.hostname)
    except ValueError:
        fine = False
    if not fine:
        raise ConfigError("pod.url: this must be the pod's address, like https://pod.example.")
    scheme = _SCHEME.match(config.pod.database)
    if scheme is None or scheme[1] not in _DATABASES:
        # What has no scheme may begin with a password, so it is not repeated.
        what = "this" if scheme is None else repr(scheme[1])
        raise ConfigError(
            f"pod.database: {what} is not a database vaultd reads.",
            hint="Use postgresql://, mysql:// or sqlite:///.",
        )
    if not config.targets:
        raise ConfigError("targets: there is none.", hint="Add a section [targets.main].")
    for name in config.targets:
        if not re.fullmatch(r"[a-z0-9_-]{1,40}", name):
            raise ConfigError(f"targets.{name}: a target's name has only a-z, 0-9, _ and -.")
    if not timedelta(minutes=1) <= config.schedule.period <= timedelta(days=366):
        raise ConfigError("schedule.every: this must be from 1m to 366d.")
    if not 1 <= config.limits.batch_accounts <= 1000:
        raise ConfigError("limits.batch_accounts: this must be from 1 to 1000.")
    _check_amounts(config)
    if config.log.level not in ("debug", "info", "warning", "error"):
        raise ConfigError("log.level: this must be debug, info, warning or error.")
    if config.log.format not in ("text", "json"):
        raise ConfigError("log.format: this must be text or json.")


def _check_amounts(config: Config) -> None:
    for section, names in (
        ("limits", "workers bytes_per_second rows_per_second max_load"),
        ("retention", "keep_last keep_daily keep_weekly keep_monthly keep_yearly"),
        ("backup", "photo_bytes account_bytes"),
    ):
        for name in names.split():
            if getattr(getattr(config, section), name) < 0:
                raise ConfigError(f"{section}.{name}: this must not be less than 0.")
    if config.limits.workers > 64:
        raise ConfigError("limits.workers: this must be at most 64.")
    if not 1 <= config.limits.uploads <= 64:
        raise ConfigError("limits.uploads: this must be from 1 to 64.")
    if config.scrub.period < timedelta(minutes=1):
        raise ConfigError("scrub.every: this must be at least 1m.")
    _ = config.retention.age, config.scrub.part
    for name in ("statement_timeout", "lock_timeout"):
        duration(getattr(config.limits, name), f"limits.{name}")


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


def redact_url(url: str) -> str:
    """Return a URL without its password, for people and logs; rather too little than too much."""
    return _PASSWORD_OPTION.sub(r"\1…", _PASSWORD.sub(r"\1:…@", url))
