"""The stages of a full backup, each alone on the same records, next to the raw limit of each."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgpack
import nacl.bindings as sodium
import psycopg
import zstandard

from bench.pod import Shape
from bench.scale import prepare
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.checks.checks import open_source
from vaultd.records import Record, Records, encode_record
from vaultd.sources.base import SourceAccount, Trouble, singly
from vaultd.state.index.digests import Digests
from vaultd.state.index.vault_index import VaultIndex
from vaultd.vault.coding.sections import SectionWriter, new_file_key
from vaultd.vault.compression import compress
from vaultd.vault.layout import FRAME_PLAIN

_T = TypeVar("_T")
Item = Record | Records | Trouble
_TABLES = ("posts", "comments", "likes", "comment_signatures", "like_signatures", "contacts")


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, action: Callable[[], _T]) -> _T:
        begun = time.perf_counter()
        result = action()
        self.seconds[name] = time.perf_counter() - begun
        return result


def _copy(url: str) -> int:
    """COPY every row of the tables that most records come from, as bytes; return the rows."""
    rows = 0
    with psycopg.connect(url) as connection:
        for table in _TABLES:
            with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                rows += sum(bytes(piece).count(b"\n") for piece in copy)
    return rows


def _observe(digests: Digests, found: list[tuple[SourceAccount, Item]]) -> None:
    indexes: dict[int, VaultIndex] = {}
    for account, item in found:
        index = indexes.get(account.key)
        if index is None:
            index = indexes[account.key] = VaultIndex(digests)
            index.begin(1, (), alone=True)
        if isinstance(item, Records):
            bodies = digests.bodies(item.wires, shared=item.passive)
            index.observe_all(item.kind, item.ids, bodies, item.passive)
        elif isinstance(item, Record):
            body = digests.body(encode_record(item.kind, item.id, item.body))
            index.observe(item.kind, item.id, body, item.passive)


def _push(frames: list[bytes]) -> None:
    state = sodium.crypto_secretstream_xchacha20poly1305_state()
    key = sodium.crypto_secretstream_xchacha20poly1305_keygen()
    sodium.crypto_secretstream_xchacha20poly1305_init_push(state, key)
    for frame in frames:
        sodium.crypto_secretstream_xchacha20poly1305_push(state, frame)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        os.fsync(file.fileno())


def stages(shape: Shape) -> dict[str, object]:
    """Return seconds of each stage and of its raw limit, for one pod's records."""
    run = prepare(shape)
    clock = _Clock()
    try:
        source = open_source(run.config)
        accounts = source.accounts()
        found = clock.time(
            "read",
            lambda: [
                item
                for start in range(0, len(accounts), 200)
                for item in source.read(accounts[start : start + 200])
            ],
        )
        records = [item for _, item in singly(found) if isinstance(item, Record)]
        rows = clock.time("raw read", lambda: _copy(run.pod.url))
        clock.seconds["raw read"] *= len(records) / rows
    finally:
        run.pod.close()
    packed = clock.time("pack", lambda: [encode_record(r.kind, r.id, r.body) for r in records])
    clock.seconds["read"] -= clock.seconds["pack"]  # the source packs while it reads
    clock.time("raw pack", lambda: [msgpack.packb((r.kind, r.id, r.body)) for r in records])
    plain = b"".join(packed)
    clock.time("compare", lambda: _observe(Digests(bytes(32)), found))
    clock.time("raw compare", lambda: hashlib.blake2b(plain).digest())
    frames = [plain[i : i + FRAME_PLAIN] for i in range(0, len(plain), FRAME_PLAIN)]
    small = clock.time("compress", lambda: [compress(frame) for frame in frames])
    clock.time("raw compress", lambda: zstandard.ZstdCompressor(level=3).compress(plain))
    out = io.BytesIO()
    section = SectionWriter(new_file_key(), b"bench", out.write)
    clock.time("encrypt", lambda: [section.write(frame) for frame in small])
    clock.time("raw encrypt", lambda: _push(small))
    data = out.getvalue()
    folder = Path(tempfile.mkdtemp(prefix="vaultd-bench-"))
    backend = FolderBackend(folder, create=True)
    clock.time("write", lambda: backend.create("one", io.BytesIO(data), len(data)))
    clock.time("raw write", lambda: _write(folder / "raw", data))
    shutil.rmtree(folder)
    return {"records": len(records), "plain": len(plain), "seconds": clock.seconds}
