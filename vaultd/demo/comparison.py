"""Comparing, record by record, what the pod held with what came back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from vaultd.records import Body, Record, encode_body, merged
from vaultd.restore.snapshot import Snapshot
from vaultd.sources.base import Source, singly


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one account came back: records equal, and the ids that are not."""

    username: str
    equal_records: int
    different: tuple[str, ...]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether everything came back exactly."""
        return not (self.different or self.missing or self.extra)

    @property
    def sentence(self) -> str:
        """Say it in one line."""
        if self.equal:
            return f"{self.username}: all {self.equal_records:,} records came back exactly"
        return (
            f"{self.username}: {len(self.different)} records differ, {len(self.missing)} are "
            f"missing, {len(self.extra)} should not be there "
            f"({', '.join((*self.different, *self.missing, *self.extra)[:5])})"
        )


def _digest(body: Body) -> bytes:
    bare = {k: v for k, v in body.items() if k not in ("blob", "blob_missing")}
    return hashlib.blake2b(encode_body(bare), digest_size=16).digest()


def remember(source: Source, username: str) -> dict[tuple[str, str], bytes]:
    """Return a digest of every record that the pod holds of an account."""
    found: dict[tuple[str, str], bytes] = {}
    for _, record in singly(source.read(source.accounts([username]))):
        if isinstance(record, Record):
            body = (
                record.body
                if record.finish is None
                else merged(record.body, record.finish(record.body))
            )
            found[record.kind, record.id] = _digest(body)
    return found


def compare(
    username: str, snapshot: Snapshot, expected: dict[tuple[str, str], bytes]
) -> Comparison:
    """Compare a restored point with what was remembered of the pod."""
    left = dict(expected)
    equal, different, extra = 0, [], []
    for record in snapshot.records():
        wanted = left.pop((record.kind, record.id), None)
        if wanted is None:
            extra.append(f"{record.kind} {record.id}")
        elif record.body is not None and _digest(record.body) == wanted:
            equal += 1
        else:
            different.append(f"{record.kind} {record.id}")
    missing = tuple(f"{kind} {record_id}" for kind, record_id in left)
    return Comparison(username, equal, tuple(different), missing, tuple(extra))
