"""Uploads to far targets beside `rclone copy`: small archives, pictures, listings, requests."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
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
_DELAYS: Final = (0.0, 0.02, 0.08)  # seconds there and back
# rclone sends WebDAV at most 100 requests a second: 2,000 archives would take it 80 seconds.
_ARCHIVES: Final = {
    "moto": 2_000, "Swift": 400, "SeaweedFS": 2_000, "wsgidav": 300, "Apache": 300, "nginx": 300,
}  # fmt: skip
_PICTURE: Final = _MIB  # diaspora*'s publisher takes up to 4 MiB
_PICTURES: Final = 1_024
_IS_PICTURE: Final = "blob-"  # in the names of ours and of the files that rclone copies
_SHARING: Final = 8  # accounts whose new pictures they are


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


def _pictures(team: _Team, place: Place, source: Path, turn: int, round_trip: float) -> Figures:
    """New pictures, by rclone as files and by a run of vaultd; other accounts in each turn."""
    files = sum(1 for _ in source.iterdir())
    sharing = min(_SHARING, files)
    accounts = list(range(turn * sharing, (turn + 1) * sharing))
    with _way(place, round_trip) as (port, _):
        before = _children()
        rclone = place.at("theirs-pictures", port).rclone(source, _TRANSFERS)
        rclone_cpu = _children() - before
        vaultd, told = team.do(
            "pictures", place.at("ours", port), accounts=accounts, folder=str(source)
        )
    if sum(each["bytes"] for each in told) < files * _PICTURE:
        raise RuntimeError("a run did not store every picture")
    _clear(place)
    return {
        "round_trip": round_trip,
        "pictures": files,
        "bytes": files * _PICTURE,
        "accounts": sharing,
        "rclone": rclone,
        "vaultd": vaultd,
        "rclone_cpu": rclone_cpu,
        "cpu": sum(each["cpu"] for each in told),
    }


def _children() -> float:
    """Return the processor time of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _clear(place: Place) -> None:
    """Remove pictures, to give the machine its memory or disk back."""
    for folder in ("ours", "theirs-pictures"):
        backend = place.at(folder).backend(1)
        for info in backend.list():
            if _IS_PICTURE in info.name:
                backend.delete(info.name)


def _listing(place: Place, vaults: int) -> Figures:
    """Store an object in each of many vaults, and count the requests that list them all."""
    backend = place.at("many").backend(_TRANSFERS)

    def one(number: int) -> None:
        backend.create(f"{number:032x}/0000000001-{number:064x}", io.BytesIO(b"vault"), 5)

    with ThreadPoolExecutor(_TRANSFERS) as pool:
        list(pool.map(one, range(vaults)))
    with _way(place, 0.001) as (port, seen):
        found = sum(1 for _ in place.at("many", port).backend(1).list())
    if found != vaults:
        raise RuntimeError(f"{place.name} lists {found} of {vaults} objects")
    return {"vaults": vaults, "requests": sum(seen.requests.values())}


@dataclass(frozen=True)
class Size:
    """How much is measured: archives by server, pictures, added delays, vaults to list."""

    archives: dict[str, int]
    pictures: int
    delays: tuple[float, ...]
    vaults: int


FULL: Final = Size(_ARCHIVES, _PICTURES, _DELAYS, 10_000)
QUICK: Final = Size(dict.fromkeys(SERVERS, 6), 1, _DELAYS[:2], 1_001)


def targets(size: Size) -> Figures:
    """Return the figures of each server, and how many uploads there are at once."""
    found: Figures = {"uploads": Limits().uploads, "transfers": _TRANSFERS, "servers": {}}
    with tempfile.TemporaryDirectory(prefix="vaultd-bench-") as kept:
        pictures = Path(kept)
        for number in range(size.pictures):
            (pictures / f"{_IS_PICTURE}{number}").write_bytes(os.urandom(_PICTURE))
        for name, start in SERVERS.items():
            print(f"  {name} …", file=sys.stderr, flush=True)
            with start() as place, tempfile.TemporaryDirectory(prefix="vaultd-bench-") as folder:
                found["servers"][name] = _one(place, Path(folder), pictures, size)
    return found


def _one(place: Place, folder: Path, pictures: Path, size: Size) -> Figures:
    team = _Team(folder, size.archives[place.name])
    try:
        _, cold = team.do("cold", place.at("ours"))
        # The first night makes the vaults, and its time is not counted.
        first = folder / "first"
        team.do("pack", place.at("ours"), folder=str(first))
        team.do("commit", place.at("ours"))
        place.at("theirs").rclone(first, _TRANSFERS)
        figures: Figures = {"kind": place.kind, "cold": cold}
        figures["small"] = [_small(team, place, folder, delay) for delay in size.delays]
        figures["pictures"] = [
            _pictures(team, place, pictures, turn, delay) for turn, delay in enumerate(size.delays)
        ]
        if place.name == "moto":
            figures["listing"] = _listing(place, size.vaults)
        return figures
    finally:
        team.close()
