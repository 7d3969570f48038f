"""What `vaultd init` makes: the config, and folders that belong to the daemon's user."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from vaultd.backends.place_url import parse_place
from vaultd.backup.accounts.enroll import RECOVERY_FILE
from vaultd.cli.privileges import service_user
from vaultd.config import DEFAULT_TEXT, Config
from vaultd.errors import ConfigError, UsageError


def owner_to_be(user: str | None) -> pwd.struct_passwd | None:
    """Return whose the folders become: `user`, or the unit's user where root makes them.

    None: whoever runs the command. Raises UsageError for a user that is not there.
    """
    if user is None:
        return service_user() if os.geteuid() == 0 else None
    try:
        owner = pwd.getpwnam(user)
    except KeyError as error:
        raise UsageError(
            f"There is no user {user[:40]!r} on this machine.",
            hint="`useradd --system --home-dir /var/lib/vaultd --shell /usr/sbin/nologin NAME`",
        ) from error
    if os.geteuid() not in (0, owner.pw_uid):
        raise UsageError("Only root can make folders for another user.", hint="Leave out --user.")
    return owner if os.geteuid() == 0 else None


def write_config(path: Path, owner: pwd.struct_passwd | None) -> None:
    """Write the commented config: for its writer and the daemon's group only, as it gets secrets.

    Raises ConfigError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(DEFAULT_TEXT)
            if owner is not None:
                os.fchown(file.fileno(), -1, owner.pw_gid)
            os.fchmod(file.fileno(), 0o640)
    except OSError as error:
        raise ConfigError(
            f"The config {path} cannot be written ({error.strerror}).",
            hint="Choose another place with --config FILE.",
        ) from error


def folders(config: Config) -> dict[str, Path]:
    """Return the folders that a config names, by the key that names each."""
    found = {"state.path": Path(config.state.path)}
    for name, target in config.targets.items():
        if target.scheme == "file":
            found[f"targets.{name}.url"] = Path(parse_place(target.url).path)
    return found


def missing(config: Config, named: Mapping[str, Path]) -> list[str]:
    """Return what `init` would make, a line each."""
    state = Path(config.state.path)
    found = [f"the folder {path} ({key})" for key, path in named.items() if not path.is_dir()]
    if not (state / "pod.key").exists():
        found.append(f"the pod key {state / 'pod.key'}")
    if not (state / RECOVERY_FILE).exists():
        found.append("the podmin's recovery key: twelve words, shown once")
    return found


def make_folder(key: str, path: Path, owner: pwd.struct_passwd | None) -> None:
    """Make a folder for its owner only; one that is there stays as it is. Raises ConfigError."""
    if path.is_dir():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
        if owner is not None:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    except OSError as error:
        raise ConfigError(
            f"{key}: {path} cannot be made ({error.strerror}).",
            hint="Set another path, or run vaultd init as the user that may write there.",
        ) from error
