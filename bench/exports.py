"""The accounts' export files, made by restoring every vault: what the peers have to store."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from vaultd.backends.folder.backend import FolderBackend
from vaultd.keys import Secrets
from vaultd.restore.archive.archive import write_diaspora
from vaultd.restore.snapshot import Snapshot, open_with_kit


def secret_of(username: str) -> bytes:
    """Return the 16 bytes that a bench account's kit holds."""
    return hashlib.blake2b(username.encode(), digest_size=16).digest()


def open_account(vaults: Path, pod_key: bytes, username: str) -> Snapshot:
    """Open the newest point of a bench account."""
    vault = open_with_kit(
        FolderBackend(vaults), Secrets.from_secret(secret_of(username)), [pod_key]
    )
    return Snapshot(vault, vault.at(None))


def _write(task: tuple[Path, bytes, Path, list[str]]) -> int:
    vaults, pod_key, out, usernames = task
    for username in usernames:
        with tempfile.TemporaryDirectory() as scratch:
            write_diaspora(open_account(vaults, pod_key, username), Path(scratch))
            (packed,) = Path(scratch).glob("*.json.gz")
            with gzip.open(packed) as source, (out / f"{username}.json").open("wb") as file:
                shutil.copyfileobj(source, file)
    return len(usernames)


def write_exports(vaults: Path, pod_key: bytes, out: Path, usernames: Iterable[str]) -> None:
    """Write `<username>.json` for each account, on two cores."""
    out.mkdir()
    names = list(usernames)
    parts = [names[start : start + 20] for start in range(0, len(names), 20)]
    with ProcessPoolExecutor(2) as pool:
        done = 0
        for count in pool.map(_write, [(vaults, pod_key, out, part) for part in parts]):
            done += count
            if sys.stderr.isatty():
                print(f"\rexports: {done}/{len(names)}", end="", file=sys.stderr)
