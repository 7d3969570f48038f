"""`kill -9` at random instants of a run: what was committed restores, the next run goes on."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from tests.backup.world import Content, World
from vaultd.backends.base import Backend
from vaultd.backends.folder.backend import FolderBackend
from vaultd.errors import WrongKeyError
from vaultd.vault.listing import open_vault

ROUNDS = 100
SEED = 20261123


class Pod:
    """The same pod in every process: its content is a function of the generation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backend = FolderBackend(folder / "vaults", create=True)

    def world(self, generation: int) -> World:
        targets: dict[str, Backend] = {"main": self.backend}
        world = World.reopen(self.folder / "state", targets)
        for number in range(300):
            age = (generation - number) // 20 if number < generation else 0
            if (number + generation) % 17:
                world.alice.put("post", f"{number:032x}", {"text": f"{number}, edited {age}"})
        for number in range(generation % 7 + generation // 10):
            world.source.files[f"{number}.png"] = bytes([number]) * 50_000
            world.alice.photo(f"f{number}", f"{number}.png")
        return world

    def content(self, generation: int) -> Content:
        world = self.world(generation)
        world.state.close()
        return world.alice.content()

    def run(self, generation: int, kill_after: float | None) -> float:
        """Run in a process of its own; return how long it lived, in seconds."""
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                report = self.world(generation).run()
                code = 0 if not report.failed else 2
            finally:
                os._exit(code)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert kill_after is not None or os.waitstatus_to_exitcode(status) == 0
        return time.monotonic() - started

    def restored(self, world: World) -> tuple[int, Content]:
        snapshot = world.snapshot()
        content = world.restored()
        for body in content.values():
            if "blob" in body:
                picture = b"".join(snapshot.open_blob(body))
                assert picture == world.source.files.get(str(body["name"]), picture)
            body.pop("blob", None)
        return snapshot.sequence, content


def test_killed_at_a_hundred_random_instants_nothing_committed_is_lost(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    pod = Pod(tmp_path)
    World(tmp_path / "state", {"main": pod.backend}).state.close()
    contents: list[Content] = []
    newest, sequence, finished = -1, 0, 0
    longest = 0.3
    for generation in range(ROUNDS):
        contents.append(pod.content(generation))
        pod.run(generation, chance.uniform(0, longest * 1.2))
        world = pod.world(generation)
        try:
            now, content = pod.restored(world)
        except WrongKeyError:  # no archive yet
            assert newest == -1
            continue
        finally:
            world.state.close()
        seen = contents.index(content)
        assert seen >= newest
        assert now >= sequence
        finished += seen == generation
        newest, sequence = seen, now
        if generation % 25 == 24:
            longest = pod.run(generation, None)
            world = pod.world(generation)
            sequence, content = pod.restored(world)
            assert content == contents[generation]
            newest = generation
            assert world.run().unchanged
            world.state.close()
    # Kills before, during and after the commit were all among them.
    assert 0 < finished < ROUNDS
    vault = open_vault(pod.backend, world.secrets["alice"].recipient.vault_id)
    assert vault.problems == []
    assert [entry.sequence for entry in vault.entries] == list(range(1, sequence + 1))
