"""What others did on this user's posts, with the signatures that let it be relayed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy import Select, Table, and_, literal, or_, select

from vaultd.records import Body
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.activity import (
    KNOWN_COMMENT,
    KNOWN_LIKE,
    KNOWN_VOTE,
    comments_with_parents,
    likes_with_parents,
    refer,
    votes_with_parents,
)
from vaultd.sources.diaspora.batch import Batch, Item, Row
from vaultd.sources.diaspora.relayables import comment, like, load_key, vote, with_signature
from vaultd.sources.diaspora.values import exact, seconds, text

_SIGNED: Final = {
    "comments": ("comment_signatures", "comment_id"),
    "likes": ("like_signatures", "like_id"),
    "poll_participations": ("poll_participation_signatures", "poll_participation_id"),
}


class LocalKeys:
    """Private keys of local authors, loaded when a signature is really made (facts B2)."""

    def __init__(self, fetch: Callable[[int], str | None]) -> None:
        self._fetch = fetch
        self._keys: dict[int, rsa.RSAPrivateKey | None] = {}

    def __call__(self, user: int) -> rsa.RSAPrivateKey | None:
        """Return a local user's RSA key, None where there is none."""
        if user not in self._keys:
            pem = self._fetch(user)
            self._keys[user] = None if pem is None else load_key(pem)
        return self._keys[user]


