"""Trouble of a target as a whole: told once with a count, not once for each account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vaultd.backup.report import AccountReport, Status, TargetResult
from vaultd.config import OWN

_CODES: Final = frozenset({"place", "place-busy", "place-refused", "place-full"})


@dataclass(frozen=True, slots=True)
class TargetTrouble:
    """How many accounts lack a backup on a target, and what it said first (`code`, `move` as of a
    TargetResult)."""

    target: str
    accounts: int
    reason: str
    code: str
    move: str

    @property
    def sentence(self) -> str:
        """All of that for people."""
        return f"{self.target}: {self.accounts:,} accounts got no backup there. {self.reason}"

    def document(self) -> dict[str, object]:
        """Return it as `--json` prints it."""
        return {
            "target": self.target,
            "accounts": self.accounts,
            "reason": self.reason,
            "code": self.code,
            "move": self.move,
        }


def by_target(
    failed: Sequence[AccountReport],
) -> tuple[list[TargetTrouble], list[AccountReport]]:
    """Return what several accounts have in common, and the accounts with trouble of their own."""
    found: dict[str, list[TargetResult]] = {}
    for account in failed:
        for result in account.targets:
            if _of_the_place(result):
                found.setdefault(result.target, []).append(result)
    troubles = [
        TargetTrouble(name, len(results), results[0].reason, results[0].code, results[0].move)
        for name, results in found.items()
        if len(results) > 1
    ]
    told = {trouble.target for trouble in troubles}
    return troubles, [account for account in failed if not _explained(account, told)]


def _of_the_place(result: TargetResult) -> bool:
    return result.status is Status.FAILED and result.target != OWN and result.code in _CODES


def _explained(account: AccountReport, told: set[str]) -> bool:
    """Whether an account failed for nothing but the trouble of these targets."""
    failed = [each for each in account.targets if each.status is Status.FAILED]
    wholly = bool(failed) and all(_of_the_place(t) and t.target in told for t in failed)
    return wholly and account.reason == " ".join(f"{t.target}: {t.reason}" for t in failed)
