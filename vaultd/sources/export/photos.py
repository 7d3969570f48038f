"""Pictures out of a diaspora* photos archive (a flat zip), by name."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, Final

from vaultd.errors import ExportFileError
from vaultd.sources.export.reading import ZIP_METHODS

MAX_PICTURE: Final = 256 * 1024 * 1024


class PhotosZip:
    """An opened photos archive; raises ExportFileError when it is none."""

    def __init__(self, path: Path, limit: int = MAX_PICTURE) -> None:
        self._limit = limit
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise ExportFileError(
                f"The photos archive {path} cannot be opened as a zip file ({error}).",
                hint="diaspora* calls it …_photos_….zip.",
            ) from error

    def open(self, name: str) -> BinaryIO:
        """Open a picture. Raises FileNotFoundError; OSError when it is damaged or too large."""
        try:
            info = self._archive.getinfo(name)
        except KeyError as error:
            raise FileNotFoundError(f"{name!r} is not in the photos archive") from error
        if info.file_size > self._limit:
            raise OSError(f"{name!r} is larger than {self._limit:,} bytes")
        if info.compress_type not in ZIP_METHODS:
            raise OSError(f"{name!r} is packed in an unusual way")
        try:
            return io.BufferedReader(_Entry(self._archive.open(info), name))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError) as error:
            raise OSError(f"{name!r} cannot be unpacked ({error})") from error

    def close(self) -> None:
        """Close the zip file."""
        self._archive.close()


class _Entry(io.RawIOBase):
    """A zip entry whose damage is an OSError, as with any other file that cannot be read.

    zipfile never returns more than the size the zip states, which `open` has checked.
    """

    def __init__(self, entry: IO[bytes], name: str) -> None:
        self._entry = entry
        self._name = name

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview | bytearray, /) -> int:  # type: ignore[override]
        """Fill the buffer with what comes next."""
        try:
            data = self._entry.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise OSError(f"{self._name!r} is damaged in the photos archive ({error})") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the entry."""
        self._entry.close()
        super().close()
