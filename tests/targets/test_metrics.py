"""Metrics: the format that Prometheus reads, what runs did, and no user in them."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.backup.world import World
from tests.targets.conftest import QUICK, FarPlace
from vaultd.backends.wrappers.retrying import RetryingBackend
from vaultd.backup.metrics import metrics_text, write_metrics
from vaultd.config import Metrics
from vaultd.errors import PlaceError

_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (-?[0-9.e+-]+)')


def parsed(text: str) -> dict[tuple[str, str], float]:
    """Read the text format strictly: HELP and TYPE before the samples of each name, once."""
    assert text.endswith("\n")
    found: dict[tuple[str, str], float] = {}
    known: list[str] = []
    kind = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            known.append(line.split(" ", 3)[2])
            assert len(set(known)) == len(known)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == known[-1]
            assert kind in ("gauge", "counter")
        else:
            match = _SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] == known[-1]
            assert (kind == "counter") == match[1].endswith("_total")
            assert (match[1], match[2] or "") not in found
            found[match[1], match[2] or ""] = float(match[3])
    assert all(name.startswith("vaultd_") for name in known)
    return found


def figures(world: World) -> dict[tuple[str, str], float]:
    return parsed(metrics_text(world.config, world.state))


def test_before_the_first_run_nobody_is_safe(tmp_path: Path) -> None:
    found = figures(World(tmp_path / "state"))
    assert found["vaultd_enrolled_accounts", ""] == 1
    assert found["vaultd_accounts", 'status="never"'] == 1
    assert not [name for name, _ in found if "last_run" in name or "last_success" in name]


def test_runs_are_told_and_requests_add_up_over_processes(place: FarPlace, tmp_path: Path) -> None:
    world = World(tmp_path / "state", {"main": place.open()})
    world.person("bob")
    world.run()
    first = figures(world)
    assert first["vaultd_accounts", 'status="written"'] == 2
    assert first["vaultd_target_requests_total", 'target="main",verb="create"'] == 2
    sent = first["vaultd_target_sent_bytes_total", 'target="main"']
    assert sent == first["vaultd_last_run_bytes", ""] > 0
    assert first["vaultd_target_vaults", 'target="main"'] == 2
    assert (
        first["vaultd_last_success_timestamp_seconds", ""]
        == first["vaultd_last_run_timestamp_seconds", ""]
        >= first["vaultd_target_newest_point_timestamp_seconds", 'target="main"']
    )
    world.state.close()
    again = World.reopen(tmp_path / "state", {"main": place.open()})
    again._add("bob")
    again.alice.put("post", "p2", {"text": "second"})
    again.run("alice")
    second = figures(again)
    assert second["vaultd_target_requests_total", 'target="main",verb="create"'] == 3
    assert second["vaultd_target_sent_bytes_total", 'target="main"'] > sent
    assert second["vaultd_last_run_accounts", ""] == 1
    text = metrics_text(again.config, again.state)
    assert not re.search(r"alice|bob|pod\.example|[0-9a-f]{32}", text)


def test_a_target_that_is_away_is_counted_and_left_alone(place: FarPlace, tmp_path: Path) -> None:
    far = place.open()
    assert isinstance(far, RetryingBackend)
    hurried = RetryingBackend(far.inner, "far", replace(QUICK, tries=2))
    world = World(tmp_path / "state", {"main": hurried})
    for number in range(6):
        world.person(f"user{number}")
    with place.proxy.nobody_listening():
        world.run()
    found = figures(world)
    assert found["vaultd_accounts", 'status="failed"'] == 7
    assert found["vaultd_target_circuit_open", 'target="main"'] == 1
    errors = {
        labels: n for (name, labels), n in found.items() if name == "vaultd_target_errors_total"
    }
    assert sum(errors.values()) > 0
    assert all('code="place-busy"' in labels for labels in errors)
    assert any(name == "vaultd_target_retries_total" for name, _ in found)


def test_the_file_is_whole_readable_and_replaced(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    folder = tmp_path / "textfile"
    folder.mkdir()
    path = folder / "vaultd.prom"
    write_metrics(world.config, world.state)
    assert list(folder.iterdir()) == []
    world.config = msgspec.structs.replace(world.config, metrics=Metrics(str(path)))
    mask = os.umask(0o077)  # as the unit has it
    try:
        for _ in range(2):
            world.run()
            write_metrics(world.config, world.state)
            assert list(folder.iterdir()) == [path]
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
    finally:
        os.umask(mask)
    assert parsed(path.read_text()) == figures(world)


def test_a_file_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "state")
    for path in (tmp_path / "none" / "vaultd.prom", tmp_path / "dir.prom"):
        (tmp_path / "dir.prom" / "full").mkdir(parents=True, exist_ok=True)
        world.config = msgspec.structs.replace(world.config, metrics=Metrics(str(path)))
        with pytest.raises(PlaceError, match=r"metrics\.textfile: .*ReadWritePaths="):
            write_metrics(world.config, world.state)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dir.prom", "state"]
