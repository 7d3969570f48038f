"""Looking at accounts a page at a time, some pages ahead: the database counts on several cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vaultd.backup.accounts.enroll import incomplete_sentence
from vaultd.backup.report import AccountReport, account_report
from vaultd.errors import AccountError
from vaultd.sources.base import Source, SourceAccount
from vaultd.state.store import Enrollment


@dataclass(frozen=True, slots=True)
class Page:
    """One page: the accounts that can be backed up, their fingerprints, and why others cannot."""

    pairs: Sequence[tuple[Enrollment, SourceAccount]]
    fingerprints: Mapping[int, bytes]
    refused: Sequence[tuple[Enrollment, AccountReport]]


def read_page(source: Source, enrollments: Sequence[Enrollment]) -> Page:
    """Ask the source about a page of accounts; raises DatabaseError."""
    accounts = {a.username: a for a in source.accounts([each.username for each in enrollments])}
    pairs: list[tuple[Enrollment, SourceAccount]] = []
    refused: list[tuple[Enrollment, AccountReport]] = []
    for each in enrollments:
        account = accounts.get(each.username)
        if account is None or _refusal(each.username, each, account):
            refused.append((each, refusal(each.username, each, account)))
        else:
            pairs.append((each, account))
    return Page(pairs, source.fingerprints([account for _, account in pairs]), refused)


def read_pages(source: Source, whose: Iterable[Sequence[Enrollment]], ahead: int) -> Iterator[Page]:
    """Yield a look at every page in order, `ahead` of them asked for at the same time.

    A fingerprint may be older than what is read of its account later: then the next run looks
    again. Raises DatabaseError.
    """
    if ahead < 2:
        for enrollments in whose:
            yield read_page(source, enrollments)
        return
    waiting: deque[Future[Page]] = deque()
    with ThreadPoolExecutor(ahead, thread_name_prefix="look") as pool:
        try:
            for enrollments in whose:
                waiting.append(pool.submit(read_page, source, enrollments))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def refusal(
    name: str, enrollment: Enrollment | None, account: SourceAccount | None
) -> AccountReport:
    """Return the report of an account that cannot be backed up."""
    return account_report(name, AccountError(_refusal(name, enrollment, account)), ())


def _refusal(name: str, enrollment: Enrollment | None, account: SourceAccount | None) -> str:
    """Say why an account cannot be backed up; empty when it can."""
    if account is None:
        if enrollment is None:
            return f"There is no account {name!r} on this pod."
        return f"{name} is no longer in the pod's database; its vaults stay as they are."
    if enrollment is None:
        return f"{name} is not enrolled; `vaultd enroll {name} --recipient vault1…` does that."
    if account.state == "incomplete":
        return incomplete_sentence(name)
    if account.guid != enrollment.guid:
        return (
            f"{name} is another person now than the one who was enrolled; the old vault stays as "
            f"it is. `vaultd enroll {name} --recipient vault1…` starts a new one."
        )
    return ""
