"""The sections [targets.NAME]: where vaults go, with what credentials, and how patiently."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from vaultd.config.values import duration, redact_url
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
    "passphrase": ("sftp",),
    "host_key": ("sftp",),
    "known_hosts": ("sftp",),
    "app_key": ("dropbox",),
    "refresh_token": ("dropbox",),
}


GivenSecret: TypeAlias = str | dict[str, str]
SECRETS: Final = ("password", "token", "secret_key", "session_token", "passphrase", "refresh_token")


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place for vaults; which keys go with which scheme is in KEYS.

    Secrets are a text, `{ file = … }` or `{ credential = … }`. Times are in seconds.
    """

    url: str
    username: str = ""
    password: GivenSecret = ""
    token: GivenSecret = ""
    digest: bool = False
    insecure: bool = False
    ca_file: str = ""
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
    passphrase: GivenSecret = ""
    host_key: str = ""
    known_hosts: str = ""
    app_key: str = ""
    refresh_token: GivenSecret = ""
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    tries: int = 6

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
        value: GivenSecret = getattr(self, key)
        if isinstance(value, str):
            return value
        place = f"{where}.{key}"
        if set(value) == {"file"}:
            return _read(Path(value["file"]), place)
        if set(value) == {"credential"}:
            folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
            name = value["credential"]
            if not folder or name != Path(name).name:
                raise ConfigError(
                    f"{place}: there is no systemd credential {name[:80]!r} here.",
                    hint="Add LoadCredential= to the unit; it is there for the service only.",
                )
            return _read(Path(folder) / name, place)
        raise ConfigError(f"{place}: this must be a text, {{ file = … }} or {{ credential = … }}.")


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
    if not 1 <= target.tries <= 20:
        raise ConfigError(f"targets.{name}.tries: this must be from 1 to 20.")
    if target.lock_period:
        duration(target.lock_period, f"targets.{name}.lock_period")
    if bool(target.lock) != bool(target.lock_period):
        raise ConfigError(
            f"targets.{name}.lock: lock and lock_period (like 30d) go together.",
            hint="And set retention.min_age to the same time.",
        )


_DEFAULTS: Final = Target("")
