"""A pod, its places, and everything that may befall them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from msgspec.structs import replace

from tests.backup.world import POD_KEY, World
from tests.faults.backend import Fate, Fault, Killed
from tests.faults.judge import ALL_SECRETS, KEPT, PASSIVE, PEOPLE, Judge, secrets_of
from tests.faults.model import Broken, Place
from tests.faults.states import fresh_state, open_state
from tests.faults.watched import Watched
from vaultd.backends.base import Backend
from vaultd.backends.wrappers.retrying import RetryingBackend, RetryPolicy
from vaultd.backup.engine.context import open_context
from vaultd.backup.run.run import run_backup
from vaultd.backup.upkeep.forget import forget
from vaultd.backup.upkeep.scrub import scrub
from vaultd.config import Limits, Retention
from vaultd.selection import EVERYTHING, Selection
from vaultd.state.database import FILE_NAME

_SOME: Final = Retention(keep_last=KEPT, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0)
TARGETS: Final = ("main", "second")
KINDS: Final = ("post", "like", "contact", "person")
_HONEST: Final = tuple(f for f in Fault if f is not Fault.STALE)
_T = TypeVar("_T")


class Simulation:
    """Plays operations on a real engine with faulty places, and judges what comes of them."""

    def __init__(self, folder: Path) -> None:
        self.fate = Fate()
        self.places = {name: Place(name, self.fate) for name in TARGETS}
        fresh_state(folder / "state")
        self.world = World(folder / "state", {"main": self.places["main"].faulty})
        self.world.source = Watched()
        for who in PEOPLE:
            self.world._add(who)
        # One upload after the other: the same seed gives the same history.
        self.world.config = replace(self.world.config, limits=Limits(batch_accounts=3, uploads=1))
        self.generation = dict.fromkeys(PEOPLE, 0)
        self.active: tuple[str, ...] = TARGETS[:1]
        self.patient = False
        self.copies: list[Path] = []
        self.judge = Judge(self.world, self.places)
        self.restart()
        for who in PEOPLE:
            self._enroll(who)
        for number in range(3):
            self.file(number, number + 1)

    def _enroll(self, who: str) -> None:
        account = self.world.source.people[who].account
        recipient = secrets_of(who, self.generation[who]).recipient
        self.world.state.enroll(
            username=who,
            guid=account.guid,
            handle=account.handle,
            recipient=str(recipient),
            vault_id=recipient.vault_id,
        )

    # -- what people do ------------------------------------------------------------------------

    def put(self, who: str, kind: str, number: int, value: int) -> None:
        person = self.world.source.people[who]
        person.put(kind, f"{kind}{number}", {"text": value}, passive=kind in PASSIVE)

    def drop(self, who: str, kind: str, number: int) -> None:
        self.world.source.people[who].records.pop((kind, f"{kind}{number}"), None)

    def photo(self, who: str, number: int, file: int) -> None:
        self.world.source.people[who].photo(f"photo{number}", f"{file}.png")

    def file(self, number: int, value: int) -> None:
        content = f"picture {value} ".encode() * value * value * 60
        self.world.source.files[f"{number}.png"] = content
        self.judge.seen.setdefault(f"{number}.png", set()).add(content)

    def no_file(self, number: int) -> None:
        self.world.source.files.pop(f"{number}.png", None)

    def recipient(self, who: str, generation: int) -> None:
        self.generation[who] = generation
        self._enroll(who)

    def targets(self, count: int) -> None:
        self.active = TARGETS[:count]

    def patience(self, patient: bool) -> None:
        self.patient = patient

    def retention(self, on: bool) -> None:
        kept = _SOME if on else Retention(enabled=False)
        self.world.config = replace(self.world.config, retention=kept)

    # -- what happens to the state ---------------------------------------------------------------

    def restart(self) -> None:
        """Begin a new process."""
        self._stop()
        self._start()

    def _stop(self) -> None:
        self.world.state.close()

    def _start(self) -> None:
        self.fate.dead = False
        self.world.state = open_state(self.world.folder, self.fate)

    def _clear(self) -> None:
        self._stop()
        for path in self.world.folder.glob(f"{FILE_NAME}*"):
            path.unlink()

    def lose_state(self) -> None:
        self._clear()
        fresh_state(self.world.folder)
        self._start()
        for who in PEOPLE:
            self._enroll(who)

    def copy_state(self) -> None:
        self._stop()
        copy = self.world.folder.parent / f"copy{len(self.copies)}"
        copy.mkdir()
        for path in self.world.folder.glob(f"{FILE_NAME}*"):
            shutil.copy(path, copy)
        self.copies.append(copy)
        self._start()

    def old_state(self, number: int) -> None:
        if not self.copies:
            return
        self.judge.rolled_back = True
        self._clear()
        for path in self.copies[number % len(self.copies)].iterdir():
            shutil.copy(path, self.world.folder)
        self._start()
        for enrollment in self.world.state.enrollments():
            self.generation[enrollment.username] = ALL_SECRETS[enrollment.vault_id][2]

    # -- what happens to the places ----------------------------------------------------------------

    def empty(self, target: str) -> None:
        self.places[target].meddled = True
        self.places[target].kept.objects.clear()

    def remove(self, target: str, pick: float) -> None:
        objects = self.places[target].kept.objects
        self.places[target].meddled = True
        if objects:
            del objects[_picked(objects, pick)]

    def flip(self, target: str, pick: float, where: float) -> None:
        objects = self.places[target].kept.objects
        if objects:
            name = _picked(objects, pick)
            data = bytearray(objects[name])
            data[int(where * len(data))] ^= 1 << int(where * 1000) % 8
            objects[name] = bytes(data)

    # -- what vaultd does ----------------------------------------------------------------------------

    def run(self, seed: int, rate: float, kill: int, honest: bool, only: str = "") -> None:
        """Back up everybody, or (`only`) a part beside the whole."""
        self._arm(seed, rate, kill, _HONEST if honest else tuple(Fault))
        selection = Selection(kinds=frozenset([only])) if only else EVERYTHING
        world = self.world
        # Only what may be in doubt is asked: the targets that this run was given.
        report = self._turn(
            lambda: run_backup(
                world.config, world.state, world.source, self._targets(), POD_KEY,
                selection=selection,
            )
        )  # fmt: skip
        if report is not None:
            self.judge.take(report, self.active, only)

    def forget(self, who: str, seed: int, rate: float, kill: int) -> None:
        """Keep the newest points."""
        world = self.world
        bench = open_context(replace(world.config, retention=_SOME), world.state, POD_KEY)
        told = forget(bench, self._targets(), [who], dry_run=True)
        if any(place.faulty.events for place in self.places.values()):
            raise Broken("Only asking what would go asks a place.")
        self._arm(seed, rate, kill, _HONEST)
        self._turn(lambda: forget(bench, self._targets(), [who]))
        self.judge.counts["forget"] += bool(told.vaults)
        bench.pool.shutdown()

    def scrub(self, share: float, seed: int, rate: float, kill: int, honest: bool) -> None:
        """Read again what is stored, and heal it."""
        self._arm(seed, rate, kill, _HONEST if honest else tuple(Fault))
        for place in self.places.values():
            place.kept.healing = True
        report = self._turn(lambda: scrub(self.world.state, self._targets(), share))
        for place in self.places.values():
            place.kept.healing = False
        for finding in report.findings if report is not None else ():
            self.judge.counts[f"scrub: {finding.healed or 'not healed'}"] += 1

    def _targets(self) -> dict[str, Backend]:
        targets: dict[str, Backend] = {}
        for name in self.active:
            place = self.places[name].faulty
            targets[name] = (
                RetryingBackend(
                    place, name, RetryPolicy(tries=3), sleep=_no_sleep, chance=random.Random(0)
                )
                if self.patient
                else place
            )
        return targets

    def _arm(self, seed: int, rate: float, kill: int, faults: Sequence[Fault]) -> None:
        for number, (name, place) in enumerate(self.places.items()):
            own = kill if number == seed % len(self.active) else 0
            place.faulty.arm(f"{seed} {name}", rate, faults, own)

    def _turn(self, step: Callable[[], _T]) -> _T | None:
        """One process of vaultd; None where it was killed."""
        self.judge.before_turn()
        try:
            result = step()
        except Killed:
            self.judge.counts["killed"] += 1
            result = None
            self.restart()
        self.judge.after_turn()
        return result

    # -- the end -------------------------------------------------------------------------------------

    def finish(self) -> None:
        """When all is quiet, a scrub and one more run after an edit put everything right."""
        self.patience(False)
        self.retention(False)
        self.targets(len(TARGETS))
        self.restart()
        self._quiet_run()
        self.scrub(1.0, 0, 0, 0, True)
        self._quiet_run()
        for who in PEOPLE:
            self.put(who, "post", 99, len(self.judge.promises))
        before = len(self.judge.promises)
        self._quiet_run()
        new = self.judge.promises[before:]
        if len(new) != len(PEOPLE) * len(TARGETS):
            raise Broken(f"An edit was not written everywhere: {new}")
        self.judge.check_newest(new)
        self._nothing_more_to_write()
        for place in self.places.values():
            place.check_verify()
            self.judge.counts.update(place.faulty.bitten)
        self.judge.check_all()

    def _quiet_run(self) -> None:
        self.run(0, 0, 0, True)

    def _nothing_more_to_write(self) -> None:
        stored = {name: dict(place.kept.objects) for name, place in self.places.items()}
        before = len(self.judge.promises)
        self._quiet_run()
        if len(self.judge.promises) != before:
            raise Broken("A run without edits writes.")
        if stored != {name: place.kept.objects for name, place in self.places.items()}:
            raise Broken("A run without edits changes a place.")


def _picked(objects: Mapping[str, bytes], pick: float) -> str:
    # In the order of their arrival: names have something random in them.
    return list(objects)[int(pick * len(objects))]


def _no_sleep(_seconds: float) -> None:
    pass
