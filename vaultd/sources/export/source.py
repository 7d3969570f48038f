"""The second source: an account archive that diaspora*'s own exporter wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

import vaultd
from vaultd.errors import ExportFileError
from vaultd.fields import mapping, text
from vaultd.records import Record
from vaultd.sources.base import ANY, Changes, SourceAccount, SourceInfo, Trouble
from vaultd.sources.export.photos import PhotosZip
from vaultd.sources.export.reading import DEFAULT_LIMIT, read_export
from vaultd.sources.export.records import ExportRecords


class ExportFileSource:
    """One account, from a `.json`, `.json.gz` or `.zip` export and perhaps its photos archive.

    The format carries no guid of the account and no ids of aspects or subscriptions: the guid is
    empty, and names or the diaspora* ID stand in for the others.
    """

    def __init__(
        self, path: Path, photos: Path | None = None, *, limit: int = DEFAULT_LIMIT
    ) -> None:
        """Read the file, at most `limit` bytes when unpacked. Raises ExportFileError."""
        self._path = path
        self._content = read_export(path, limit)
        self._version = text(self._content, "version") or ""
        user = mapping(self._content, "user")
        handle = text(mapping(mapping(user, "profile"), "entity_data"), "author") or ""
        handle = handle.lower()
        username = text(user, "username") or ""
        if self._version.split(".", 1)[0] != "2" or not username or "@" not in handle:
            raise ExportFileError(
                f"The export file {path} is JSON, but not a diaspora* account archive of version 2 "
                "with a user name and a profile.",
                hint="Archives of diaspora* before 0.7 have another format; export again.",
            )
        key = _public_key(text(user, "private_key") or "")
        self._key_missing = not key
        self._account = SourceAccount(0, username, handle, "", key, "active")
        self._photos = PhotosZip(photos) if photos is not None else None

    def info(self) -> SourceInfo:
        """Describe the file."""
        return SourceInfo("export file", self._version, "diaspora* 0.7 or later", 1)

    def accounts(self, usernames: Sequence[str] | None = None) -> list[SourceAccount]:
        """Return the file's account, unless others are asked for."""
        wanted = usernames is None or self._account.username in usernames
        return [self._account] if wanted else []

    def open_accounts(self) -> dict[str, str]:
        """Return the file's account: nobody exports a closed one."""
        return {self._account.guid: self._account.username}

    def read(
        self, accounts: Sequence[SourceAccount]
    ) -> Iterator[tuple[SourceAccount, Record | Trouble]]:
        """Yield the account's records."""
        for account in accounts:
            if account.key != self._account.key:
                continue
            if self._key_missing:
                reason = "the private key is missing or unreadable; without it nobody can move"
                yield account, Trouble("user", "private_key", reason)
            records = ExportRecords(
                self._content, account.handle, account.public_key, str(self._path)
            )
            for record in records:
                yield account, record

    def weights(self, accounts: Sequence[SourceAccount]) -> dict[int, int]:
        """Return 0: a file has one account, and there is nothing to cut."""
        return {account.key: 0 for account in accounts}

    def fingerprints(self, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        """Return the digest of the file's content for its account; the file was read once."""
        return {account.key: self._digest() for account in accounts}

    def changes(self, since: bytes | None) -> Changes:  # noqa: ARG002
        """Return `ANY`: a file is looked at as a whole; see Source.changes."""
        return ANY

    def moment(self) -> bytes | None:
        """Return the digest of the content: nothing of it changed if it is the same."""
        return self._digest()

    def _digest(self) -> bytes:
        content = msgspec.msgpack.encode((vaultd.__version__, self._content), order="deterministic")
        return hashlib.blake2b(content, digest_size=16).digest()

    def open_file(self, name: str) -> BinaryIO:
        """Open a picture of the photos archive. Raises FileNotFoundError, OSError."""
        if self._photos is None:
            raise FileNotFoundError(f"{name!r}: there is no photos archive beside {self._path}")
        return self._photos.open(name)

    def close(self) -> None:
        """Close the photos archive."""
        if self._photos is not None:
            self._photos.close()


def _public_key(private_pem: str) -> str:
    try:
        key = serialization.load_pem_private_key(private_pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""  # reported with the records: the rest of the account is still worth having
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
