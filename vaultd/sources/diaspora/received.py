"""What others did on this user's posts, with the signatures that let it be relayed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric import rsa

from vaultd.records import Body
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.activity import (
    KNOWN_COMMENT,
    KNOWN_LIKE,
    KNOWN_VOTE,
    refer,
)
from vaultd.sources.diaspora.batch import Batch, Item, Row
from vaultd.sources.diaspora.questions import received
from vaultd.sources.diaspora.relayables import comment, like, load_key, vote, with_signature
from vaultd.sources.diaspora.values import exact, seconds, text


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
    for row in batch.ask(received.comments(batch.schema, batch.scope)):
        account = batch.by_person[row["parent_person"]]
        body = comment(row, text(row["author_handle"]), account.handle)
        yield _finish(
            batch, account, "received_comment", "comments", row, body, KNOWN_COMMENT, "comment",
            keys,
        )  # fmt: skip


def _likes(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    for asked, column in (
        (received.likes(batch.schema, batch.scope), "post_person"),
        (received.likes_of_comments(batch.schema, batch.scope), "comment_person"),
    ):
        for row in batch.ask(asked):
            account = batch.by_person[row[column]]
            body = like(row, text(row["author_handle"]), account.handle)
            yield _finish(
                batch, account, "received_like", "likes", row, body, KNOWN_LIKE, "like", keys
            )


def _votes(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    for row in batch.ask(received.votes(batch.schema, batch.scope)):
        account = batch.by_person[row["post_person"]]
        body = vote(row, text(row["author_handle"]), account.handle)
        yield _finish(
            batch, account, "received_poll_vote", "poll_participations", row, body, KNOWN_VOTE,
            "poll_vote", keys,
        )  # fmt: skip


def _reshares(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(received.reshares(batch.schema, batch.scope)):
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
    for row in batch.ask(received.subscribers(batch.schema, batch.scope)):
        ties = batch.ties[batch.by_person[row["author_id"]].key]
        ties.tie(row["subscriber"], "subscribed_to", text(row["guid"]))
        ties.reasons["participation"].add(row["subscriber"])
