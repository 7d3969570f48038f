"""What an SFTP status or a broken SSH connection means for the caller."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vaultd.backends.sftp.packets import Code, GarbledError
from vaultd.backends.sftp.requests import StatusError
from vaultd.errors import PlaceBusy, PlaceError, PlaceFull, PlaceRefused

_FULL_TEXT: Final = re.compile(r"no space|quota|disk full|file ?system full", re.I)
_SAID: Final = 200
_BLANK: Final = re.compile(r"[^\x20-\x7e\u00a1-\u024f…]+")


@contextmanager
def sftp_errors(
    where: str, doing: str, *, unknown: bool = False, secret: str | None = None
) -> Iterator[None]:
    """Turn what a channel raises into errors that say what was being done ("store a file").

    A server's words may repeat the password: `secret` is never shown.
    """
    try:
        yield
    except StatusError as error:
        raise _status(where, doing, error, secret) from None
    except GarbledError as error:
        raise PlaceError(
            f"The SFTP server {where} was asked to {doing} and gave an answer that is none "
            f"({error}).",
            hint="Is this an SFTP server?",
        ) from error
    except EOFError as error:
        raise PlaceBusy(
            f"The SFTP server {where} hung up while asked to {doing}.", unknown=unknown
        ) from error
    except OSError as error:
        raise broken(where, doing, error, unknown=unknown) from error


def broken(where: str, doing: str, error: OSError, *, unknown: bool) -> PlaceError:
    """Return the error for a name that is not known, or a connection that failed."""
    if isinstance(error, socket.gaierror):
        text = f"The name of the SSH server {where} is not known ({error.strerror})."
        if error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL):
            return PlaceBusy(text, unknown=False)
        return PlaceError(text, hint="Check the host name.")
    if isinstance(error, ConnectionRefusedError):
        return PlaceBusy(
            f"The SSH server {where} refuses connections.",
            hint="Does it run, and is that its port?",
            unknown=False,
        )
    if isinstance(error, TimeoutError):
        return PlaceBusy(f"The SFTP server {where} took too long to {doing}.", unknown=unknown)
    return PlaceBusy(
        f"The connection to the SFTP server {where} broke while it was asked to {doing}"
        f" ({error.strerror or str(error) or type(error).__name__}).",
        unknown=unknown,
    )


def _status(where: str, doing: str, error: StatusError, secret: str | None) -> PlaceError:
    message = error.message.replace(secret, "…") if secret else error.message
    said = _BLANK.sub(" ", message).strip()[:_SAID] or f"status {error.code}"
    text = f"The SFTP server {where} does not {doing} ({said})."
    if _FULL_TEXT.search(said):
        return PlaceFull(text, hint="Make room there or raise the quota, then run again.")
    if error.code == Code.PERMISSION_DENIED:
        return PlaceRefused(text, hint="Has this user the right to do that there?")
    if error.code in (Code.NO_CONNECTION, Code.CONNECTION_LOST):
        return PlaceBusy(text)
    return PlaceError(text, hint="Is its disk mounted, whole, and open to this user?")
