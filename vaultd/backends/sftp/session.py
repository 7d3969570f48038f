"""One SSH connection, its log-in, and the SFTP channels that are opened over it."""

from __future__ import annotations

import logging
from contextlib import suppress
from threading import Lock
from typing import Final

import paramiko

from vaultd.backends.sftp.channel import SftpChannel
from vaultd.backends.sftp.errors import broken, sftp_errors
from vaultd.backends.sftp.host_key import PinnedKeys
from vaultd.backends.sftp.key import private_key
from vaultd.backends.sftp.packets import Code
from vaultd.backends.sftp.requests import StatusError
from vaultd.backends.sftp.settings import SftpSettings
from vaultd.backends.transport.session_pool import TooManySessions
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError

_LOG: Final = "vaultd.paramiko"
_KEEPALIVE_SECONDS: Final = 30
# paramiko logs every refused connection with its trace; the errors here say it once.
logging.getLogger(_LOG).setLevel(logging.CRITICAL + 1)


class SshConnection:
    """Logs in when the first channel is asked for, and again when the connection is gone."""

    def __init__(self, settings: SftpSettings, *, create: bool) -> None:
        self._settings = settings
        self._create = create
        self._transport: paramiko.Transport | None = None
        self._lock = Lock()

    def close(self) -> None:
        """Hang up; a later use connects anew."""
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def open_channel(self) -> SftpChannel:
        """Return a new channel. Raises PlaceBusy, PlaceRefused, TooManySessions, PlaceError."""
        with self._lock:
            if self._transport is None or not self._transport.is_active():
                if self._transport is not None:
                    self._transport.close()
                    self._transport = None
                transport = self._log_in()
                try:
                    channel = self._channel(transport)
                    self._check_folder(channel)
                except BaseException:
                    transport.close()
                    raise
                self._transport = transport
                return channel
            transport = self._transport
        return self._channel(transport)

    def _channel(self, transport: paramiko.Transport) -> SftpChannel:
        settings = self._settings
        try:
            wire = transport.open_session(timeout=settings.connect_timeout)
            wire.settimeout(settings.connect_timeout)
            wire.invoke_subsystem("sftp")
        except paramiko.ChannelException as error:
            raise TooManySessions(
                f"The SSH server {settings.where} opens no further channel ({error.text}).",
                unknown=False,
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            if transport.is_active() and not isinstance(error, OSError):
                raise PlaceClosed(
                    f"The SSH server {settings.where} offers no SFTP.",
                    hint="Its sshd_config needs `Subsystem sftp internal-sftp`.",
                ) from error
            raise self._lost(transport, error) from error
        with sftp_errors(settings.where, "speak SFTP", secret=settings.password):
            return SftpChannel(wire, settings.read_timeout, transport.is_active, settings.check)

    def _lost(self, transport: paramiko.Transport, error: Exception) -> PlaceBusy:
        transport.close()
        return PlaceBusy(
            f"The SSH server {self._settings.where} broke off ({str(error) or 'it hung up'}).",
            unknown=False,
        )

    def _check_folder(self, channel: SftpChannel) -> None:
        path = self._settings.path
        if not path:
            return
        settings = self._settings
        with sftp_errors(settings.where, f"go to the folder {path}", secret=settings.password):
            if self._create:
                for end in range(1, len(path) + 1):
                    if path[end : end + 1] in ("/", "") and path[:end].strip("/"):
                        with suppress(StatusError):  # it is there already, or not ours to make
                            channel.make_folder(path[:end])
            try:
                if channel.stat(path).is_folder:
                    return
            except StatusError as error:
                if error.code != Code.NO_SUCH_FILE:
                    raise
        raise PlaceError(
            f"The folder {path} is not on the SFTP server {self._settings.where}.",
            hint="Is its disk mounted there? `vaultd init` makes a new target's folder.",
        )

    def _log_in(self) -> paramiko.Transport:
        settings = self._settings
        pinned, key = PinnedKeys(settings), self._private_key()
        try:
            sock = settings.connect(
                settings.connect_to or settings.host, settings.port, settings.connect_timeout
            )
        except OSError as error:
            raise broken(settings.where, "let us connect", error, unknown=False) from error
        except UnicodeError as error:
            raise PlaceError(
                f"{settings.host!r} is not a host name.", hint="Check the host name."
            ) from error
        transport = paramiko.Transport(sock)
        try:
            self._begin(transport, pinned)
            self._authenticate(transport, key)
        except BaseException:
            transport.close()
            raise
        transport.set_keepalive(_KEEPALIVE_SECONDS)
        return transport

    def _begin(self, transport: paramiko.Transport, pinned: PinnedKeys) -> None:
        """Agree on keys, and see that the server is the right one."""
        settings = self._settings
        transport.set_log_channel(_LOG)
        transport.banner_timeout = settings.connect_timeout
        transport.auth_timeout = settings.read_timeout
        options = transport.get_security_options()
        options.key_types = tuple(pinned.algorithms(options.key_types))
        try:
            transport.start_client(timeout=settings.connect_timeout)
            shown = transport.get_remote_server_key()  # raises where the time ran out before it
        except paramiko.ssh_exception.IncompatiblePeer as error:
            raise PlaceClosed(
                f"The SSH server {settings.where} and vaultd have no algorithm in common: {error}.",
                hint="If host_key names a kind of key it has not, pin one that it has.",
            ) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(transport, error) from error
        pinned.check(shown.get_name(), shown.asbytes())

    def _private_key(self) -> paramiko.PKey | None:
        """Return the key to log in with, None for a password alone."""
        settings = self._settings
        if settings.key_file is None and settings.key_text is None:
            return None
        what = f"The private key {settings.key_file or 'given as key_text'}"
        text = settings.key_text or ""
        if settings.key_file is not None:
            try:
                text = settings.key_file.read_text("utf-8", "replace")
            except OSError as error:
                raise PlaceError(
                    f"{what} cannot be read ({error.strerror}).", hint="May this user read it?"
                ) from error
        return private_key(text, settings.passphrase, what)

    def _authenticate(self, transport: paramiko.Transport, key: paramiko.PKey | None) -> None:
        settings = self._settings
        tried = []
        try:
            if key is not None:
                tried.append("key")
                with suppress(paramiko.AuthenticationException):
                    transport.auth_publickey(settings.username, key)
            if not transport.is_authenticated() and settings.password is not None:
                tried.append("password")
                with suppress(paramiko.AuthenticationException):
                    transport.auth_password(settings.username, settings.password)
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost(transport, error) from None
        if transport.is_authenticated():
            return
        if not transport.is_active():
            raise self._lost(transport, EOFError())
        raise PlaceClosed(
            f"The SSH server {settings.where} does not let in {settings.username!r} by "
            f"{' or '.join(tried)}.",
            hint="Check the user name and the password, or authorized_keys there.",
        )
