"""The stages of a full backup, each alone on the same records: records per second per core."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

from vaultd.backends.folder import FolderBackend
from vaultd.backup.setup import open_source
from vaultd.config import Config
from vaultd.records import Record, encode_body, encode_record
from vaultd.state.digests import Digests
from vaultd.vault.compression import compress
from vaultd.vault.layout import FRAME_PLAIN
from vaultd.vault.sections import SectionWriter, new_file_key


def stages(config: Config, folder: Path) -> dict[str, float]:
    """Return seconds per stage for the one account of the bench pod."""
    source = open_source(config)
    seconds: dict[str, float] = {}

    def timed(name: str, action: Callable[[], object]) -> object:
        begun = time.perf_counter()
        result = action()
        seconds[name] = time.perf_counter() - begun
        return result

    found = timed("read", lambda: [r for _, r in source.read(source.accounts())])
    records = [r for r in found if isinstance(r, Record)]  # type: ignore[attr-defined]
    digests = Digests(bytes(32))
    timed("digest", lambda: [digests.body(encode_body(r.body)) for r in records])
    packed = timed("pack", lambda: b"".join(encode_record(r.kind, r.id, r.body) for r in records))
    plain = bytes(packed)  # type: ignore[call-overload]
    frames = [plain[i : i + FRAME_PLAIN] for i in range(0, len(plain), FRAME_PLAIN)]
    small = timed("compress", lambda: [compress(frame) for frame in frames])
    out = io.BytesIO()
    section = SectionWriter(new_file_key(), b"bench", out.write)
    timed("encrypt", lambda: [section.write(frame) for frame in small])  # type: ignore[attr-defined]
    data = out.getvalue()
    backend = FolderBackend(folder / "stage", create=True)
    timed("write", lambda: backend.create("one", io.BytesIO(data), len(data)))
    return seconds
