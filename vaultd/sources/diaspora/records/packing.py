"""Records of one kind and account together, encoded at once: what most rows become."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from vaultd.errors import DamageError
from vaultd.records import Body, Finish, Record, Records, encode_record
from vaultd.sources.base import SourceAccount, Trouble
from vaultd.sources.diaspora.records.values import text

Item: TypeAlias = "tuple[SourceAccount, Record | Records | Trouble]"
_UNSTORABLE: Final = (
    UnicodeEncodeError,
    OverflowError,
    TypeError,
    RecursionError,
    DamageError,
)


def name_of(guid: object, number: int) -> str:
    """Return a record's id: its GUID, or the row's number where it has none."""
    name = text(guid)
    return name if name and isinstance(name, str) else f"row:{number}"


def packed(
    account: SourceAccount,
    kind: str,
    ids: Sequence[str],
    bodies: Sequence[Body],
    finishes: Sequence[Finish | None] | None = None,
) -> Iterator[Item]:
    """Yield records together; one by one if any cannot be encoded, so that only that one fails."""
    if not ids:
        return
    if finishes is not None and not any(finishes):
        finishes = None
    try:
        wires = [encode_record(kind, *each) for each in zip(ids, bodies, strict=True)]
    except _UNSTORABLE:
        for place, (own, body) in enumerate(zip(ids, bodies, strict=True)):
            yield account, Record(kind, own, body, finish=finishes[place] if finishes else None)
    else:
        yield account, Records(kind, ids, wires, False, finishes)
