"""What others did on this user's posts, with the signatures that let it be relayed again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from vaultd.records import Body
from vaultd.sources.diaspora.batch import Batch
from vaultd.sources.diaspora.queries import received
from vaultd.sources.diaspora.records.activity import (
    KNOWN_COMMENT,
    KNOWN_LIKE,
    KNOWN_PARTICIPATION,
    KNOWN_VOTE,
)
from vaultd.sources.diaspora.records.packing import Item, name_of, packed
from vaultd.sources.diaspora.records.relayables import (
    comment,
    like,
    like_of_comment,
    load_key,
    vote,
    with_signature,
)
from vaultd.sources.diaspora.records.values import columns, exact, given, moments, seconds, text

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
        self._lock = Lock()

    def announce(self, users: Iterable[int]) -> None:
        """Note users whose keys will perhaps be needed soon."""
        self._announced.update((user, None) for user in users if user not in self._found)

    def __call__(self, user: int) -> rsa.RSAPrivateKey | None:
        """Return a local user's RSA key, None where there is none; any thread may ask.

        Raises DatabaseError.
        """
        with self._lock:
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
    """Yield what others did on the posts of every account of the batch, and who follows them."""
    yield from _comments(batch, keys)
    yield from _likes(batch, keys)
    yield from _likes_of_comments(batch, keys)
    yield from _likes_of_others_comments(batch, keys)
    yield from _votes(batch, keys)
    yield from _reshares(batch)
    yield from _subscribers(batch)


_SIGNED: Final = (
    "author_id author_handle author_owner author_signature signature_order additional_data"
).split()


def _announced(keys: LocalKeys, owner: int) -> Callable[[Sequence[Any]], None]:
    """Return what announces the authors of many rows; the column after `owner` is the signature."""

    def announce(rows: Sequence[Any]) -> None:
        keys.announce({row[owner] for row in rows if row[owner + 1] is None} - {None})

    return announce


def _comments(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    more = batch.more("comments", KNOWN_COMMENT)
    for account, rows in batch.runs(
        received.comments(batch.schema, batch.scope),
        ["parent_person", "id", "guid", "text", "created_at", "commentable_type", "parent_guid",
         *_SIGNED],
        more,
        _announced(keys, 9),
    ):  # fmt: skip
        ids, bodies, finishes, me = [], [], [], account.handle
        for _, number, guid, words, at, kind, parent, _, author, owner, *signed in rows:
            moment, exactly = moments(at)
            body = comment(text(author), me, guid, words, moment, kind, parent)
            extra: Body = columns(more, signed[3:])
            finishes.append(with_signature(body, keys, extra, owner, signed[:3]))
            extra["created_at"] = exactly
            body["row"] = extra
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[7] for row in rows), "comment")
        yield from packed(account, "received_comment", ids, bodies, finishes)


def _likes(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        received.likes(batch.schema, batch.scope),
        ["post_person", "id", "guid", "positive", "created_at", "post_guid", *_SIGNED],
        more,
        _announced(keys, 8),
    ):
        ids, bodies, finishes, me = [], [], [], account.handle
        for _, number, guid, positive, at, parent, _, author, owner, *signed in rows:
            body = like(text(author), me, guid, positive, exact(at), "Post", parent)
            extra: Body = columns(more, signed[3:])
            finishes.append(with_signature(body, keys, extra, owner, signed[:3]))
            body["row"] = extra
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[6] for row in rows), "like")
        yield from packed(account, "received_like", ids, bodies, finishes)


def _likes_of_comments(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        received.likes_of_comments(batch.schema, batch.scope),
        ["comment_person", "id", "guid", "positive", "created_at", "comment_guid", "of_post_guid",
         "of_post_handle", "of_post_person", *_SIGNED],
        more,
        _announced(keys, 11),
    ):  # fmt: skip
        ids, bodies, finishes, me = [], [], [], account.handle
        for _, number, guid, positive, at, parent, post, post_owner, _, _, author, *signed in rows:
            body = like(text(author), me, guid, positive, exact(at), "Comment", parent)
            body = like_of_comment(body, post, post_owner)
            extra: Body = columns(more, signed[4:])
            finishes.append(with_signature(body, keys, extra, signed[0], signed[1:4]))
            body["row"] = extra
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[9] for row in rows), "like")
        batch.meet(account, (row[8] for row in rows))
        yield from packed(account, "received_like", ids, bodies, finishes)


def _likes_of_others_comments(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        received.likes_of_others_comments(batch.schema, batch.scope),
        ["of_post_person", "id", "guid", "positive", "created_at", "comment_guid",
         "comment_handle", "comment_person", "of_post_guid", *_SIGNED],
        more,
        _announced(keys, 11),
    ):  # fmt: skip
        ids, bodies, finishes, me = [], [], [], account.handle
        for _, number, guid, positive, at, parent, writer, _, post, _, author, *signed in rows:
            body = like(text(author), given(writer), guid, positive, exact(at), "Comment", parent)
            body = like_of_comment(body, post, me)
            extra: Body = columns(more, signed[4:])
            finishes.append(with_signature(body, keys, extra, signed[0], signed[1:4]))
            body["row"] = extra
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[9] for row in rows), "like")
        batch.meet(account, (row[7] for row in rows))
        yield from packed(account, "received_like", ids, bodies, finishes)


def _votes(batch: Batch, keys: LocalKeys) -> Iterator[Item]:
    for row in batch.ask(received.votes(batch.schema, batch.scope)):
        account = batch.by_person[row["post_person"]]
        if row["author_signature"] is None and row["author_owner"] is not None:
            keys.announce((row["author_owner"],))
        body = vote(row, text(row["author_handle"]), account.handle)
        extra = batch.extra("poll_participations", row, KNOWN_VOTE)
        stored = row["author_signature"], row["signature_order"], row["additional_data"]
        finish = with_signature(body, keys, extra, row["author_owner"], stored)
        body["row"] = extra
        batch.meet(account, (row["author_id"],), "poll_vote")
        yield batch.record(
            account, "received_poll_vote", row["guid"], row["id"], body, finish=finish
        )


def _reshares(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(received.reshares(batch.schema, batch.scope)):
        account = batch.by_person[row["root_person"]]
        batch.meet(account, (row["author_id"],), "reshare")
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


def _subscribers(batch: Batch) -> Iterator[Item]:
    more = batch.more("participations", KNOWN_PARTICIPATION)
    for account, rows in batch.runs(
        received.subscribers(batch.schema, batch.scope),
        "parent_person id guid author_id author_handle parent_guid created_at".split(),
        more,
    ):
        ids, bodies = [], []
        for _, number, guid, _, author, post, at, *rest in rows:
            data: Body = {"author": text(author), "parent_guid": text(post), "parent_type": "Post"}
            if guid is not None:
                data["guid"] = text(guid)
            extra: Body = columns(more, rest)
            extra["created_at"] = exact(at)
            ids.append(batch.own_id(account, "subscriber", guid, number))
            body: Body = {"entity_type": "participation", "entity_data": data, "row": extra}
            bodies.append(body)
        batch.meet(account, (row[3] for row in rows), "participation")
        yield from packed(account, "subscriber", ids, bodies)
