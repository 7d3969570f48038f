"""Root's commands work as the owner of the state: what they make is the daemon's, too."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Final

from vaultd.errors import ConfigError

_SERVICE_USER: Final = "vaultd"  # User= of systemd/vaultd.service
_READ_ALL: Final = "dac_read_search"
# -P: what lies in the folder where somebody calls vaultd is none of its modules.
_VAULTD: Final = (sys.executable, "-P", "-m", "vaultd")
_OWN_FILES: Final = ("pod.key", "state.key", "state.sqlite3", "lock")
_PACKAGE: Final = Path(__file__).parents[1]


def work_as_owner(directory: Path) -> None:
    """Before anything in this state folder is opened: be its owner, for good, if we are root.

    Where that user cannot read this installation of vaultd, the command starts again under
    setpriv(1) with the one privilege of reading it. Raises ConfigError for a folder that belongs
    to somebody else; one that is not there yet is nobody's.
    """
    try:
        owner = directory.stat()
    except OSError:
        return  # what opens it says why it cannot
    if os.geteuid() == 0 and owner.st_uid != 0:
        if not _can_read_vaultd(owner.st_uid, owner.st_gid):
            _start_again(owner.st_uid, owner.st_gid)
        _become(owner.st_uid, owner.st_gid)
    _check_owner(directory)


def service_user() -> pwd.struct_passwd | None:
    """Return the user that the systemd unit names, None where this machine has none."""
    try:
        return pwd.getpwnam(_SERVICE_USER)
    except KeyError:
        return None


def name_of(uid: int) -> str:
    """Return a user's name, or its number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _groups(uid: int, gid: int) -> list[int]:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return [gid]
    return os.getgrouplist(entry.pw_name, entry.pw_gid)


def _become(uid: int, gid: int) -> None:
    groups = _groups(uid, gid)
    os.setgroups(groups)
    os.setresgid(groups[0], groups[0], groups[0])
    os.setresuid(uid, uid, uid)
    os.umask(0o077)
    _set_home(uid)


def _set_home(uid: int) -> None:
    """Client libraries look for ~/.pgpass and the like: in the owner's home, as the daemon does."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return
    os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name)


def _can_read_vaultd(uid: int, gid: int) -> bool:
    """Tell whether a user may run this Python and read vaultd, asked in a child that is that user.

    Libraries are loaded late, and workers are processes of their own: both come after the change.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _become(uid, gid)
            places = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
            places.add(os.fspath(_PACKAGE))
            readable = all(os.access(place, os.R_OK | os.X_OK) for place in places)
            code = 0 if readable and os.access(sys.executable, os.X_OK) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _start_again(uid: int, gid: int) -> None:
    """Run the same command as that user, who may read everything and write only what is theirs."""
    program = shutil.which("setpriv")
    if program is None:
        raise ConfigError(
            f"{name_of(uid)}, whose the state is, cannot read vaultd in {_PACKAGE}.",
            hint="Install vaultd where everybody may read it, such as /opt/vaultd.",
        )
    groups = _groups(uid, gid)
    _set_home(uid)
    os.umask(0o077)
    only = f"-all,+{_READ_ALL}"
    options = [
        f"--reuid={uid}",
        f"--regid={groups[0]}",
        f"--groups={','.join(map(str, groups))}",
        f"--inh-caps={only}",
        f"--ambient-caps={only}",
        f"--bounding-set={only}",
    ]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(program, [program, *options, *_VAULTD, *sys.argv[1:]])  # noqa: S606


def _check_owner(directory: Path) -> None:
    """Say whose the state is, where it is not ours, before that shows as odd errors."""
    me = os.geteuid()
    if me == 0:
        return
    for path in (
        directory,
        *(directory / name for name in ("pod.key", "state.key", "state.sqlite3", "lock")),
    ):
        try:
            uid = path.stat().st_uid
        except OSError:
            continue
        if uid != me:
            raise ConfigError(
                f"state.path: {path} belongs to {name_of(uid)}, and this vaultd runs as "
                f"{name_of(me)}.",
                hint=f"`chown -R {name_of(me)}: {directory}` as root gives it back, or run vaultd "
                f"as {name_of(uid)}.",
            )
