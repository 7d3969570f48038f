"""Is this the right server? Its host key against what was pinned; never trust on first use."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import paramiko

from vaultd.backends.sftp.settings import SftpSettings
from vaultd.errors import PlaceClosed, PlaceError

_FINGERPRINT: Final = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")
_MAX_FILE: Final = 16 * 1024 * 1024
# One kind of key signs in two ways (RFC 8332).
_ALGORITHMS: Final = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


def fingerprint(key: bytes) -> str:
    """Return `SHA256:…` as `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(key).digest()
    return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


class PinnedKeys:
    """The host keys that the settings accept. Raises PlaceError for settings that are none."""

    def __init__(self, settings: SftpSettings) -> None:
        self._settings = settings
        self._keys: set[bytes] = set()
        self._revoked: set[bytes] = set()
        self._fingerprint = ""
        self._kinds: list[str] = []
        if settings.host_key is not None:
            self._pin(settings.host_key.strip())
        if settings.known_hosts is not None:
            self._load(settings.known_hosts)

    def algorithms(self, offered: Sequence[str]) -> Sequence[str]:
        """Return which of the algorithms we know to ask for, so that a pinned key is shown."""
        wanted = {name for kind in self._kinds for name in _ALGORITHMS.get(kind, (kind,))}
        return tuple(name for name in offered if name in wanted) or tuple(offered)

    def check(self, kind: str, key: bytes) -> None:
        """Raise PlaceRefused unless the key the server has shown and proved is accepted."""
        shown, where = f"{kind} {fingerprint(key)}", self._settings.where
        if key in self._revoked:
            raise PlaceClosed(
                f"The SSH server {where} shows the key {shown}, which known_hosts calls revoked.",
                hint="Do not use it: find out who answers there.",
            )
        if key in self._keys or self._fingerprint == fingerprint(key):
            return
        if self._keys or self._fingerprint:
            raise PlaceClosed(
                f"The SSH server {where} shows another host key than the pinned one: {shown}.",
                hint="Somebody may answer in its stead. Only if the server was set up anew, and "
                f'shows that key by `ssh-keygen -lf` there, set host_key = "{fingerprint(key)}".',
            )
        raise PlaceClosed(
            f"The host key of the SSH server {where} is not known: {shown}.",
            hint="If `ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub` there shows the same, set "
            f'host_key = "{fingerprint(key)}".',
        )

    def _pin(self, text: str) -> None:
        if found := _FINGERPRINT.fullmatch(text):
            self._fingerprint = f"SHA256:{found[1]}"
            return
        kind, _, rest = text.partition(" ")
        try:
            key = base64.b64decode(rest.split()[0], validate=True)
        except (IndexError, binascii.Error, ValueError):
            key = b""
        # The key repeats its kind as its first string.
        if not kind or key[4 : 4 + len(kind)] != kind.encode():
            raise PlaceError(
                f"The host_key of {self._settings.where} is none.",
                hint="It is a line `ssh-ed25519 AAAA…` or a fingerprint `SHA256:…`.",
            )
        self._keys.add(key)
        self._kinds.append(kind)

    def _load(self, path: Path) -> None:
        """Read a known_hosts file (sshd(8)); certificates of authorities are not supported."""
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_FILE).decode("utf-8", "replace")
        except OSError as error:
            raise PlaceError(
                f"The known_hosts file {path} cannot be read ({error.strerror}).",
                hint="May this user read it?",
            ) from error
        entries = paramiko.HostKeys()
        for number, line in enumerate(content.splitlines()):
            marker, _, rest = line.strip().partition(" ")
            revoked = marker == "@revoked"
            if not line.strip() or line.startswith("#") or (marker.startswith("@") and not revoked):
                continue
            try:
                entry = paramiko.hostkeys.HostKeyEntry.from_line(rest if revoked else line, number)
            except (paramiko.SSHException, ValueError, IndexError):
                continue
            if entry is None or entry.key is None:
                continue
            if revoked:
                self._revoked.add(entry.key.asbytes())
            else:
                for name in entry.hostnames or ():
                    entries.add(name, entry.key.get_name(), entry.key)
        settings = self._settings
        name = settings.host if settings.port == 22 else f"[{settings.host}]:{settings.port}"
        for kind, key in (entries.lookup(name) or {}).items():
            self._keys.add(key.asbytes())
            self._kinds.append(kind)
