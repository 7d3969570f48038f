"""Nightly archives of many vaults, ready to be committed as the engine commits them."""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vaultd.backends.base import Backend
from vaultd.backup.commit import commit
from vaultd.backup.opening import open_lane, where_they_stand
from vaultd.backup.packer import Commit, Packer
from vaultd.backup.workbench import open_workbench
from vaultd.clock import now, rfc3339
from vaultd.config import Config
from vaultd.keys import PodKey, Recipient, Secrets
from vaultd.records import encode_record
from vaultd.state.store import State
from vaultd.vault.manifest import Manifest

_TEXT: Final = 3_100  # bytes that cannot be compressed: an archive of about 4 KB with its padding


class Nights:
    """`vaults` accounts; every night each has written one post."""

    def __init__(self, config: Config, vaults: int) -> None:
        self._batch = config.limits.batch_accounts
        self._key = PodKey(bytes(32))
        self._state = State(Path(config.state.path))
        self._bench = open_workbench(config, self._state, self._key)
        self._rng = random.Random(4)
        for number in range(vaults):
            recipient = Secrets.from_secret(self._rng.randbytes(16)).recipient
            self._state.enroll(
                username=f"u{number:05}", guid=f"{number:032x}", handle=f"u{number}@pod.example",
                recipient=str(recipient), vault_id=recipient.vault_id,
            )  # fmt: skip

    def pack(self, target: str, backend: Backend) -> list[Commit]:
        """Return the night's archives for one target, packed."""
        enrollments = self._state.enrollments()
        standing = where_they_stand(self._bench, [each.id for each in enrollments])
        found = []
        for each in enrollments:
            lane, index = open_lane(self._bench, each, target, backend, standing)
            packer = Packer(
                self._bench, Recipient.parse(each.recipient), index, [lane], merge=False
            )
            time = rfc3339(now())
            packer.begin(time)
            text = base64.b85encode(self._rng.randbytes(_TEXT)).decode()
            name = f"{each.id}-{lane.sequence}"
            record = encode_record("post", name, {"text": text})
            index.observe("post", name, self._state.digests.body(record))
            packer.add(record)
            made = packer.finish(
                Manifest(
                    account=each.handle, guid=each.guid, username=each.username, time=time,
                    public_key="", sequence=lane.sequence, archives=packer.refs(),
                    counts=index.counts(), changes={"post": (1, 0, 0)}, blob_key=each.blob_key,
                    pod_url="https://pod.example", software="bench",
                )
            )  # fmt: skip
            if made is None:
                raise RuntimeError("a lane failed before its archive was made")
            found.append(made)
        return found

    def write(self, commits: Sequence[Commit], folder: Path) -> int:
        """Write the same objects as files; return their bytes."""
        total = 0
        for each in commits:
            file = folder / each.packed.name
            file.parent.mkdir(parents=True, exist_ok=True)
            total += file.write_bytes(each.packed.open().read())
        return total

    def commit(self, commits: Sequence[Commit]) -> None:
        """Commit batch by batch, as a run does; raises what made a lane fail."""
        for start in range(0, len(commits), self._batch):
            some = commits[start : start + self._batch]
            if again := commit(self._bench, some):
                raise RuntimeError(again[0][1])
            for each in some:
                for lane in each.lanes:
                    if lane.error is not None:
                        raise lane.error

    def upload(self, backend: Backend, files: Sequence[Path]) -> None:
        """Create objects from files, as many at once as a run's uploads; names are the files'."""

        def one(file: Path) -> None:
            with file.open("rb") as data:
                backend.create(file.name, self._bench.pace.stream(data), file.stat().st_size)

        self._bench.at_once(one, files)

    def close(self) -> None:
        """End the threads and the state."""
        self._bench.pool.shutdown()
        self._state.close()
