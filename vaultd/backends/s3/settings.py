"""What an S3 place is told: bucket, endpoint, credentials, and what it is known to honour."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from vaultd.errors import UsageError

MIB: Final = 1024 * 1024
MIN_PART: Final = 5 * MIB  # S3 refuses smaller parts, except the last
MAX_PART: Final = 1024 * MIB
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_PREFIX: Final = re.compile(r"[A-Za-z0-9!_.*'()-]+(/[A-Za-z0-9!_.*'()-]+)*")
_MAX_PREFIX: Final = 700  # with our longest name still under S3's 1,024 bytes of a key
_MAX_LOCK_DAYS: Final = 36_500

Checksum = Literal["when_required", "when_supported", "sha256"]
LockMode = Literal["governance", "compliance"]


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where and how; raises UsageError for what can never work.

    Credentials that are None come from boto3's own chain: environment, profile, instance profile.
    `checksum` and `conditional` are what `S3Backend.adapt()` measures. `prefix` goes before every
    name, with a `/` between. `lock_period`, for trials, replaces `lock_days`. Timeouts are in
    seconds, `part_size` in bytes: an object up to it is sent in one request from memory, a larger
    one in parts of it. `check` is asked before each request, and what it raises is passed on.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    storage_class: str | None = None
    checksum: Checksum = "when_required"
    conditional: bool = True
    lock_mode: LockMode | None = None
    lock_days: int = 0
    lock_period: timedelta | None = None
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    part_size: int = 16 * MIB
    max_pool: int = 16
    check: Callable[[], None] = field(default=lambda: None, repr=False)

    def __post_init__(self) -> None:
        _check(bool(_BUCKET.fullmatch(self.bucket)), f"{self.bucket[:80]!r} is no bucket's name.")
        object.__setattr__(self, "prefix", self.prefix.strip("/"))
        if self.prefix:
            parts = self.prefix.split("/")
            good = _PREFIX.fullmatch(self.prefix) and not {".", ".."} & set(parts)
            _check(
                bool(good) and len(self.prefix) <= _MAX_PREFIX,
                f"{self.prefix[:80]!r} cannot be a prefix of keys.",
                "Use letters, digits, - _ . and / between parts.",
            )
        if self.endpoint is not None:
            _check_endpoint(self.endpoint)
        _check(
            (self.access_key is None) == (self.secret_key is None),
            "An S3 access key and its secret key belong together, and only one is given.",
        )
        _check(
            self.session_token is None or self.access_key is not None,
            "An S3 session token is given without its access key.",
        )
        _check(
            self.checksum in ("when_required", "when_supported", "sha256"),
            f"{self.checksum!r} is no checksum mode: when_required, when_supported or sha256.",
        )
        _check(
            self.lock_mode in (None, "governance", "compliance"),
            f"{self.lock_mode!r} is no lock mode: governance or compliance.",
        )
        _check(
            0 <= self.lock_days <= _MAX_LOCK_DAYS and bool(self.lock_days) == bool(self.lock_mode),
            f"A lock needs a mode and 1 to {_MAX_LOCK_DAYS} days; without a mode there are none.",
        )
        _check(
            MIN_PART <= self.part_size <= MAX_PART,
            f"Parts have {MIN_PART} to {MAX_PART} bytes, not {self.part_size}.",
        )
        _check(
            self.connect_timeout > 0 and self.read_timeout > 0 and self.max_pool > 0,
            "Timeouts and the number of connections are greater than zero.",
        )

    @property
    def where(self) -> str:
        """The place as messages name it, without anything secret."""
        inside = f"s3://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{inside} at {self.endpoint}" if self.endpoint else inside

    def key(self, name: str) -> str:
        """Return the key of an object's name (or of the start of one)."""
        return f"{self.prefix}/{name}" if self.prefix else name


def _check(fine: bool, message: str, hint: str = "") -> None:
    if not fine:
        raise UsageError(message, hint=hint)


def _check_endpoint(endpoint: str) -> None:
    hint = "Write it as https://s3.example.org, with a port or a path if it has one."
    try:
        parts = urlsplit(endpoint)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
        parts = urlsplit("")
    # The endpoint itself is not shown, as it might have a password in it.
    _check(fine, "The S3 endpoint is not an http(s) URL.", hint)
    _check("@" not in parts.netloc, "The S3 endpoint has a user in it.", "Give keys as such.")
    _check(not parts.query and not parts.fragment, "The S3 endpoint has a ? or #.", hint)