def read_received(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    """Yield others' comments, likes, votes and reshares for every account of the batch."""
    yield from _comments(batch, keys)
    yield from _likes(batch, keys)
    yield from _votes(batch, keys)
    yield from _reshares(batch)
    _subscribers(batch)


def _signature_columns(batch: Batch, table: str, author: Any) -> tuple[list[Any], list[Any]]:
    """Return the extra columns and outer joins `(table, condition)` of stored signatures."""
    columns: list[Any] = [
        author.c.diaspora_handle.label("author_handle"),
        author.c.owner_id.label("author_owner"),
    ]
    name, key = _SIGNED[table]
    stored, orders = batch.schema.get(name), batch.schema.get("signature_orders")
    if stored is None or orders is None:
        empty = [
            literal(None).label(n)
            for n in ("author_signature", "signature_order", "additional_data")
        ]
        return [*columns, *empty], []
    columns += [
        stored.c.author_signature,
        orders.c.order.label("signature_order"),
        stored.c.additional_data,
    ]
    own: Table = batch.schema[table]
    return columns, [
        (stored, stored.c[key] == own.c.id),
        (orders, orders.c.id == stored.c.signature_order_id),
    ]


def _joined(query: Select[Any], joins: list[Any]) -> Select[Any]:
    for table, condition in joins:
        query = query.outerjoin(table, condition)
    return query


def _finish(
    batch: Batch, account: SourceAccount, kind: str, table: str, row: Row, body: Body,
    known: frozenset[str], reason: str, keys: LocalKeys,
) -> Item:  # fmt: skip
    extra = batch.extra(table, row, known)
    finish = with_signature(body, row, keys, extra)
    if kind == "received_comment":
        extra["created_at"] = exact(row["created_at"])
    body["row"] = extra
    if row["author_id"] is not None:
        batch.ties[account.key].people.add(row["author_id"])
        batch.ties[account.key].reasons[reason].add(row["author_id"])
    refer(batch, account, row)
    return batch.record(account, kind, row["guid"], row["id"], body, finish=finish)


def _comments(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    author = batch.schema["people"].alias("author")
    columns, joins = _signature_columns(batch, "comments", author)
    comments = batch.schema["comments"]
    query, post, _ = comments_with_parents(batch, *columns)
    query = _joined(query.outerjoin(author, author.c.id == comments.c.author_id), joins)
    query = query.where(
        post.c.author_id.in_(batch.persons), comments.c.author_id != post.c.author_id
    ).order_by(post.c.author_id, comments.c.id)
    for row in batch.rows(query):
        account = batch.by_person[row["parent_person"]]
        body = comment(row, text(row["author_handle"]))
        yield _finish(
            batch,
            account,
            "received_comment",
            "comments",
            row,
            body,
            KNOWN_COMMENT,
            "comment",
            keys,
        )


def _likes(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    author = batch.schema["people"].alias("author")
    columns, joins = _signature_columns(batch, "likes", author)
    likes = batch.schema["likes"]
    for on_comment in (False, True):
        query, post, remark = likes_with_parents(batch, *columns)
        target = remark if on_comment else post
        query = _joined(query.outerjoin(author, author.c.id == likes.c.author_id), joins)
        query = query.where(
            target.c.author_id.in_(batch.persons),
            or_(likes.c.author_id.is_(None), likes.c.author_id != target.c.author_id),
        ).order_by(target.c.author_id, likes.c.id)
        for row in batch.rows(query):
            owner = row["comment_person" if on_comment else "post_person"]
            body = like(row, text(row["author_handle"]))
            yield _finish(
                batch, batch.by_person[owner], "received_like", "likes", row, body, KNOWN_LIKE,
                "like", keys,
            )  # fmt: skip


def _votes(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    author = batch.schema["people"].alias("author")
    columns, joins = _signature_columns(batch, "poll_participations", author)
    votes = batch.schema["poll_participations"]
    query, post = votes_with_parents(batch, *columns)
    query = _joined(query.outerjoin(author, author.c.id == votes.c.author_id), joins)
    query = query.where(
        post.c.author_id.in_(batch.persons), votes.c.author_id != post.c.author_id
    ).order_by(post.c.author_id, votes.c.id)
    for row in batch.rows(query):
        account = batch.by_person[row["post_person"]]
        body = vote(row, text(row["author_handle"]))
        yield _finish(
            batch, account, "received_poll_vote", "poll_participations", row, body, KNOWN_VOTE,
            "poll_vote", keys,
        )  # fmt: skip


def _reshares(batch: Batch) -> Iterator[Item]:
    posts, people = batch.schema["posts"], batch.schema["people"]
    root = posts.alias("root")
    query = (
        select(
            posts.c.id,
            posts.c.guid,
            posts.c.author_id,
            posts.c.created_at,
            posts.c.root_guid,
            people.c.diaspora_handle,
            root.c.author_id.label("root_person"),
        )
        .join(root, root.c.guid == posts.c.root_guid)
        .outerjoin(people, people.c.id == posts.c.author_id)
        .where(root.c.author_id.in_(batch.persons), posts.c.type == "Reshare")
        .order_by(root.c.author_id, posts.c.id)
    )
    for row in batch.rows(query):
        account = batch.by_person[row["root_person"]]
        batch.ties[account.key].people.add(row["author_id"])
        batch.ties[account.key].reasons["reshare"].add(row["author_id"])
        body: Body = {
            "entity_type": "reshare",
            "entity_data": {
                "author": text(row["diaspora_handle"]),
                "guid": text(row["guid"]),
                "created_at": seconds(row["created_at"]),
                "root_author": account.handle,
                "root_guid": text(row["root_guid"]),
            },
            "row": {"created_at": exact(row["created_at"])},
        }
        yield batch.record(account, "received_reshare", row["guid"], row["id"], body)


def _subscribers(batch: Batch) -> None:
    table, posts = batch.schema["participations"], batch.schema["posts"]
    query = (
        select(posts.c.author_id, posts.c.guid, table.c.author_id.label("subscriber"))
        .join(posts, and_(posts.c.id == table.c.target_id, table.c.target_type == "Post"))
        .where(posts.c.author_id.in_(batch.persons), table.c.author_id != posts.c.author_id)
        .order_by(posts.c.id, table.c.id)
    )
    for row in batch.rows(query):
        ties = batch.ties[batch.by_person[row["author_id"]].key]
        ties.tie(row["subscriber"], "subscribed_to", text(row["guid"]))
        ties.reasons["participation"].add(row["subscriber"])
