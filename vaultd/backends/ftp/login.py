"""From nothing to an FTP session that is encrypted, logged in, binary and in its folder."""

# ruff: noqa: S321  (FTP is what this is about; TLS is required unless the owner says otherwise)

from __future__ import annotations

import ftplib
from contextlib import suppress

from vaultd.backends.ftp.control import FtpControl
from vaultd.backends.ftp.errors import FtpSpeech
from vaultd.backends.ftp.settings import FtpSettings
from vaultd.errors import PlaceError


def log_in(
    control: FtpControl, says: FtpSpeech, settings: FtpSettings, create: bool
) -> frozenset[str]:
    """Connect and log in; returns the features the server names (RFC 2389), as upper-case words.

    With `create` the place's folder is made. Raises PlaceBusy, PlaceRefused, PlaceError.
    """
    with says.doing("let us in", control.close):
        try:
            control.open()
            if not settings.insecure and not settings.implicit:
                _start_tls(control, says)
            ftplib.FTP.login(control, settings.username, settings.password)
        except (ftplib.error_perm, ftplib.error_temp) as error:
            raise says.login(settings.username, str(error)) from None
    if not settings.insecure:
        with says.doing("encrypt the data", control.close):
            control.protect_data()
    with says.doing("switch to binary mode", control.close):
        control.voidcmd("TYPE I")
    features: frozenset[str] = frozenset()
    with says.doing("tell what it can do", control.close), suppress(ftplib.error_perm):
        lines = control.voidcmd("FEAT").split("\n")[1:-1]
        features = frozenset(line.split()[0].upper() for line in lines if line.strip())
    if settings.path:
        _enter(control, says, settings, create)
    return features


def _start_tls(control: FtpControl, says: FtpSpeech) -> None:
    try:
        control.start_tls()
    except (ftplib.error_perm, ftplib.error_temp) as error:
        if str(error).startswith("421"):
            raise
        raise says.no_tls(str(error)) from None


def _enter(control: FtpControl, says: FtpSpeech, settings: FtpSettings, create: bool) -> None:
    path = settings.path
    with says.doing(f"go to the folder {path}", control.close):
        try:
            if create:
                _make_path(control, path)
            control.voidcmd(f"CWD {path}")
        except ftplib.error_perm as error:
            raise PlaceError(
                f"The folder {path} is not on the FTP server {settings.where}, or is closed to "
                f"us ({says.quote(str(error))}).",
                hint="Is its disk mounted there? `vaultd init` makes a new target's folder.",
            ) from None


def _make_path(control: FtpControl, path: str) -> None:
    for end in range(1, len(path) + 1):
        if path[end : end + 1] in ("/", "") and path[:end].strip("/"):
            with suppress(ftplib.error_perm):  # it is there already; CWD decides
                control.voidcmd(f"MKD {path[:end]}")
