"""The stored signatures of comments, likes and votes, joined to a question (facts A4)."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select, literal

from vaultd.sources.diaspora.schema import Schema

_SIGNED: Final = {
    "comments": ("comment_signatures", "comment_id"),
    "likes": ("like_signatures", "like_id"),
    "poll_participations": ("poll_participation_signatures", "poll_participation_id"),
}


def signature(schema: Schema, table: str, author: Any) -> list[Any]:
    """Return the columns of an author and of the stored signature."""
    columns: list[Any] = [
        author.c.diaspora_handle.label("author_handle"),
        author.c.owner_id.label("author_owner"),
    ]
    stored, orders = schema.get(_SIGNED[table][0]), schema.get("signature_orders")
    if stored is None or orders is None:
        names = ("author_signature", "signature_order", "additional_data")
        return [*columns, *(literal(None).label(name) for name in names)]
    return [
        *columns,
        stored.c.author_signature,
        orders.c.order.label("signature_order"),
        stored.c.additional_data,
    ]


def signed(schema: Schema, table: str, query: Select[Any], author: Any) -> Select[Any]:
    """Join the author, and the stored signatures where a pod has them."""
    name, key = _SIGNED[table]
    own, stored, orders = schema[table], schema.get(name), schema.get("signature_orders")
    query = query.outerjoin(author, author.c.id == own.c.author_id)
    if stored is None or orders is None:
        return query
    return query.outerjoin(stored, stored.c[key] == own.c.id).outerjoin(
        orders, orders.c.id == stored.c.signature_order_id
    )
