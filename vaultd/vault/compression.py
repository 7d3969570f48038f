"""zstd with the format's own dictionary, bounded on the way in.

`decompress(max_output_size=)` is ignored by the library when a frame states its size, so
untrusted frames are read through a stream in bounded steps, with a window limit.
"""

from __future__ import annotations

import hashlib
import threading
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

import zstandard

from vaultd.errors import DamageError
from vaultd.vault.layout import FRAME_PLAIN

LEVEL: Final = 3
# Full frames come by the thousand in a first backup; there level 3 gains nothing on posts.
_LEVEL_OF_FULL_FRAMES: Final = 1
DICTIONARY_FILE: Final = "records-v1.zdict"
DICTIONARY_SHA256: Final = "e4f9bceb50df57320c24ba0d013e5665a45fd7820a84e4de7ebe7078c0e4d195"
_WINDOW: Final = 1 << 20

_local: Final = threading.local()


@cache
def dictionary() -> zstandard.ZstdCompressionDict:
    """Return the dictionary shipped with the format; raises DamageError if it was altered."""
    data = files("vaultd.vault").joinpath(DICTIONARY_FILE).read_bytes()
    if hashlib.sha256(data).hexdigest() != DICTIONARY_SHA256:
        raise DamageError(f"{DICTIONARY_FILE} is not the dictionary of format 1; reinstall vaultd.")
    return zstandard.ZstdCompressionDict(data)


def compress(data: bytes) -> bytes:
    """Compress one frame (at most 256 KiB plain)."""
    level = _LEVEL_OF_FULL_FRAMES if len(data) >= FRAME_PLAIN else LEVEL
    compressors: dict[int, zstandard.ZstdCompressor] = _local.__dict__.setdefault("levels", {})
    if level not in compressors:
        compressors[level] = zstandard.ZstdCompressor(
            level=level, dict_data=dictionary(), write_content_size=True, write_dict_id=False
        )
    return compressors[level].compress(data)


@lru_cache(maxsize=2)
def frames_of(records: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return encoded records as compressed frames; the latest few are remembered."""
    plain = b"".join(records)
    starts = range(0, len(plain), FRAME_PLAIN)
    return tuple(compress(plain[start : start + FRAME_PLAIN]) for start in starts)


def decompress(data: bytes, limit: int = FRAME_PLAIN) -> bytes:
    """Decompress one frame to at most `limit` bytes; raises DamageError past that or on junk."""
    decompressor: zstandard.ZstdDecompressor | None = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary(), max_window_size=_WINDOW)
        _local.decompressor = decompressor
    try:
        with decompressor.stream_reader(data, read_across_frames=False) as reader:
            plain = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise DamageError(f"A frame cannot be decompressed ({error}).") from error
    if len(plain) > limit:
        raise DamageError(f"A frame unpacks to more than {limit} bytes; it is hostile or damaged.")
    return plain
