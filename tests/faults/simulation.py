"""A pod, its places, and everything that may befall them, with a model of what must restore."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from tests.backup.world import POD_KEY, World
from tests.faults.backend import Fault, Killed, Life
from tests.faults.model import Broken, Expected, Place, Promise
from vaultd.backup.forget import forget
from vaultd.backup.report import AccountReport, RunReport, Status
from vaultd.backup.workbench import open_workbench
from vaultd.config import Retention
from vaultd.keys import Secrets
from vaultd.restore.snapshot import Vault
from vaultd.state.store import State
from vaultd.vault.layout import parse_archive_name

_TWO: Final = Retention(keep_last=2, keep_daily=0, keep_weekly=0, keep_monthly=0, keep_yearly=0)
PEOPLE: Final = ("alice", "bob")
TARGETS: Final = ("main", "second")
KINDS: Final = ("post", "like", "contact", "person")
_PASSIVE: Final = ("person",)
_HONEST: Final = tuple(f for f in Fault if f is not Fault.STALE)


def _secrets(who: str, generation: int) -> Secrets:
    return Secrets.from_secret(f"{who} {generation}".encode().ljust(16, b".")[:16])


class Simulation:
    """Plays operations on a real engine with faulty places, and a model beside it."""

    def __init__(self, folder: Path) -> None:
        life = Life()
        self.places = {name: Place(name, life) for name in TARGETS}
        self.world = World(folder / "state", {"main": self.places["main"].faulty})
        # One upload at once: which call a fault hits is then a function of the seed.
        limits = replace(self.world.config.limits, uploads=1)
        self.world.config = replace(self.world.config, limits=limits)
        self.world._add("bob")
        self.generation = dict.fromkeys(PEOPLE, 0)
        self.promises: list[Promise] = []
        self.seen: dict[str, set[bytes]] = {}
        self.copies: list[Path] = []
        self.rolled_back = False
        self.counts: Counter[str] = Counter()
        for who in PEOPLE:
            self._enroll(who)

    def _enroll(self, who: str) -> None:
        account = self.world.source.people[who].account
        recipient = _secrets(who, self.generation[who]).recipient
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
        person.put(kind, f"{kind}{number}", {"text": value}, passive=kind in _PASSIVE)

    def drop(self, who: str, kind: str, number: int) -> None:
        self.world.source.people[who].records.pop((kind, f"{kind}{number}"), None)

    def photo(self, who: str, number: int, file: int) -> None:
        self.world.source.people[who].photo(f"photo{number}", f"{file}.png")

    def file(self, number: int, value: int) -> None:
        content = f"picture {value} ".encode() * value * value * 60
        self.world.source.files[f"{number}.png"] = content
        self.seen.setdefault(f"{number}.png", set()).add(content)

    def no_file(self, number: int) -> None:
        self.world.source.files.pop(f"{number}.png", None)

    def recipient(self, who: str, generation: int) -> None:
        self.generation[who] = generation
        self._enroll(who)

    def targets(self, count: int) -> None:
        chosen = {name: self.places[name].faulty for name in TARGETS[:count]}
        self.world.targets.clear()
        self.world.targets.update(chosen)

    # -- what happens to the state ---------------------------------------------------------------

    def restart(self) -> None:
        self.world.state.close()
        self.world.state = State(self.world.folder)

    def lose_state(self) -> None:
        self.world.state.close()
        for path in self.world.folder.glob("state.sqlite3*"):
            path.unlink()
        self.world.state = State(self.world.folder)
        for who in PEOPLE:
            self._enroll(who)

    def copy_state(self) -> None:
        self.world.state.close()
        copy = self.world.folder.parent / f"copy{len(self.copies)}"
        copy.mkdir()
        for path in self.world.folder.glob("state.sqlite3*"):
            shutil.copy(path, copy)
        self.copies.append(copy)
        self.world.state = State(self.world.folder)

    def old_state(self, number: int) -> None:
        if not self.copies:
            return
        self.rolled_back = True
        self.world.state.close()
        for path in self.world.folder.glob("state.sqlite3*"):
            path.unlink()
        for path in self.copies[number % len(self.copies)].iterdir():
            shutil.copy(path, self.world.folder)
        self.world.state = State(self.world.folder)
        for enrollment in self.world.state.enrollments():
            for generation in range(3):
                if _secrets(enrollment.username, generation).recipient.vault_id == (
                    enrollment.vault_id
                ):
                    self.generation[enrollment.username] = generation

    # -- what happens to the places ----------------------------------------------------------------

    def empty(self, target: str) -> None:
        self.places[target].meddled = True
        self.places[target].kept.objects.clear()

    def remove(self, target: str, pick: float) -> None:
        objects = self.places[target].kept.objects
        self.places[target].meddled = True
        if objects:
            del objects[sorted(objects)[int(pick * len(objects))]]

    def flip(self, target: str, pick: float, where: float) -> None:
        objects = self.places[target].kept.objects
        if objects:
            name = sorted(objects)[int(pick * len(objects))]
            data = bytearray(objects[name])
            data[int(where * len(data))] ^= 1 << int(where * 1000) % 8
            objects[name] = bytes(data)

    # -- runs --------------------------------------------------------------------------------------

    def run(self, seed: int, rate: float, kill: int, honest: bool) -> None:
        for number, (name, place) in enumerate(self.places.items()):
            own = kill if number == seed % len(self.world.targets) else 0
            place.faulty.arm(f"{seed} {name}", rate, _HONEST if honest else tuple(Fault), own)
        try:
            report = self.world.run()
        except Killed:
            self.counts["killed"] += 1
            self._note_stale()
            self._quiet()
            self.restart()
            return
        self._note_stale()
        faults = any(place.faulty.plan() for place in self.places.values())
        self._quiet()
        self._take(report, may_fail=faults)

    def _quiet(self) -> None:
        for place in self.places.values():
            place.faulty.quiet()

    def _note_stale(self) -> None:
        # A place that was fooled passes its fork on to one that catches up from it.
        stale = any(
            fault is Fault.STALE
            for place in self.places.values()
            for fault, _ in place.faulty.plan().values()
        )
        for place in self.places.values():
            place.stale |= stale

    def forget(self, who: str, seed: int, rate: float, kill: int) -> None:
        """Keep the newest two points; what the report says is gone is promised no more."""
        world = self.world
        config = replace(world.config, retention=_TWO)
        targets = world.targets
        bench = open_workbench(config, world.state, POD_KEY)
        told = forget(bench, targets, [who], dry_run=True)
        newest = {
            target: point.live
            for (_, target), point in world.state.vaults.points(
                [each.id for each in world.state.enrollments([who])]
            ).items()
        }
        own = _secrets(who, self.generation[who]).recipient.vault_id
        # Deletions that were wished for once stay wished for, whatever becomes of this turn.
        for vault in told.vaults:
            gone = set(vault.objects)
            if gone & {archive.name for archive in newest.get(vault.target, ())}:
                raise Broken(f"{vault.target}: the newest point would lose {gone}")
            self.promises = [
                p
                for p in self.promises
                if p.target != vault.target
                or p.vault != own
                # Its archive may stay as others need it, but its pictures go.
                or not (gone & {p.archive, *p.needs} or self._point(p) in vault.points)
            ]
        for name, place in self.places.items():
            place.faulty.arm(f"{seed} {name}", rate, _HONEST, kill)
        try:
            forget(bench, targets, [who])
        except Killed:
            self.counts["killed"] += 1
            self._quiet()
            self.restart()
            return
        self._quiet()
        self.counts["forgotten"] += len(told.vaults)

    @staticmethod
    def _point(promise: Promise) -> int:
        return (parse_archive_name(promise.archive) or ("", -1, b""))[1]

    def _take(self, report: RunReport, *, may_fail: bool) -> None:
        if len(report.accounts) != len(PEOPLE):
            raise Broken(f"The run reports {[a.username for a in report.accounts]}.")
        for account in report.accounts:
            said = " ".join([account.reason, *account.notes])
            if "bug in vaultd" in said or (account.status is Status.FAILED and not may_fail):
                raise Broken(f"{account.username}: {said}")
            self._take_account(account)

    def _take_account(self, account: AccountReport) -> None:
        who = account.username
        secrets = _secrets(who, self.generation[who])
        expected = Expected.of(self.world.source.people[who], self.world.source.files, self.seen)
        for result in account.targets:
            self.counts[result.status.value] += 1
            place = self.places[result.target]
            self._check_notes(place, account.notes)
            if result.status is Status.WRITTEN:
                promise = place.promise(secrets, result.archive, expected)
                self.promises.append(promise)
                place.check(place.open(secrets), promise)
            elif result.status is Status.UNCHANGED and self._is_sure(place):
                self._check_newest(place, place.open(secrets), expected)

    def _check_notes(self, place: Place, notes: tuple[str, ...]) -> None:
        """Nobody is accused of an old state, a second writer or a theft that did not happen."""
        if self.rolled_back or place.stale or place.meddled:
            return
        for note in notes:
            accuses = "old state was put back" in note or "is not in the vault" in note
            if accuses and note.startswith(f"{place.name}:"):
                raise Broken(f"Nothing of the kind happened, but {note}")

    def _is_sure(self, place: Place) -> bool:
        """Whether an unchanged vault must hold the present content: nobody meddled with anything.

        The place of an unchanged account is asked nothing, so meddling shows at the next change.
        """
        return not (place.kept.damaged() or place.stale or self.rolled_back)

    def _check_newest(self, place: Place, vault: Vault, expected: Expected) -> None:
        point = vault.at(None)
        found = place.restore(vault, point).keys()
        lacking = {k for k in expected.content.keys() ^ found if k[0] not in _PASSIVE}
        if lacking:
            raise Broken(f"{place.name}: unchanged, but {lacking} differ from the newest point")

    # -- the end -------------------------------------------------------------------------------------

    def finish(self) -> None:
        """When all is quiet, one more run after an edit puts everything right; then check all."""
        self._quiet()
        self.restart()
        self.targets(len(TARGETS))
        self._take(self.world.run(), may_fail=False)
        for who in PEOPLE:
            self.put(who, "post", 99, len(self.promises))
        before = len(self.promises)
        report = self.world.run()
        self._take(report, may_fail=False)
        if len(self.promises) - before != len(PEOPLE) * len(TARGETS):
            raise Broken(f"An edit was not written everywhere: {report.accounts}")
        for promise in self.promises[before:]:
            place = self.places[promise.target]
            secrets = next(s for s in self._all_secrets() if s.recipient.vault_id == promise.vault)
            newest = place.open(secrets).at(None).entry.name
            if newest != promise.archive and place.intact(promise.needs):
                raise Broken(f"{place.name}: the newest point is {newest}, not {promise.archive}")
        self._nothing_more_to_write()
        for place in self.places.values():
            place.check_verify()
        self._check_all()

    def _nothing_more_to_write(self) -> None:
        stored = {name: dict(place.kept.objects) for name, place in self.places.items()}
        self._quiet()
        report = self.world.run()
        made = [e for p in self.places.values() for e in p.faulty.events if e.method == "create"]
        if made or len(report.unchanged) != len(PEOPLE):
            raise Broken(f"A run without edits writes: {made} {report.accounts}")
        if stored != {name: place.kept.objects for name, place in self.places.items()}:
            raise Broken("A run without edits changes a place.")

    def _all_secrets(self) -> list[Secrets]:
        return [_secrets(who, generation) for who in PEOPLE for generation in range(3)]

    def _check_all(self) -> None:
        for secrets in self._all_secrets():
            for place in self.places.values():
                own = [
                    promise
                    for promise in self.promises
                    if (promise.target, promise.vault) == (place.name, secrets.recipient.vault_id)
                    and place.intact(promise.needs)
                ]
                if own:
                    vault = place.open(secrets)
                    for promise in own:
                        self.counts["checked"] += 1
                        place.check(vault, promise)
