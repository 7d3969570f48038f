"""Nightly archives of many vaults, committed as a worker of the engine commits them.

python -m bench.nightly CONFIG SHARE OF    a JSON command a line, a JSON answer a line
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

from bench.picture_source import PictureSource
from bench.places import Place
from vaultd.backends.base import Backend
from vaultd.backup.engine.account import Pod
from vaultd.backup.engine.batch import BatchRunner, Job
from vaultd.backup.engine.commit import commit
from vaultd.backup.engine.context import open_context
from vaultd.backup.engine.open_vaults import open_vault_run, where_they_stand
from vaultd.backup.engine.packer import Commit, Packer
from vaultd.backup.report import AccountReport, Status
from vaultd.clock import now, rfc3339
from vaultd.config import Config, build
from vaultd.keys import PodKey, Recipient, Secrets
from vaultd.records import encode_record
from vaultd.sources.base import SourceAccount
from vaultd.state.store import Enrollment, State
from vaultd.vault.manifest import Manifest

_TEXT: Final = 3_100  # bytes that cannot be compressed: an archive of about 4 KB with its padding


def enroll(state: State, vaults: int) -> None:
    """Enrol so many accounts with keys of their own."""
    for number in range(vaults):
        recipient = Secrets.from_secret(number.to_bytes(16, "big")).recipient
        state.enroll(
            username=f"u{number:05}", guid=f"{number:032x}", handle=f"u{number}@pod.example",
            recipient=str(recipient), vault_id=recipient.vault_id,
        )  # fmt: skip


class Worker:
    """One of `of` workers, with its share of the accounts and of the uploads at once."""

    def __init__(self, config: Config, share: int, of: int) -> None:
        self._share, self._of = share, of
        # As the engine's pool divides them.
        self._uploads = max(1, config.limits.uploads // of)
        limits = replace(config.limits, uploads=self._uploads)
        self._config = config = replace(config, limits=limits)
        self._state = State(Path(config.state.path))
        self._context = open_context(config, self._state, PodKey(bytes(32)))
        self._rng = random.Random(share)
        self._packed: list[Commit] = []

    def cold(self, place: dict[str, Any]) -> dict[str, float]:
        """Time the first request of this process to a place, and the next."""
        backend = self._open(place)
        begun = time.perf_counter()
        list(backend.list("nobody/"))
        first = time.perf_counter()
        list(backend.list("nobody/"))
        return {"first": first - begun, "next": time.perf_counter() - first}

    def pack(self, place: dict[str, Any], folder: str) -> dict[str, int]:
        """Pack a night's archives, a new post in each, and write them as files too."""
        backend = self._open(place)
        mine = self._state.enrollments()[self._share :: self._of]
        standing = where_they_stand(self._context, [each.id for each in mine])
        self._packed, total = [], 0
        for each in mine:
            vault, index = open_vault_run(self._context, each, place["name"], backend, standing)
            packer = Packer(
                self._context, Recipient.parse(each.recipient), index, [vault], merge=False
            )
            made = self._archive(packer, each)
            self._packed.append(made)
            file = Path(folder) / made.packed.name
            file.parent.mkdir(parents=True, exist_ok=True)
            total += file.write_bytes(made.packed.open().read())
        return {"archives": len(mine), "bytes": total}

    def _archive(self, packer: Packer, account: Enrollment) -> Commit:
        moment, index = rfc3339(now()), packer.index
        packer.begin(moment)
        text = base64.b85encode(self._rng.randbytes(_TEXT)).decode()
        name = f"{account.id}-{packer.vaults[0].sequence}"
        record = encode_record("post", name, {"text": text})
        index.observe("post", name, self._state.digests.body(record))
        packer.add(record)
        made = packer.finish(
            Manifest(
                account=account.handle, guid=account.guid, username=account.username,
                public_key="", time=moment, sequence=packer.vaults[0].sequence,
                archives=packer.refs(), counts=index.counts(), changes={"post": (1, 0, 0)},
                blob_key=account.blob_key, pod_url="https://pod.example", software="bench",
            )
        )  # fmt: skip
        if made is None:
            raise RuntimeError("a vault failed before its archive was made")
        return made

    def commit(self, place: dict[str, Any]) -> dict[str, float]:
        """Commit what is packed batch by batch, as a run does; raises what made a vault fail."""
        backend, size = self._open(place), self._config.limits.batch_accounts
        for each in self._packed:
            for vault in each.vaults:
                vault.backend = backend
        for start in range(0, len(self._packed), size):
            some = self._packed[start : start + size]
            if again := commit(self._context, some):
                raise RuntimeError(again[0][1])
            for vault in (vault for each in some for vault in each.vaults):
                if vault.error is not None:
                    raise vault.error
        return {}

    def pictures(
        self, place: dict[str, Any], accounts: Sequence[int], folder: str
    ) -> dict[str, float]:
        """Run this worker's share of these accounts (by number), with the files of a folder."""
        begun = time.process_time()
        files = sorted(Path(folder).iterdir())
        everybody = self._state.enrollments()
        mine = {
            SourceAccount(each.id, each.username, each.handle, each.guid, "", "active"): (
                each,
                files[number :: len(accounts)],
            )
            for number, each in enumerate(everybody[n] for n in accounts)
            if number % self._of == self._share
        }
        reports: list[AccountReport] = []
        BatchRunner(
            source=PictureSource({account: files for account, (_, files) in mine.items()}),
            targets={place["name"]: self._open(place)},
            context=self._context,
            pod=Pod("https://pod.example", "bench"),
            on_done=lambda _, report: reports.append(report),
            should_stop=lambda: False,
        ).run([Job(each, account) for account, (each, _) in mine.items()])
        for report in reports:
            if report.status is not Status.WRITTEN:
                raise RuntimeError(f"{report.username}: {report.reason}")
        stored = sum(target.blobs for each in reports for target in each.targets)
        return {"bytes": stored, "cpu": time.process_time() - begun}

    def _open(self, place: dict[str, Any]) -> Backend:
        return Place(**place).backend(self._uploads)


def main() -> None:
    """Do what each line says."""
    config = build(json.loads(Path(sys.argv[1]).read_text()), {})
    worker = Worker(config, int(sys.argv[2]), int(sys.argv[3]))
    for line in sys.stdin:
        words = json.loads(line)
        answer = getattr(worker, words.pop("do"))(**words)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
