"""Reading the JSON out of a diaspora* export file: bounded, whatever the file claims to be."""

from __future__ import annotations

import zipfile
import zlib
from gzip import BadGzipFile, GzipFile
from pathlib import Path
from typing import IO, BinaryIO, Final

import msgspec

from vaultd.errors import ExportFileError
from vaultd.records import Body

DEFAULT_LIMIT: Final = 2 * 1024**3
MAX_DEPTH: Final = 24  # of the file; records add some of their own

# zipfile unpacks bzip2 and lzma without a bound, and their errors are of other classes.
ZIP_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_PIECE: Final = 1 << 20
_HINT: Final = "A diaspora* export is a .json, .json.gz or .zip file made in its settings."


def read_export(path: Path, limit: int = DEFAULT_LIMIT) -> Body:
    """Return the JSON object in an export file of at most `limit` bytes when unpacked.

    What the file is, its first bytes say, not its name. Raises ExportFileError.
    """
    try:
        with path.open("rb") as file:
            data = _unpacked(path, file, limit)
    except OSError as error:
        raise _refusal(path, f"cannot be read ({error.strerror or error})") from error
    return parse_export(path, data)


def parse_export(path: Path, data: bytes) -> Body:
    """Return the JSON object in the unpacked bytes of an export file. Raises ExportFileError."""
    try:
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except RecursionError as error:
        raise _refusal(path, "is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _refusal(path, f"is not readable JSON ({error})") from error
    if not isinstance(value, dict):
        raise _refusal(path, "is not a JSON object")
    if not _is_bounded(value, MAX_DEPTH):
        raise _refusal(path, f"is nested deeper than {MAX_DEPTH} levels")
    return value


def _unpacked(path: Path, file: BinaryIO, limit: int) -> bytes:
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"\x1f\x8b"):
        try:
            with GzipFile(fileobj=file) as packed:
                return _read(path, packed, limit)
        except (BadGzipFile, EOFError, zlib.error) as error:
            raise _refusal(path, f"is a damaged gzip file ({error})") from error
    if start == b"PK\x03\x04":
        return _from_zip(path, file, limit)
    return _read(path, file, limit)


def _from_zip(path: Path, file: BinaryIO, limit: int) -> bytes:
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.filename.lower().endswith(".json"):
                    if info.compress_type not in ZIP_METHODS:
                        raise _refusal(path, "is a zip file packed in an unusual way")
                    with archive.open(info) as entry:
                        return _read(path, entry, limit)
    except (zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        # RuntimeError is what zipfile raises for an encrypted entry.
        raise _refusal(path, f"is a zip file that cannot be unpacked ({error})") from error
    except ValueError as error:
        raise _refusal(path, f"is a damaged zip file ({error})") from error
    raise _refusal(path, "is a zip file without a .json file in it")


def _read(path: Path, file: IO[bytes] | GzipFile, limit: int) -> bytes:
    whole = bytearray()
    while piece := file.read(_PIECE):
        whole += piece
        if len(whole) > limit:
            raise _refusal(path, f"is larger than {limit:,} bytes when unpacked")
    return bytes(whole)


def _is_bounded(value: object, left: int) -> bool:
    if isinstance(value, dict):
        return left > 0 and all(_is_bounded(item, left - 1) for item in value.values())
    if isinstance(value, list):
        return left > 0 and all(_is_bounded(item, left - 1) for item in value)
    return True


def _refusal(path: Path, why: str) -> ExportFileError:
    return ExportFileError(f"The export file {path} {why}.", hint=_HINT)
