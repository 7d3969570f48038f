"""A folder in a Dropbox (`dropbox://`), through its HTTP API.

Requests per object: create 1 up to `part_size` (8 MiB); above, 1 to look whether the name is
taken and 1 for each part. read 1, delete 2, list 1 per 2,000 entries (files and folders), and
now and then one for a new access token. What is deleted can be restored by the user for a month
or more, and counts nowhere.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import BinaryIO, Final

import httpx

from vaultd.backends.base import NAME_PATTERN, Finding, ObjectInfo, Space, check_name
from vaultd.backends.dropbox.api import Anything, DropboxApi, Entry, Usage
from vaultd.backends.dropbox.content_hash import BLOCK
from vaultd.backends.dropbox.http import DropboxHttp
from vaultd.backends.dropbox.listing import entries, objects
from vaultd.backends.dropbox.settings import DropboxSettings
from vaultd.backends.dropbox.upload import Source, Upload
from vaultd.backends.transport.http_range import nothing_there, size_beyond, wanted_part
from vaultd.backends.trial import Trial
from vaultd.errors import ObjectExists, ObjectMissing, PlaceBusy, PlaceError

__all__ = ["DropboxBackend", "DropboxSettings"]

_PROBE: Final = "probe."  # a dot never occurs in a legal name
_STALE: Final = timedelta(days=1)
_NOTHING: Final = frozenset({"not_found", "not_file", "not_folder"})


class DropboxBackend:
    """Objects as files below the settings' folder; see the module for the cost of each verb.

    Atomic: Dropbox shows a file when it has all of it. Never replaces: `mode: add` with
    `strict_conflict`. Dropbox checks the hash of what it receives, and we that of what it stored.
    Safe to use from many threads. `transport` replaces the way to the network.
    """

    def __init__(
        self, settings: DropboxSettings, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.settings, self._transport = settings, transport
        self._http = DropboxHttp(settings, transport=transport)
        self._api = DropboxApi(self._http)

    def __repr__(self) -> str:
        return f"DropboxBackend({self.settings.folder or '/'})"

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def _path(self, name: str) -> str:
        return f"{self.settings.folder}/{check_name(name)}"

    def create(self, name: str, data: BinaryIO, size: int) -> None:
        """Store a new object; see Backend.create. What `data.read` raises is passed on."""
        self._create(name, self._path(name), data, size)

    def _create(self, name: str, path: str, data: BinaryIO, size: int) -> None:
        source, upload = Source(data, size), Upload(self._api, name, path)
        if size <= self.settings.part_size:
            upload.whole(source)
            return
        # The conflict would be told only with the last part.
        found = self._look(path)
        if found is not None and found.tag == "file":
            raise ObjectExists(f"{name} is already in {self.settings.where}.")
        upload.in_parts(source, self.settings.part_size)

    def _look(self, path: str) -> Entry | None:
        """Return what is at a path; None for nothing."""

        def nothing(tags: tuple[str, ...]) -> PlaceError | None:
            return ObjectMissing("") if _NOTHING.intersection(tags) else None

        with suppress(ObjectMissing):
            return self._api.rpc(
                "files/get_metadata", {"path": path}, Entry, "look for an object", special=nothing
            )
        return None

    def read(self, name: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return bytes of an object; see Backend.read."""
        return self._read(name, self._path(name), offset, length)

    def _read(self, name: str, path: str, offset: int, length: int | None) -> bytes:
        missing = ObjectMissing(f"{name} is not in {self.settings.where}.")
        if length == 0:  # no range can ask for nothing
            found = self._look(path)
            if found is None or found.tag != "file":
                raise missing
            return b""
        last = "" if length is None else str(offset + length - 1)
        answer = self._api.download(
            path,
            f"bytes={offset}-{last}" if offset or last else None,
            self.settings.largest_read if length is None else length,
            "read an object",
            special=lambda tags: missing if _NOTHING.intersection(tags) else None,
        )
        where = self.settings.where
        if answer.status == 416:  # it ends before the offset
            size = size_beyond(answer.headers)
            if size is None:
                entry = self._look(path)
                size = None if entry is None else entry.size
            return nothing_there(size, offset, where)
        skip, wanted = wanted_part(answer.status, answer.headers, offset, length, where)
        body = answer.body[skip:] if wanted is None else answer.body[skip : skip + wanted]
        if wanted is not None and len(body) < wanted:
            raise PlaceBusy(f"{where} broke off amid {name}.", unknown=False)
        return body

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield objects by name; see Backend.list. A folder that is not there is empty."""
        start = prefix.rpartition("/")[0]
        if start and not NAME_PATTERN.fullmatch(start):
            return
        yield from objects(self._api, self.settings.folder, start, prefix)

    def delete(self, name: str) -> None:
        """Remove an object; see Backend.delete."""
        self._delete(self._path(name))

    def _delete(self, path: str) -> None:
        found = self._look(path)
        # Dropbox would remove a folder of this name with all that is in it.
        if found is not None and found.tag == "file":
            self._delete_revision(path, found.rev)

    def _delete_revision(self, path: str, revision: str) -> None:
        def fine(tags: tuple[str, ...]) -> PlaceError | None:
            if _NOTHING.intersection(tags):
                return ObjectMissing("")
            if "conflict" in tags:
                where = self.settings.where
                return PlaceBusy(f"An object in {where} changed while it was removed.")
            return None

        with suppress(ObjectMissing):
            self._api.rpc(
                "files/delete_v2",
                {"path": path, "parent_rev": revision},
                Anything,
                "remove an object",
                special=fine,
                unknown=True,
            )

    def space(self) -> Space:
        """Return the room of the account, or of the team with the member's share."""
        usage = self._api.rpc("users/get_space_usage", None, Usage, "tell its space")
        room = usage.allocation
        if room.tag not in ("individual", "team") or not room.allocated:
            return Space(None, None)
        if room.tag == "individual":
            return Space(room.allocated, max(0, room.allocated - usage.used))
        total, free = room.allocated, room.allocated - room.used
        share = room.user_within_team_space_allocated
        if share and share < total:
            total = share
            free = min(free, share - room.user_within_team_space_used_cached)
        return Space(total, max(0, min(free, total)))

    def for_trial(self) -> Trial:
        """Return the same place with the smallest parts."""
        settings = replace(self.settings, part_size=BLOCK)
        return Trial(DropboxBackend(settings, transport=self._transport), BLOCK + 1)

    def probe(self) -> Sequence[Finding]:
        """Try to create twice, and to read parts; remove probes that were killed a day ago."""
        self._clean()
        name = f"{_PROBE}{secrets.token_hex(8)}"
        path = f"{self.settings.folder}/{name}"
        content = secrets.token_bytes(1000)
        try:
            # Dropbox tells the hash of what it stored, and creating compares it.
            self._create(name, path, BytesIO(content), len(content))
            return [
                Finding("content hash", True, "Dropbox confirms each object by its hash"),
                self._twice(name, path, content),
                self._parts(name, path, content),
                self._room(),
            ]
        finally:
            with suppress(PlaceError):  # a later probe removes it
                self._delete(path)

    def _twice(self, name: str, path: str, content: bytes) -> Finding:
        what = "create without replacing"
        for again in (content, content[::-1]):
            try:
                self._create(name, path, BytesIO(again), len(again))
            except ObjectExists:
                continue
            return Finding(what, False, "a second object of one name is taken as if it were new")
        return Finding(what, True, "an object that is there is never replaced")

    def _parts(self, name: str, path: str, content: bytes) -> Finding:
        fine = (
            self._read(name, path, 100, 50) == content[100:150]
            and self._read(name, path, 990, 50) == content[990:]
            and self._read(name, path, 1000, 1) == b""
        )
        sentence = "parts of objects can be read" if fine else "parts of objects come out wrong"
        return Finding("ranges", fine, sentence)

    def _room(self) -> Finding:
        space = self.space()
        if space.total is None or space.free is None:
            return Finding("room", True, "the room is not known")
        sentence = f"{space.free / 1e9:.1f} of {space.total / 1e9:.1f} GB are free"
        return Finding("room", space.free > 0, sentence)

    def _clean(self) -> None:
        old = datetime.now(UTC) - _STALE
        for entry in entries(self._api, self.settings.folder, deep=False):
            if entry.tag == "file" and entry.name.startswith(_PROBE) and _before(entry, old):
                self._delete_revision(f"{self.settings.folder}/{entry.name}", entry.rev)


def _before(entry: Entry, moment: datetime) -> bool:
    try:
        modified = datetime.fromisoformat(entry.server_modified)
    except ValueError:
        return False
    return modified.tzinfo is not None and modified < moment
