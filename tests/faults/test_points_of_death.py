"""Death by SIGKILL at every numbered touch of disk, storage and state of a run.

After each: `verify_place` is clean, every committed point restores exactly, the next run goes on,
and nothing is stored twice but the piece in flight.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.backup.world import Content, World, _secrets
from tests.faults.dying import live
from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.config import Limits
from vaultd.restore.snapshot import Snapshot, Vault, open_with_kit
from vaultd.restore.verify import verify_place
from vaultd.vault.listing import open_vault

SHM = Path("/dev/shm")
SCENARIOS = ("first", "increment", "two targets", "new target", "lost state", "dead before")
UPLOADS = Limits().uploads
IN_CI, IN_LONG = 54, 1000
RACES = 8  # touches more or less where uploads make the same folder
PEOPLE = ("alice", "bob")
BOB = _secrets("bob")
Files = dict[str, bytes]


def _fill(world: World, generation: int) -> None:
    """The pod at a moment; the second has edits, deletions and other pictures."""
    world.source.files = {
        f"{n}.png": f"picture {n} of {generation if n == 2 else 0} ".encode() * 400
        for n in range(6 + 3 * generation)
    }
    for who in PEOPLE:
        person = world.source.people[who]
        for number in range(40):
            if generation and number % 7 == 3:
                person.records.pop(("post", f"{number:032x}"), None)
                continue
            age = generation if number % 5 == 0 else 0
            person.put("post", f"{number:032x}", {"text": f"{number} of {who}, edited {age}"})
        person.put("person", "x@y", {"name": f"{generation}"}, passive=True)
        for number in range(3 * generation, 6 + 3 * generation):
            person.photo(f"f{number}", f"{number}.png")
        for number in range(3 * generation):
            person.records.pop(("photo", f"f{number}"), None)


@dataclass
class Pod:
    """A state and places in a folder; `before` has the content of each archive that is there."""

    folder: Path
    targets: tuple[str, ...] = ("main",)
    before: dict[str, int] = field(default_factory=dict)

    def backends(self) -> dict[str, Backend]:
        return {name: FolderBackend(self.folder / name, create=True) for name in self.targets}

    def world(self, generation: int) -> World:
        world = World.reopen(self.folder / "state", self.backends())
        if world.state.enrollments(["bob"]):
            world._add("bob")
            world.secrets["bob"] = BOB
        else:
            world.person("bob")
        _fill(world, generation)
        return world

    def run(self, generation: int) -> None:
        world = self.world(generation)
        report = world.run()
        world.state.close()
        if report.failed:
            raise AssertionError(report.failed)

    def copy(self, folder: Path) -> Pod:
        shutil.copytree(self.folder, folder)
        return Pod(folder, self.targets, self.before)

    def objects(self, target: str) -> set[str]:
        return {item.name for item in FolderBackend(self.folder / target).list()}

    def temporaries(self) -> int:
        return sum(1 for _ in self.folder.rglob(".tmp-*"))

    def vaults(self, world: World) -> Iterator[tuple[str, str, Vault]]:
        for target, backend in world.targets.items():
            for who in PEOPLE:
                secrets = world.secrets[who]
                if open_vault(backend, secrets.recipient.vault_id, headers=False).entries:
                    yield target, who, open_with_kit(backend, secrets, [])


class Moments:
    """What the pod held at generation 0 and 1."""

    def __init__(self, pod: Pod) -> None:
        self.content: list[dict[str, Content]] = []
        self.files: list[Files] = []
        for generation in (0, 1):
            world = pod.world(generation)
            world.state.close()
            self.content.append({who: world.source.people[who].content() for who in PEOPLE})
            self.files.append(dict(world.source.files))

    def check(self, vault: Vault, who: str, number: int, generation: int) -> None:
        """Restore a point and compare records and pictures."""
        snapshot = Snapshot(vault, vault.points[number])
        content: Content = {}
        for record in snapshot.records():
            assert record.body is not None
            assert (record.kind, record.id) not in content
            body = dict(record.body)
            if record.kind == "photo":
                picture = b"".join(snapshot.open_blob(body))
                assert picture == self.files[generation][str(body["name"])]
                del body["blob"]
            content[record.kind, record.id] = body
        assert snapshot.damage == []
        assert content == self.content[generation][who]


@dataclass
class Scenario:
    """A pod before the run that dies, what an undisturbed run makes of it, and its touches."""

    pod: Pod
    generation: int
    moments: Moments
    touches: int
    ideal: dict[str, int]


def _prepare(name: str, folder: Path) -> Scenario:
    pod = Pod(folder / "before", ("main", "second") if name == "two targets" else ("main",))
    World(pod.folder / "state", pod.backends()).state.close()
    moments = Moments(pod)
    generation = 0 if name == "first" else 1
    if name != "first":
        pod.run(0)
    if name == "new target":
        pod.targets = ("main", "second")
        pod.backends()
    if name == "lost state":
        for path in (pod.folder / "state").glob("state.sqlite3*"):
            path.unlink()
        world = pod.world(0)
        world.enroll("alice")
        world.state.close()
    whole = pod.copy(folder / "whole")
    killed, touches = live(lambda: whole.run(generation), 0)
    assert not killed
    ideal = {target: len(whole.objects(target)) for target in pod.targets}
    if name == "dead before":
        # Its first death was late: pictures arrived, and an archive was on its way.
        assert live(lambda: pod.run(1), touches * 7 // 10)[0]
        again = pod.copy(folder / "again")
        _, touches = live(lambda: again.run(1), 0)
    world = pod.world(0)
    for target, _, vault in pod.vaults(world):
        for point in vault.points:
            counts = point.manifest.counts["post"]
            pod.before[target + point.entry.name] = 0 if counts == 41 else 1
    world.state.close()
    return Scenario(pod, generation, moments, touches, ideal)


def _die_at(scenario: Scenario, last: int, folder: Path) -> None:
    """One death and everything that must hold after it."""
    pod = scenario.pod.copy(folder)
    left = pod.temporaries()
    killed, _ = live(lambda: pod.run(scenario.generation), last)
    assert killed or last > scenario.touches - RACES
    assert pod.temporaries() <= left + UPLOADS  # the pieces in flight
    at_death = {target: pod.objects(target) for target in pod.targets}
    world = pod.world(scenario.generation)
    _check_points(scenario, pod, world)
    report = world.run()
    assert report.failed == []
    _check_points(scenario, pod, world)
    for _, who, vault in pod.vaults(world):
        scenario.moments.check(vault, who, -1, scenario.generation)
    assert world.run().archives == 0
    world.state.close()
    for target in pod.targets:
        assert at_death[target] <= pod.objects(target)
        assert len(pod.objects(target)) == scenario.ideal[target]


def _check_points(scenario: Scenario, pod: Pod, world: World) -> None:
    found = set()
    for backend in world.targets.values():
        assert verify_place(backend).problems == []
    for target, who, vault in pod.vaults(world):
        assert vault.problems == []
        for number, point in enumerate(vault.points):
            name = target + point.entry.name
            found.add(name)
            # A copy on another target is the same archive of the same moment.
            generation = next(
                (n for key, n in pod.before.items() if key.endswith(point.entry.name)),
                scenario.generation,
            )
            scenario.moments.check(vault, who, number, generation)
    assert found >= pod.before.keys()


def _die_at_all(name: str, pick: int | None) -> int:
    """Die at every touch, or at `pick` of them evenly spread; return the number of deaths."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        scenario = _prepare(name, Path(folder))
        every = range(1, scenario.touches + 1)
        chosen = every if pick is None else _spread(every, pick)
        for last in chosen:
            try:
                _die_at(scenario, last, Path(folder) / "now")
            except Exception as error:
                raise AssertionError(f"{name}, death {last} of {scenario.touches}") from error
            finally:
                shutil.rmtree(Path(folder) / "now", ignore_errors=True)
        return len(chosen)


def _spread(every: range, count: int) -> list[int]:
    step = len(every) / count
    return [every[int((number + 0.5) * step)] for number in range(count)]


@pytest.mark.parametrize("name", SCENARIOS)
def test_some_deaths_lose_nothing(name: str) -> None:
    assert _die_at_all(name, IN_CI // len(SCENARIOS)) == IN_CI // len(SCENARIOS)


@pytest.mark.long
def test_every_death_loses_nothing() -> None:
    assert sum(_die_at_all(name, None) for name in SCENARIOS) >= IN_LONG
