"""The sections of a configuration and their defaults."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.parse import quote

import msgspec

from vaultd.config.key_file import read_key
from vaultd.config.targets import GivenSecret, Target, read_secret
from vaultd.config.values import duration, percentage, redact_url
from vaultd.errors import ConfigError

_USER: Final = re.compile(r"\A([a-z0-9+_]+://[^:/?#@]+)@")


class Pod(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pod: its public URL, its database (read only), its `public/uploads` folder.

    `database_password` is a text, `{ file = … }` or `{ credential = … }`.
    """

    url: str
    database: str
    uploads: str
    database_password: GivenSecret = ""

    @property
    def database_url(self) -> str:
        """`database` with its password; raises ConfigError."""
        if not self.database_password:
            return self.database
        password = read_secret(self.database_password, "pod.database_password")
        url, count = _USER.subn(rf"\1:{quote(password, safe='')}@", self.database, count=1)
        if not count:
            raise ConfigError(
                "pod.database: beside pod.database_password this must name a user and no password.",
                hint="Write postgresql://vaultd@localhost/diaspora_production.",
            )
        return url

    def __repr__(self) -> str:
        return f"Pod({self.url!r}, {redact_url(self.database)!r}, {self.uploads!r})"


class StateSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where vaultd keeps its own state."""

    path: str = "/var/lib/vaultd"


class Enroll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom a run enrols by itself: `all` open accounts, with escrow, or nobody (`opt-in`)."""

    policy: str = "all"


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


class UserTargets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether users may give a target of their own, and what seals its credentials.

    `key` is `{ file = … }` or `{ credential = … }`; `permit` are networks that such a target may
    lie in although they are not public; `time` is what one account's target may cost a run.
    """

    enabled: bool = False
    key: dict[str, str] | None = None
    permit: tuple[str, ...] = ()
    time: str = "15m"

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The permitted networks; raises ConfigError."""
        found = []
        for text in self.permit:
            try:
                found.append(ip_network(text))
            except ValueError as error:
                raise ConfigError(
                    f"user_targets.permit: {text[:60]!r} is not a network like 10.0.0.0/8."
                ) from error
        return tuple(found)

    @property
    def seconds(self) -> float:
        """`time` in seconds; raises ConfigError."""
        return duration(self.time, "user_targets.time").total_seconds()

    def sealing_key(self) -> bytes:
        """Return the 32 bytes of the key; raises ConfigError when there is none."""
        if not self.key:
            raise ConfigError(
                "user_targets.key: this is missing, and credentials of users cannot be sealed.",
                hint='Set it to { file = "/etc/vaultd/targets.key" } or { credential = "NAME" }.',
            )
        return read_key(self.key, "user_targets.key")


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where figures in Prometheus' text format go after each run; empty is nowhere."""

    textfile: str = ""


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the pod and its network may feel; 0 is no limit, for `workers` one a core."""

    batch_accounts: int = 200
    workers: int = 0
    uploads: int = 16
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
    enroll: Enroll = Enroll()
    schedule: Schedule = Schedule()
    retention: Retention = Retention()
    backup: Backup = Backup()
    scrub: Scrub = Scrub()
    user_targets: UserTargets = UserTargets()
    metrics: Metrics = Metrics()
    limits: Limits = Limits()
    log: Log = Log()
