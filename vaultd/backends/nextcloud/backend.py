"""Nextcloud and ownCloud: WebDAV, found from the bare address, with big files in parts."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from vaultd.backends.base import Finding
from vaultd.backends.nextcloud.chunks import SMALLEST_CHUNK, clean_uploads, upload_chunks
from vaultd.backends.nextcloud.discovery import (
    Cloud,
    cloud_refusal,
    discover,
    files_url,
    given_url,
    server_url,
    uploads_url,
)
from vaultd.backends.nextcloud.tus import upload_tus
from vaultd.backends.transport.http import Answer, HttpSettings
from vaultd.backends.transport.sized_body import SizedBody
from vaultd.backends.trial import Trial
from vaultd.backends.webdav.backend import WebdavBackend
from vaultd.backends.webdav.probe import refuse_public_link
from vaultd.errors import PlaceError, UsageError


@dataclass(frozen=True, slots=True)
class NextcloudSettings:
    """A server's address, an app password, and the folder in the user's files.

    Files above `chunk_size` bytes are sent in parts of that size (at least 5 MB each). Timeouts
    are in seconds; see HttpSettings for the rest.
    """

    server: str
    username: str = ""
    password: str = field(default="", repr=False)
    folder: str = "vaultd"
    chunk_size: int = 10 * 1024 * 1024
    token: str = field(default="", repr=False)
    ca_file: Path | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0

    def __post_init__(self) -> None:
        parts = self.folder.split("/")
        if not self.folder.isprintable() or any(part in ("", ".", "..") for part in parts):
            raise UsageError(
                "The folder in the cloud is not a folder's name.", hint="It reads like vaultd."
            )

    @property
    def http(self) -> HttpSettings:
        """The settings of the connection."""
        return HttpSettings(
            username=self.username,
            password=self.password,
            token=self.token,
            ca_file=self.ca_file,
            connect_timeout=self.connect_timeout,
            read_timeout=self.read_timeout,
        )


class NextcloudBackend(WebdavBackend):
    """A WebdavBackend whose root is found by asking the server, once.

    Works with Nextcloud, ownCloud 10, ownCloud Infinite Scale and OpenCloud.
    """

    def __init__(
        self,
        settings: NextcloudSettings,
        *,
        create: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._settings, self._create, self._transport = settings, create, transport
        self._server = server_url(settings.server)
        self._cloud: Cloud | None = None
        self._asking = threading.Lock()
        where = f"{str(self._server).rstrip('/')}/{settings.folder}"
        self._begin(
            settings.http, where, None, create=create, transport=transport,
            # Several MOVEs at once deadlock its database, and leave paths locked for an hour.
            renaming=threading.Lock(), on_delete={"X-NC-Skip-Trashbin": "true"},
        )  # fmt: skip

    def cloud(self) -> Cloud:
        """Return what the server is and can; asked once. Raises PlaceError."""
        with self._asking:
            if self._cloud is None:
                refuse_public_link(given_url(self._settings.server), self.where)
                self._cloud = discover(self.verbs.http, self._server, self._settings.username)
            return self._cloud

    def root(self) -> httpx.URL:
        """Return the URL of the folder in the user's files."""
        return files_url(self._server, self.cloud().user, self._settings.folder)

    def _refusal(self, answer: Answer) -> PlaceError | None:
        return cloud_refusal(answer, self.where)

    def _uploads(self) -> httpx.URL:
        return uploads_url(self._server, self.cloud().user)

    def _fill(self, name: str, place: httpx.URL, body: SizedBody, small: bytes | None) -> None:
        cloud, chunk = self.cloud(), self._settings.chunk_size
        if body.size <= chunk or small is not None:
            super()._fill(name, place, body, small)
        elif cloud.tus is not None:
            upload_tus(self.verbs, place, body, min(chunk, cloud.tus or chunk))
        elif cloud.chunks:
            only = self.manners().path_only
            upload_chunks(
                self.verbs, self._uploads(), place, body, chunk, path_only=only,
                joining=self._renaming,
            )  # fmt: skip
        else:
            super()._fill(name, place, body, small)

    def for_trial(self) -> Trial:
        """Return the same place with the smallest parts."""
        settings = replace(self._settings, chunk_size=SMALLEST_CHUNK)
        backend = NextcloudBackend(settings, create=self._create, transport=self._transport)
        return Trial(backend, SMALLEST_CHUNK + 1)

    def probe(self) -> Sequence[Finding]:
        """Measure; see Backend.probe. Says too what the server is and what it keeps."""
        cloud = self.cloud()
        findings = [Finding("server", True, f"it is {cloud.product} {cloud.version}")]
        findings += super().probe()
        findings.append(_parts(cloud))
        if cloud.chunks:
            removed = clean_uploads(self.verbs, self._uploads())
            sentence = f"{removed} uploads in parts broken off over a day ago were removed"
            if removed is None:
                sentence = "it does not list uploads in parts; it removes broken ones itself"
            findings.append(Finding("leftovers in parts", True, sentence))
        if cloud.trash:
            sentence = "what is deleted stays in the trash bin, and counts, till that is emptied"
            findings.append(Finding("trash bin", True, sentence))
        if cloud.versions:
            sentence = "old versions are kept; vaultd never replaces a file, so it makes none"
            findings.append(Finding("versions", True, sentence))
        return findings


def _parts(cloud: Cloud) -> Finding:
    if cloud.tus is not None:
        return Finding("big files", True, "they are sent in parts (TUS)")
    if cloud.chunks:
        return Finding("big files", True, "they are sent in parts (chunked upload)")
    return Finding("big files", True, "they are sent in one piece each")
