"""The judge: holds what was promised against what the places give, after each turn of vaultd."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from tests.backup.world import World
from tests.faults.backend import Fault
from tests.faults.model import Broken, Expected, Place, Promise
from vaultd.backup.report import AccountReport, RunReport, Status, TargetResult
from vaultd.keys import Secrets
from vaultd.state.vaults.vaults import VaultKey
from vaultd.vault.layout import parse_archive_name, vault_of

PEOPLE: Final = ("alice", "bob")
KEPT: Final = 2  # points that retention leaves at least
PASSIVE: Final = ("person",)
_HARMLESS: Final = (Fault.SLOW, Fault.STALE, Fault.SHUFFLED, Fault.REPEATED, Fault.LOST)
_GENERATIONS: Final = 3


def secrets_of(who: str, generation: int) -> Secrets:
    """The secrets that somebody's vault of this generation opens with."""
    return Secrets.from_secret(f"{who} {generation}".encode().ljust(16, b".")[:16])


ALL_SECRETS: Final = {
    secrets.recipient.vault_id: (secrets, who, generation)
    for who in PEOPLE
    for generation in range(_GENERATIONS)
    for secrets in [secrets_of(who, generation)]
}


class Judge:
    """`seen` has all contents that each picture file ever had, `hurt` the places that failed
    some call in the last turn."""

    def __init__(self, world: World, places: dict[str, Place]) -> None:
        self.world = world
        self.places = places
        self.promises: list[Promise] = []
        self.seen: dict[str, set[bytes]] = {}
        self.counts: Counter[str] = Counter()
        self.rolled_back = False
        self.hurt: set[str] = set()
        self._doomed: dict[VaultKey, list[str]] = {}

    def before_turn(self) -> None:
        """Remember what was given up before."""
        self._doomed = self.world.state.pending_deletions.pending()
        for place in self.places.values():
            place.kept.deleted.clear()

    def after_turn(self) -> None:
        """Note what went wrong in a turn of vaultd, and what retention took."""
        plans = {name: place.faulty.plan() for name, place in self.places.items()}
        faults = {name: {fault for fault, _ in plan.values()} for name, plan in plans.items()}
        self.hurt = {name for name, found in faults.items() if found.difference(_HARMLESS)}
        # A place that was fooled passes its fork on to one that catches up from it.
        stale = any(Fault.STALE in found for found in faults.values())
        for place in self.places.values():
            place.stale |= stale
            place.faulty.quiet()
        self._let_go()

    def _let_go(self) -> None:
        """What was given up or deleted is promised no more, if the policy allows it to go."""
        given_up = {name: set(place.kept.deleted) for name, place in self.places.items()}
        for key, names in self.world.state.pending_deletions.pending().items():
            given_up[key[1]].update(set(names).difference(self._doomed.get(key, ())))
        for promise in list(self.promises):
            place = self.places[promise.target]
            gone = given_up[promise.target]
            if not gone.intersection((*promise.needs, *promise.blobs)):
                continue
            stood = filter(None, map(parse_archive_name, {*place.kept.written, *gone}))
            later = sum(v == promise.vault and n > promise.sequence for v, n, _ in stood)
            if later < KEPT and place.intact(promise.needs):
                raise Broken(f"{place.name}: {promise.archive} must stay and loses {gone}")
            self.promises.remove(promise)
            self.counts["forgotten"] += 1

    def take(self, report: RunReport, targets: tuple[str, ...], only: str = "") -> None:
        """Judge what a run says of each account."""
        if sorted(each.username for each in report.accounts) != sorted(PEOPLE):
            raise Broken(f"The run reports {[a.username for a in report.accounts]}.")
        for account in report.accounts:
            said = " ".join([account.reason, *account.notes])
            failed = {each.target for each in account.targets if each.status is Status.FAILED}
            is_failed = account.status is Status.FAILED
            if "bug in vaultd" in said or failed - self.hurt or is_failed != bool(failed):
                raise Broken(f"{account.username}: {said}")
            self._take_account(account, targets, only)

    def _take_account(self, account: AccountReport, targets: tuple[str, ...], only: str) -> None:
        enrollment = self.world.state.enrollments([account.username])[0]
        secrets = ALL_SECRETS[enrollment.vault_id][0]
        person = self.world.source.people[account.username]
        expected = Expected.of(person, self.world.source.files, self.seen, only)
        # One that was passed over has no results: all its vaults hold what there is.
        passed = [TargetResult(name, Status.UNCHANGED) for name in targets]
        if account.targets and {each.target for each in account.targets} != set(targets):
            raise Broken(f"{account.username}: not each of {targets} is in {account.targets}")
        self.counts["passed over"] += not account.targets
        for result in account.targets or passed:
            self.counts[result.status.value] += 1
            place = self.places[result.target]
            self._check_notes(place, enrollment.vault_id, account.notes)
            if result.status is Status.WRITTEN:
                self.counts["parts"] += bool(only)
                self.promises.append(place.promise(secrets, result.archive, expected))
            elif result.status is Status.UNCHANGED and not only and self._is_sure(place):
                self.counts["unchanged and sure"] += 1
                vault = place.open(secrets)
                place.check_content(vault, vault.at(None), expected, "unchanged", PASSIVE)

    def _check_notes(self, place: Place, vault: str, notes: tuple[str, ...]) -> None:
        """Nobody is accused of an old state, a second writer or a theft that did not happen."""
        for note in notes:
            if self.rolled_back or not note.startswith(f"{place.name}:"):
                continue
            accuses = "old state was put back" in note or "is not in the vault" in note
            if accuses and not (place.stale or place.meddled):
                raise Broken(f"Nothing of the kind happened, but {note}")
            missed = re.search(r"archive (\d+), the newest that this state knows, is not", note)
            if missed and place.name not in self.hurt:
                prefix = f"{vault}/{int(missed[1]):010}-"
                ever = [name for name in place.kept.written if name.startswith(prefix)]
                if len(ever) == 1 and ever[0] in place.kept.objects:
                    raise Broken(f"It is only the listing that is old, but {note}")

    def _is_sure(self, place: Place) -> bool:
        """Whether an unchanged vault must hold the present content: nobody meddled with anything.

        The place of an unchanged account is asked nothing, so meddling shows at the next change.
        """
        return not (place.kept.damaged() or place.stale or self.rolled_back)

    def check_newest(self, promises: list[Promise]) -> None:
        """These are whole whatever happened before, and each is the newest point of its vault."""
        for promise in promises:
            place = self.places[promise.target]
            vault = place.open(ALL_SECRETS[promise.vault][0])
            newest = vault.at(None)
            if newest.entry.name != promise.archive or not place.intact(promise.needs):
                raise Broken(
                    f"{place.name}: the newest point is {newest.entry.name} and "
                    f"{promise.archive} stands on {place.kept.damaged()}"
                )
            place.check_content(vault, newest, promise.expected, "at the end")
            if lost := promise.blobs & place.kept.damaged():
                raise Broken(f"{place.name}: {lost} was not healed")

    def check_all(self) -> None:
        """Restore everything that was promised and not let go."""
        for vault_id, (secrets, _, _) in ALL_SECRETS.items():
            for place in self.places.values():
                own = [p for p in self.promises if (p.target, p.vault) == (place.name, vault_id)]
                vault = place.open(secrets) if own and self._opens(place, vault_id) else None
                for promise in own:
                    whole = place.intact(promise.needs)
                    self.counts["checked" if whole else "checked damaged"] += 1
                    if vault is not None:
                        place.check(vault, promise)
                    elif promise.archive not in place.kept.damaged():
                        raise Broken(f"{place.name}: the vault of {promise.archive} does not open")

    @staticmethod
    def _opens(place: Place, vault_id: str) -> bool:
        return any(
            name not in place.kept.damaged() and vault_of(name) == vault_id
            for name in place.kept.objects
            if parse_archive_name(name)
        )
