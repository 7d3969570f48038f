"""Uploads to far targets beside `rclone copy`: small archives, blobs, listings, requests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from bench.far import Seen, far
from bench.nightly import enroll
from bench.places import SERVERS, Place
from vaultd.config import Limits
from vaultd.state.store import State

Figures = dict[str, Any]
_WORKERS: Final = 2
_TRANSFERS: Final = 16
_MIB: Final = 1024 * 1024
# Seconds there and back that are added: how many blobs are sent then.
_BLOBS: Final = {0.0: 64, 0.02: 24, 0.08: 16}
# rclone sends WebDAV at most 100 requests a second: 2,000 archives would take it 80 seconds.
_ARCHIVES: Final = {"moto": 2_000, "Swift": 500, "wsgidav": 500, "Apache": 500}
_BLOB: Final = 16 * _MIB


class _Team:
    """Worker processes, as the engine's pool starts them; they do each command together."""

    def __init__(self, folder: Path, vaults: int) -> None:
        tree = {
            "pod": {"url": "https://pod.example", "database": "sqlite://", "uploads": "/nowhere"},
            "state": {"path": str(folder / "state")},
            "targets": {"main": {"url": "file:///nowhere"}},
        }
        (folder / "state").mkdir()
        file = folder / "config.json"
        file.write_text(json.dumps(tree))
        state = State(folder / "state")
        enroll(state, vaults)
        state.close()
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "bench.nightly", str(file), str(share), str(_WORKERS)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii",
            )
            for share in range(_WORKERS)
        ]  # fmt: skip

    def do(self, command: str, place: Place, **words: object) -> tuple[float, list[Figures]]:
        """Have all do it; return the wall time until the last is done, and their answers."""
        line = json.dumps({"do": command, "place": asdict(place), **words})
        begun = time.perf_counter()
        for process in self._processes:
            print(line, file=process.stdin, flush=True)
        answers = [process.stdout.readline() for process in self._processes if process.stdout]
        taken = time.perf_counter() - begun
        if not all(answers):
            raise RuntimeError(f"a worker died at {command} on {place.name}")
        return taken, [json.loads(answer) for answer in answers]

    def close(self) -> None:
        """End the workers."""
        for process in self._processes:
            process.communicate()


@contextmanager
def _way(place: Place, round_trip: float) -> Iterator[tuple[int, Seen]]:
    """Give the port to use, and what was seen there (nothing without a delay)."""
    if not round_trip:
        yield place.port, Seen(place.port)
        return
    with far(place.port, round_trip) as seen:
        yield seen.port, seen


def _small(team: _Team, place: Place, folder: Path, round_trip: float) -> Figures:
    """One night: the same archives by rclone and by vaultd, each into a place of its own."""
    source = folder / "night"
    _, packed = team.do("pack", place.at("ours"), folder=str(source))
    with _way(place, round_trip) as (port, theirs):
        rclone = place.at("theirs", port).rclone(source, _TRANSFERS)
    with _way(place, round_trip) as (port, ours):
        taken, _ = team.do("commit", place.at("ours", port))
    shutil.rmtree(source)
    return {
        "round_trip": round_trip,
        "archives": sum(each["archives"] for each in packed),
        "bytes": sum(each["bytes"] for each in packed),
        "vaultd": taken,
        "rclone": rclone,
        "requests": ours.requests,
        "rclone_requests": theirs.requests,
        "connections": ours.connections,
    }


def _blobs(team: _Team, place: Place, folder: Path, round_trip: float, count: int) -> Figures:
    source = folder / "blobs"
    source.mkdir()
    for number in range(count):
        (source / f"blob-{number}").write_bytes(os.urandom(_BLOB))
    files = [str(file) for file in sorted(source.iterdir())]
    figures: Figures = {"round_trip": round_trip, "bytes": count * _BLOB}
    tag = f"{round_trip * 1000:.0f}"
    with _way(place, round_trip) as (port, _):
        figures["rclone"] = place.at(f"theirs-{tag}", port).rclone(source, _TRANSFERS)
        for name, alone in (("vaultd", False), ("alone", True)):
            there = place.at(f"{name}-{tag}", port)
            figures[name], _ = team.do("blobs", there, files=files, alone=alone)
    shutil.rmtree(source)
    return figures


def _listing(place: Place, vaults: int) -> Figures:
    """Store an object in each of many vaults, and count the requests that list them all."""
    backend = place.at("many").backend(_TRANSFERS)

    def one(number: int) -> None:
        with tempfile.SpooledTemporaryFile() as data:
            data.write(b"vault")
            data.seek(0)
            backend.create(f"{number:032x}/0000000001-{number:064x}", data, 5)  # type: ignore[arg-type]

    with ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(one, range(vaults)))
    with _way(place, 0.001) as (port, seen):
        found = sum(1 for _ in place.at("many", port).backend(1).list())
    if found != vaults:
        raise RuntimeError(f"{place.name} lists {found} of {vaults} objects")
    return {"vaults": vaults, "requests": sum(seen.requests.values())}


def targets(
    archives: dict[str, int] = _ARCHIVES, blobs: dict[float, int] = _BLOBS, vaults: int = 10_000
) -> Figures:
    """Return the figures of each server, and how many uploads there are at once."""
    found: Figures = {"uploads": Limits().uploads, "transfers": _TRANSFERS, "servers": {}}
    for name, start in SERVERS.items():
        print(f"  {name} …", file=sys.stderr, flush=True)
        folder = Path(tempfile.mkdtemp(prefix="vaultd-bench-"))
        with start() as place:
            found["servers"][name] = _one(place, folder, archives[name], blobs, vaults)
        shutil.rmtree(folder)
    return found


def _one(
    place: Place, folder: Path, archives: int, blobs: dict[float, int], vaults: int
) -> Figures:
    team = _Team(folder, archives)
    try:
        _, cold = team.do("cold", place.at("ours"))
        # The first night makes the vaults, and its time is not counted.
        first = folder / "first"
        team.do("pack", place.at("ours"), folder=str(first))
        team.do("commit", place.at("ours"))
        place.at("theirs").rclone(first, _TRANSFERS)
        figures: Figures = {"kind": place.kind, "cold": cold}
        figures["small"] = [_small(team, place, folder, delay) for delay in blobs]
        figures["blobs"] = [_blobs(team, place, folder, delay, n) for delay, n in blobs.items()]
        if place.name == "moto":
            figures["listing"] = _listing(place, vaults)
        return figures
    finally:
        team.close()


def quick() -> Figures:
    """Measure all of it small."""
    return targets(dict.fromkeys(SERVERS, 6), {0.0: 1, 0.02: 1}, 1_001)
