"""What others did on this user's posts, with the signatures that let it be relayed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from vaultd.records import Body
from vaultd.sources.diaspora.activity import (
    KNOWN_COMMENT,
    KNOWN_LIKE,
    KNOWN_VOTE,
)
from vaultd.sources.diaspora.batch import Batch, Item, Row
from vaultd.sources.diaspora.questions import Question, received
from vaultd.sources.diaspora.relayables import comment, like, load_key, vote, with_signature
from vaultd.sources.diaspora.values import exact, seconds, text

_KEYS: Final = 1000  # in one query
_KEPT: Final = 4000


class LocalKeys:
    """Private keys of local authors, loaded when a signature is really made (facts B2).

    Authors are announced as their rows come by; the first key that is needed is fetched together
    with those of up to a thousand others. At most some thousand keys are kept.
    """

    def __init__(self, fetch: Callable[[list[int]], dict[int, str]]) -> None:
        self._fetch = fetch
        self._announced: dict[int, None] = {}  # a set that keeps its order
        self._found: dict[int, str | rsa.RSAPrivateKey | None] = {}

    def announce(self, users: Iterable[int]) -> None:
        """Note users whose keys will perhaps be needed soon."""
        self._announced.update((user, None) for user in users if user not in self._found)

    def __call__(self, user: int) -> rsa.RSAPrivateKey | None:
        """Return a local user's RSA key, None where there is none."""
        if user not in self._found:
            self._get(user)
        key = self._found[user]
        if isinstance(key, str):
            key = self._found[user] = load_key(key)
        return key

    def _get(self, user: int) -> None:
        wanted = [user, *islice((u for u in self._announced if u != user), _KEYS - 1)]
        pems = self._fetch(wanted)
        if len(self._found) + len(wanted) > _KEPT:
            self._found.clear()
        for one in wanted:
            self._announced.pop(one, None)
            self._found[one] = pems.get(one)


def read_received(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    """Yield others' comments, likes, votes and reshares for every account of the batch."""
    schema, scope = batch.schema, batch.scope
    on_comments = replace(_LIKE, owner="comment_person")
    yield from _received(batch, received.comments(schema, scope), _COMMENT, keys)
    yield from _received(batch, received.likes(schema, scope), _LIKE, keys)
    yield from _received(batch, received.likes_of_comments(schema, scope), on_comments, keys)
    yield from _received(batch, received.votes(schema, scope), _VOTE, keys)
    yield from _reshares(batch)
    _subscribers(batch)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of what is received is read; `owner` is the column of whose post it is."""

    kind: str
    table: str
    known: frozenset[str]
    owner: str
    reason: str
    make: Callable[[Row, str, str | None], Body]


_COMMENT: Final = _Kind(
    "received_comment", "comments", KNOWN_COMMENT, "parent_person", "comment", comment
)
_LIKE: Final = _Kind("received_like", "likes", KNOWN_LIKE, "post_person", "like", like)
_VOTE: Final = _Kind(
    "received_poll_vote", "poll_participations", KNOWN_VOTE, "post_person", "poll_vote", vote
)


def _received(batch: Batch, asked: Question, how: _Kind, keys: LocalKeys) -> Iterator[Item]:
    for part in batch.parts(asked.ordered):
        keys.announce(
            row["author_owner"]
            for row in part
            if row["author_signature"] is None and row["author_owner"] is not None
        )
        yield from _of_part(batch, part, how, keys)


def _of_part(batch: Batch, part: list[Row], how: _Kind, keys: LocalKeys) -> Iterator[Item]:
    for row in part:
        account = batch.by_person[row[how.owner]]
        ties, author = batch.ties[account.key], row["author_id"]
        body = how.make(row, text(row["author_handle"]), account.handle)
        extra = batch.extra(how.table, row, how.known)
        finish = with_signature(body, row, keys, extra)
        if how is _COMMENT:
            extra["created_at"] = exact(row["created_at"])
        body["row"] = extra
        if author is not None:
            ties.people.add(author)
            ties.reasons[how.reason].add(author)
        if how.owner == "comment_person" and row["of_post_person"] is not None:
            ties.people.add(row["of_post_person"])
        yield batch.record(account, how.kind, row["guid"], row["id"], body, finish=finish)


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
