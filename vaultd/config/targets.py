"""The sections [targets.NAME]: where vaults go, with what credentials, and how patiently."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from vaultd.config.key_file import credential_path
from vaultd.config.values import byte_count, duration, percentage, redact_url
from vaultd.errors import ConfigError

_MAX_SECRET: Final = 64 * 1024
_WEB: Final = ("webdav", "webdavs", "nextcloud", "owncloud")
_FTP: Final = ("ftp", "ftps")

# Which schemes take a key; what is not here goes with every place that is not a folder.
KEYS: Final[dict[str, tuple[str, ...]]] = {
    "username": (*_WEB, *_FTP, "sftp"),
    "password": (*_WEB, *_FTP, "sftp"),
    "token": ("webdav", "webdavs"),
    "digest": ("webdav", "webdavs"),
    "insecure": (*_WEB, *_FTP),
    "ca_file": ("s3", *_WEB, *_FTP, "dropbox"),
    "ca": ("s3", *_WEB, *_FTP, "dropbox"),
    "endpoint": ("s3", "dropbox"),
    "region": ("s3",),
    "path_style": ("s3",),
    "access_key": ("s3",),
    "secret_key": ("s3",),
    "session_token": ("s3",),
    "profile": ("s3",),
    "storage_class": ("s3",),
    "checksum": ("s3",),
    "conditional": ("s3",),
    "base_path": ("nextcloud", "owncloud"),
    "lock": ("s3",),
    "lock_period": ("s3",),
    "key_file": ("sftp",),
    "private_key": ("sftp",),
    "passphrase": ("sftp",),
    "host_key": ("sftp",),
    "known_hosts": ("sftp",),
    "app_key": ("dropbox",),
    "refresh_token": ("dropbox",),
}


GivenSecret: TypeAlias = str | dict[str, str]
SECRETS: Final = (
    "password", "token", "secret_key", "session_token", "private_key", "passphrase",
    "refresh_token",
)  # fmt: skip
# Where a target does not say: this share of it, but not more than so many bytes, is kept free.
_RESERVE_SHARE: Final = 0.05
_RESERVE_MOST: Final = 1 << 30
_RESERVE_UNKNOWN: Final = 64 << 20


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place for vaults; which keys go with which scheme is in KEYS.

    Secrets are a text, `{ file = … }` or `{ credential = … }`. Times are in seconds. `reserve`
    is a share (`5%`) or a size (`10GiB`): with less than that free no new vault is begun there.
    """

    url: str
    username: str = ""
    password: GivenSecret = ""
    token: GivenSecret = ""
    digest: bool = False
    insecure: bool = False
    ca_file: str = ""
    ca: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool | None = None
    access_key: str = ""
    secret_key: GivenSecret = ""
    session_token: GivenSecret = ""
    profile: str = ""
    storage_class: str = ""
    checksum: Literal["when_required", "when_supported", "sha256"] = "when_required"
    conditional: bool = True
    base_path: str = ""
    lock: Literal["", "governance", "compliance"] = ""
    lock_period: str = ""
    key_file: str = ""
    private_key: GivenSecret = ""
    passphrase: GivenSecret = ""
    host_key: str = ""
    known_hosts: str = ""
    app_key: str = ""
    refresh_token: GivenSecret = ""
    reserve: str = ""
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    tries: int = 0

    def __repr__(self) -> str:
        return f"Target({redact_url(self.url)!r})"

    @property
    def scheme(self) -> str:
        """The URL's scheme, in small letters."""
        return self.url.partition(":")[0].lower()

    def secret(self, key: str, where: str) -> str:
        """Return a secret, read from where it lies; `where` names the section in errors.

        Raises ConfigError. A file must not be readable by everybody.
        """
        return read_secret(getattr(self, key), f"{where}.{key}")

    def reserve_bytes(self, total: int | None) -> int:
        """Return below how many free bytes no new vault is begun, of `total` (None: unknown).

        Raises ConfigError for a `reserve` that is neither a share nor a size.
        """
        if self.reserve.endswith("%"):
            return int(percentage(self.reserve, "reserve") * (total or 0))
        if self.reserve:
            return byte_count(self.reserve, "reserve")
        if total is None:
            return _RESERVE_UNKNOWN
        return min(_RESERVE_MOST, int(total * _RESERVE_SHARE))


def read_secret(value: GivenSecret, where: str) -> str:
    """Return a secret, read from where it lies; raises ConfigError naming the key `where`."""
    if isinstance(value, str):
        return value
    if set(value) == {"file"}:
        return _read(Path(value["file"]), where)
    if set(value) == {"credential"}:
        return _read(credential_path(value["credential"], where), where)
    raise ConfigError(f"{where}: this must be a text, {{ file = … }} or {{ credential = … }}.")


def _read(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o004:
                raise ConfigError(
                    f"{where}: {path} can be read by everybody.", hint="chmod 600 it."
                )
            data = file.read(_MAX_SECRET + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        raise ConfigError(f"{where}: {path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: {path} is not text.") from error
    if not text or len(data) > _MAX_SECRET:
        raise ConfigError(f"{where}: {path} is empty or too large for a secret.")
    return text


def check_target(name: str, target: Target) -> None:
    """Raise ConfigError for keys that do not go with the target's scheme."""
    for key, schemes in KEYS.items():
        default = getattr(_DEFAULTS, key)
        if getattr(target, key) != default and target.scheme not in schemes:
            raise ConfigError(
                f"targets.{name}.{key}: this goes with {', '.join(schemes)} only, and "
                f"targets.{name}.url is a {target.scheme or 'plain'} one."
            )
    for key in ("connect_timeout", "read_timeout"):
        if not 0.1 <= getattr(target, key) <= 3600:
            raise ConfigError(f"targets.{name}.{key}: this must be from 0.1 to 3600 seconds.")
    if not 0 <= target.tries <= 20:
        raise ConfigError(
            f"targets.{name}.tries: this must be from 0 to 20.",
            hint="0 is as many as three minutes have room for.",
        )
    if target.reserve and not re.fullmatch(r"[0-9.]+\s*%", target.reserve):
        byte_count(target.reserve, f"targets.{name}.reserve")
    elif target.reserve:
        percentage(target.reserve, f"targets.{name}.reserve")
    if target.lock_period:
        duration(target.lock_period, f"targets.{name}.lock_period")
    if bool(target.lock) != bool(target.lock_period):
        raise ConfigError(
            f"targets.{name}.lock: lock and lock_period (like 30d) go together.",
            hint="And set retention.min_age to the same time.",
        )


_DEFAULTS: Final = Target("")
