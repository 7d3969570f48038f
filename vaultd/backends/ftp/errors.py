"""What an FTP reply or a broken connection means for the caller."""

from __future__ import annotations

import ftplib
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from vaultd.backends.transport.session_pool import TooManySessions
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceFull, PlaceRefused

# RFC 959 §4.2, RFC 4217 §10; 452 and 552 are about room, 421 is "going away".
_BUSY: Final = {"421", "425", "426", "431", "434", "436", "450", "451"}
_REFUSED: Final = {"530", "532", "533", "534", "535", "536", "537", "522"}
_FULL: Final = {"452", "552"}
# Servers tell a full disk as 451, 550 or 553 too, and only the text says it; the last is
# vsftpd's for any failed write.
_FULL_TEXT: Final = re.compile(
    r"no space|disk full|disk is full|quota|not enough space|writing to local file", re.I
)
_DENIED_TEXT: Final = re.compile(r"permission|privilege|denied|not allowed|read-only|access", re.I)
_ABSENT_TEXT: Final = re.compile(r"no such|not found|cannot find|not exist", re.I)
_TOO_MANY_TEXT: Final = re.compile(r"too many|maximum|limit", re.I)
_BLANK: Final = re.compile(r"[^\x20-\x7e\u00a1-\u024f…]+")


class FtpSpeech:
    """Makes the errors of one server: `where` it is, and the password that no text may show."""

    def __init__(self, where: str, password: str) -> None:
        self._where = where
        self._password = password

    def quote(self, reply: str) -> str:
        """Return a server's words, short, in one line, and without the password."""
        if self._password:
            reply = reply.replace(self._password, "…")
        return _BLANK.sub(" ", reply).strip()[:200]

    @contextmanager
    def doing(
        self, what: str, close: Callable[[], None], *, unknown: bool = False
    ) -> Iterator[None]:
        """Turn what ftplib and sockets raise into errors that say what was being done.

        `close` hangs up, called where the next reply could not be trusted to be the right one.
        """
        try:
            yield
        # `from None`: a reply may repeat the password, and the cause would show it.
        except ftplib.error_proto as error:
            close()
            raise self.garbled(what, str(error)) from None
        except ftplib.Error as error:
            raise self.reply(what, str(error)) from None
        except EOFError:
            close()
            raise self.cut(what, unknown=unknown) from None
        except OSError as error:
            close()
            raise self.broken(what, error, unknown=unknown) from error
        except (ValueError, OverflowError):  # a port or size beyond all numbers, a strange host
            close()
            raise self.garbled(what) from None

    def reply(self, doing: str, reply: str) -> PlaceError:
        """Return the error for a reply of 4xx or 5xx to `doing` ("store a file")."""
        code, said = reply[:3], self.quote(reply)
        text = f"The FTP server {self._where} does not {doing} ({said})."
        if code in _FULL or (code[:1] in "45" and _FULL_TEXT.search(said)):
            return PlaceFull(text, hint="Make room there or raise the quota, then run again.")
        if code in _BUSY or code[:1] == "4":
            return PlaceBusy(text, unknown=False)
        if code in _REFUSED or is_denial(said):
            return PlaceRefused(text, hint="Has this user the right to do that there?")
        return PlaceError(text, hint="Is it set up to be written to by this user?")

    def login(self, username: str, reply: str) -> PlaceError:
        """Return the error for a reply of 4xx or 5xx to a greeting, USER or PASS."""
        said = self.quote(reply)
        if reply.startswith("421") or _TOO_MANY_TEXT.search(said):
            return TooManySessions(
                f"The FTP server {self._where} takes no further session now ({said}).",
                unknown=False,
            )
        if reply.startswith("4"):
            return PlaceBusy(f"The FTP server {self._where} is busy ({said}).", unknown=False)
        return PlaceClosed(
            f"The FTP server {self._where} does not let in {username!r} ({said}).",
            hint="Check the user name and the password.",
        )

    def no_tls(self, reply: str) -> PlaceError:
        """Return the error for a server that will not encrypt."""
        return PlaceClosed(
            f"The FTP server {self._where} offers no TLS ({self.quote(reply)}).",
            hint="Have it switched on there; only `insecure = true` would send the password "
            "and everything else in the clear.",
        )

    def garbled(self, doing: str, what: str = "") -> PlaceError:
        """Return the error for an answer that makes no sense."""
        return PlaceError(
            f"The FTP server {self._where} was asked to {doing} and gave an answer that is none"
            f"{f' ({self.quote(what)})' if what else ''}.",
            hint="Is this an FTP server?",
        )

    def cut(self, doing: str, *, unknown: bool) -> PlaceError:
        """Return the error for a connection that ended."""
        return PlaceBusy(
            f"The FTP server {self._where} hung up while asked to {doing}.", unknown=unknown
        )

    def broken(self, doing: str, error: OSError, *, unknown: bool) -> PlaceError:
        """Return the error for a failed name, connection or handshake."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return self._certificate(error)
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return self.cut(doing, unknown=unknown)
        if isinstance(error, ssl.SSLError):
            return PlaceClosed(
                f"TLS with the FTP server {self._where} failed ({error.reason or 'no reason'}).",
                hint="Is it the right port, and does it speak TLS 1.2 or later there?",
            )
        if isinstance(error, socket.gaierror):
            text = f"The name of the FTP server {self._where} is not known ({error.strerror})."
            if error.errno in (socket.EAI_AGAIN, socket.EAI_FAIL):
                return PlaceBusy(text, unknown=False)
            return PlaceError(text, hint="Check the host name.")
        if isinstance(error, ConnectionRefusedError):
            return PlaceBusy(
                f"The FTP server {self._where} refuses connections.",
                hint="Does it run, and is that its port?",
                unknown=False,
            )
        if isinstance(error, TimeoutError):
            return PlaceBusy(
                f"The FTP server {self._where} took too long to {doing}.", unknown=unknown
            )
        return PlaceBusy(
            f"The connection to the FTP server {self._where} broke while it was asked to {doing}"
            f" ({error.strerror or type(error).__name__}).",
            unknown=unknown,
        )

    def _certificate(self, error: ssl.SSLCertVerificationError) -> PlaceError:
        reason = error.verify_message or "not valid"
        return PlaceClosed(
            f"The certificate of the FTP server {self._where} is not accepted: {reason}.",
            hint="Have it renewed, use the name it is made for, or name its issuer as `ca_file`.",
        )


def is_denial(reply: str) -> bool:
    """Return whether a 5xx reply speaks of rights rather than of something that is not there."""
    return _DENIED_TEXT.search(reply) is not None and _ABSENT_TEXT.search(reply) is None
