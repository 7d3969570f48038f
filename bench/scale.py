"""A pod of many accounts: the first backup, nights with little or no change, and the peers."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.exports import open_account, secret_of, write_exports
from bench.peers import Peers, middle, timed
from bench.pod import POD_URL, BenchPod, Shape, build_pod
from vaultd.backends.folder.backend import FolderBackend
from vaultd.backup.checks.checks import open_source
from vaultd.config import Config, build
from vaultd.keys import PodKey, Secrets
from vaultd.records import encode_record
from vaultd.restore.records_out import write_records
from vaultd.state.store import State
from vaultd.vault.compression import compress
from vaultd.vault.layout import FRAME_PLAIN
from vaultd.vault.reader import ArchiveReader

Figures = dict[str, float]
_HEAVY = "u000000"


@dataclass
class Run:
    """A generated pod with vaultd's own folders, every account enrolled."""

    pod: BenchPod
    config: Config
    file: Path
    _daemon: subprocess.Popen[str] | None = None

    def backup(self) -> Figures:
        """A run of a daemon that is up; the first one starts it."""
        if self._daemon is None:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "bench.child", str(self.file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        given, answers = self._daemon.stdin, self._daemon.stdout
        if given is None or answers is None:
            raise RuntimeError("the daemon has no pipes")
        given.write("run\n")
        given.flush()
        answer = answers.readline()
        if not answer:
            raise RuntimeError("the daemon ended; it said why above")
        return dict(json.loads(answer))

    def close(self) -> None:
        """Stop the daemon and the pod, and remove everything."""
        if self._daemon is not None:
            self._daemon.communicate()
        self.pod.close()

    @property
    def vaults(self) -> Path:
        """The folder target."""
        return self.pod.folder / "vaults"

    @property
    def pod_key(self) -> bytes:
        """The key that the archives are signed with."""
        return PodKey.load_or_create(self.pod.folder / "state" / "pod.key").public


def prepare(shape: Shape) -> Run:
    """Generate a pod and enrol all its accounts."""
    pod = build_pod(shape)
    for name in ("vaults", "state"):
        (pod.folder / name).mkdir()
    settings = {
        "pod": {"url": POD_URL, "database": pod.url, "uploads": str(pod.folder / "uploads")},
        "state": {"path": str(pod.folder / "state")},
        "targets": {"main": {"url": (pod.folder / "vaults").as_uri()}},
    }
    file = pod.folder / "config.json"
    file.write_text(json.dumps(settings))
    config = build(settings, {})
    state = State(pod.folder / "state")
    for account in open_source(config).accounts():
        recipient = Secrets.from_secret(secret_of(account.username)).recipient
        state.enroll(
            username=account.username,
            guid=account.guid,
            handle=account.handle,
            recipient=str(recipient),
            vault_id=recipient.vault_id,
        )
    return Run(pod, config, file)


def small_pod(shape: Shape) -> Figures:
    """Measure vaultd and the peers on one pod, in one run."""
    run = prepare(shape)
    try:
        return _small_pod(run)
    finally:
        run.close()


def _small_pod(run: Run) -> Figures:
    accounts, database = run.pod.accounts, run.pod.cpu()
    full = run.backup()
    figures: Figures = {
        "accounts": accounts,
        "cpu": full["cpu"],
        "cpu_database": run.pod.cpu() - database,
        "records": full["records"],
        "stored": full["bytes"],
        "full": full["seconds"],
        "largest": full["largest"],
        "together": full["together"],
        "untouched": middle(lambda: run.backup()["seconds"]),
    }
    figures |= _with_peers(run)
    figures |= _restore_and_verify(run)
    some = max(1, accounts // 50)

    def changed() -> float:
        run.pod.change(some)
        return run.backup()["seconds"]

    def noise() -> float:
        run.pod.noise()
        return run.backup()["seconds"]

    figures["changed_first"] = changed()
    figures["noise"] = middle(noise)
    return figures | _changed(run, some) | {"changed": middle(changed)}


def _with_peers(run: Run) -> Figures:
    folder = run.pod.folder
    names = [f"u{number:06d}" for number in range(run.pod.accounts)]
    write_exports(run.vaults, run.pod_key, folder / "exports", names)
    peers = Peers(folder)
    size = sum(file.stat().st_size for file in (folder / "exports").iterdir())
    figures: Figures = {"exports": size, "age": peers.archive_each()}
    figures["age_stored"] = sum(file.stat().st_size for file in (folder / "aged").iterdir())
    figures["restic"], figures["restic_again"] = peers.restic()
    sample = max(2, min(20, run.pod.accounts // 10))
    figures["restic_each"], figures["restic_each_again"] = peers.restic_each(sample)
    figures["borg"], figures["borg_again"] = peers.borg()
    figures["age_unpack"] = peers.unpack(f"{_HEAVY}.json")
    figures["b2sum"] = peers.b2sum(run.vaults)
    return figures


def _restore_and_verify(run: Run) -> Figures:
    command = f"{sys.executable} -m vaultd verify --from {run.vaults.as_uri()}"
    counts: dict[str, int] = {}

    def restore() -> float:
        begun = time.perf_counter()
        with tempfile.TemporaryDirectory(dir=run.pod.folder) as out:
            counts.update(write_records(open_account(run.vaults, run.pod_key, _HEAVY), Path(out)))
            return time.perf_counter() - begun

    return {
        "verify": middle(lambda: timed(command, run.pod.folder)),
        "restore": middle(restore),
        "restore_records": sum(counts.values()),
    }


def _changed(run: Run, accounts: int) -> Figures:
    """A night in which some accounts wrote something, and one before it in which none did."""
    place = FolderBackend(run.vaults)
    before = {item.name for item in place.list()}
    run.pod.change(accounts)
    changed = run.backup()
    fresh = [i for i in place.list() if i.name not in before]
    by_vault = {
        Secrets.from_secret(secret_of(name)).recipient.vault_id: name
        for name in (f"u{number:06d}" for number in range(run.pod.accounts))
    }
    records = 0
    packed = 0
    for item in fresh:
        secrets = Secrets.from_secret(secret_of(by_vault[item.name.partition("/")[0]]))
        reader = ArchiveReader(place, item.name, secrets, [run.pod_key])
        plain = b"".join(encode_record(r.kind, r.id, r.body) for r in reader.records())
        packed += sum(
            len(compress(plain[i : i + FRAME_PLAIN])) for i in range(0, len(plain), FRAME_PLAIN)
        )
        records += sum(sum(n) for n in reader.manifest.changes.values())
    return {
        "changed": changed["seconds"],
        "changed_accounts": changed["changed"],
        "changed_stored": changed["bytes"],
        "changed_packed": packed,
        "changed_records": records,
    }


def big_pod(shape: Shape, changed: int) -> Figures:
    """Measure vaultd alone on a pod of tens of thousands of accounts."""
    run = prepare(shape)
    try:
        full = run.backup()
        figures: Figures = {
            "accounts": run.pod.accounts,
            "records": full["records"],
            "stored": full["bytes"],
            "full": full["seconds"],
            "untouched": run.backup()["seconds"],
        }
        run.pod.noise()
        noise = run.backup()
        figures["noise"] = noise["seconds"]
        run.pod.change(changed)
        few = run.backup()
        figures |= {"changed": few["seconds"], "changed_accounts": few["changed"]}
        figures |= {"changed_stored": few["bytes"]}
        for name in ("largest", "together"):
            figures[name] = max(full[name], noise[name], few[name])
        return figures
    finally:
        run.close()
