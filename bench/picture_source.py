"""A source that has nothing but picture files, so that a run of them is a run of uploads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from vaultd.records import Record
from vaultd.sources.base import ANY, Changes, SourceAccount, SourceInfo


class PictureSource:
    """Accounts and the files of each, one photo a file."""

    def __init__(self, files: Mapping[SourceAccount, Sequence[Path]]) -> None:
        self._files = files

    def info(self) -> SourceInfo:
        """Describe it."""
        return SourceInfo("files", "", "", len(self._files))

    def accounts(self, usernames: Sequence[str] | None = None) -> list[SourceAccount]:
        """Return these accounts, or all."""
        return [each for each in self._files if usernames is None or each.username in usernames]

    def read(self, accounts: Sequence[SourceAccount]) -> Iterator[tuple[SourceAccount, Record]]:
        """Yield a photo for each file."""
        for account in accounts:
            for file in self._files[account]:
                yield account, Record("photo", file.name, {"name": file.name}, file=str(file))

    def weights(self, accounts: Sequence[SourceAccount]) -> dict[int, int]:
        """Return the number of files of each."""
        return {each.key: len(self._files[each]) for each in accounts}

    def fingerprints(self, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        """Every file has changed, as far as it can tell."""
        return {each.key: bytes(16) for each in accounts}

    def changes(self, since: bytes | None) -> Changes:  # noqa: ARG002 - see Source
        """It cannot tell."""
        return ANY

    def moment(self) -> bytes | None:
        """It cannot tell."""
        return None

    def open_file(self, name: str) -> BinaryIO:
        """Open a file by its path."""
        return Path(name).open("rb")
