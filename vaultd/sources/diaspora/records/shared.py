"""Others' private posts and photos that the user may read, with what others did on them.

Pictures stay with their authors: a vault has their names, not their files.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from vaultd.records import Body, Json
from vaultd.sources.diaspora.batch import Batch, Row
from vaultd.sources.diaspora.queries import shared
from vaultd.sources.diaspora.records.activity import KNOWN_COMMENT, KNOWN_LIKE, KNOWN_VOTE
from vaultd.sources.diaspora.records.packing import Item, name_of, packed
from vaultd.sources.diaspora.records.posts import (
    KNOWN_PHOTO,
    KNOWN_POST,
    location_entity,
    photo_entity,
    poll_answer_entity,
    poll_entity,
)
from vaultd.sources.diaspora.records.relayables import (
    comment,
    like,
    like_of_comment,
    vote,
    with_signature,
)
from vaultd.sources.diaspora.records.values import (
    columns,
    exact,
    flag,
    given,
    moments,
    seconds,
    text,
)

_SIGNED: Final = "author_id author_handle author_signature signature_order additional_data".split()


@dataclass(frozen=True, slots=True)
class _Details:
    """What hangs on the posts, by reader and posts.id."""

    locations: dict[tuple[int, int], Body]
    polls: dict[tuple[int, int], Body]


def read_shared(batch: Batch) -> Iterator[Item]:
    """Yield what others shared with every account of the batch."""
    yield from _posts(batch)
    yield from _photos(batch)
    yield from _comments(batch)
    yield from _likes(batch)
    yield from _likes_of_comments(batch)
    yield from _votes(batch)


def _details(batch: Batch) -> _Details:
    schema, scope = batch.schema, batch.scope
    choices: dict[tuple[int, int], list[Json]] = defaultdict(list)
    for row in batch.ask(shared.poll_answers(schema, scope)):
        choices[row["user_id"], row["poll_id"]].append(poll_answer_entity(row))
    polls = {
        (row["user_id"], row["status_message_id"]): poll_entity(
            row, choices.get((row["user_id"], row["id"]), [])
        )
        for row in batch.ask(shared.polls(schema, scope))
    }
    locations = {
        (row["user_id"], row["status_message_id"]): location_entity(row)
        for row in batch.ask(shared.locations(schema, scope))
    }
    return _Details(locations, polls)


def _posts(batch: Batch) -> Iterator[Item]:
    details = _details(batch)
    for row in batch.ask(shared.things(batch.schema, batch.scope, "posts")):
        account, key = batch.by_user[row["user_id"]], (row["user_id"], row["id"])
        batch.meet(account, (row["author_id"],))
        data: Body = {
            "author": text(row["author_handle"]),
            "guid": text(row["guid"]),
            "created_at": seconds(row["created_at"]),
            "public": flag(row["public"]),
            "text": text(row["text"]),
        }
        if row["provider_display_name"] is not None:
            data["provider_display_name"] = text(row["provider_display_name"])
        if key in details.locations:
            data["location"] = details.locations[key]
        if key in details.polls:
            data["poll"] = details.polls[key]
        body = _body(batch, "posts", row, KNOWN_POST, "status_message", data)
        yield batch.record(account, "shared_post", row["guid"], row["id"], body)


def _photos(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(shared.things(batch.schema, batch.scope, "photos")):
        account = batch.by_user[row["user_id"]]
        batch.meet(account, (row["author_id"],))
        data = photo_entity(row, text(row["author_handle"]))
        body = _body(batch, "photos", row, KNOWN_PHOTO, "photo", data)
        yield batch.record(account, "shared_photo", row["guid"], row["id"], body)


def _body(batch: Batch, table: str, row: Row, known: frozenset[str], kind: str, data: Body) -> Body:
    extra = {**batch.extra(table, row, known), "created_at": exact(row["created_at"])}
    hidden = flag(row["hidden"])
    return {"entity_type": kind, "entity_data": data, "hidden": hidden, "row": extra}


def _nobodys_key(_user: int) -> None:
    """Nothing is signed here: the words of others stay as the pod had them."""


def _comments(batch: Batch) -> Iterator[Item]:
    more = batch.more("comments", KNOWN_COMMENT)
    for account, rows in batch.runs(
        shared.comments(batch.schema, batch.scope),
        ["user_id", "id", "guid", "text", "created_at", "commentable_type", "post_guid",
         "post_handle", *_SIGNED],
        more,
    ):  # fmt: skip
        ids, bodies = [], []
        for _, number, guid, words, at, kind, post, owner, _, author, *signed in rows:
            moment, exactly = moments(at)
            body = comment(text(author), given(owner), guid, words, moment, kind, post)
            extra: Body = columns(more, signed[3:])
            with_signature(body, _nobodys_key, extra, None, tuple(signed[:3]))
            body["row"] = {**extra, "created_at": exactly}
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[8] for row in rows))
        yield from packed(account, "shared_comment", ids, bodies)


def _likes(batch: Batch) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        shared.likes(batch.schema, batch.scope),
        ["user_id", "id", "guid", "positive", "created_at", "post_guid", "post_handle", *_SIGNED],
        more,
    ):
        ids, bodies = [], []
        for _, number, guid, positive, at, post, owner, _, author, *signed in rows:
            body = like(text(author), given(owner), guid, positive, exact(at), "Post", post)
            extra: Body = columns(more, signed[3:])
            with_signature(body, _nobodys_key, extra, None, tuple(signed[:3]))
            body["row"] = extra
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[7] for row in rows))
        yield from packed(account, "shared_like", ids, bodies)


def _likes_of_comments(batch: Batch) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        shared.likes_of_comments(batch.schema, batch.scope),
        ["user_id", "id", "guid", "positive", "created_at", "comment_guid", "comment_handle",
         "comment_person", "post_guid", "post_handle", *_SIGNED],
        more,
    ):  # fmt: skip
        ids, bodies = [], []
        for _, number, guid, positive, at, said, writer, _, post, owner, _, author, *rest in rows:
            body = like(text(author), given(writer), guid, positive, exact(at), "Comment", said)
            body = like_of_comment(body, post, owner)
            extra: Body = columns(more, rest[3:])
            with_signature(body, _nobodys_key, extra, None, tuple(rest[:3]))
            body["row"] = extra
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[i] for row in rows for i in (7, 10)))
        yield from packed(account, "shared_like", ids, bodies)


def _votes(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(shared.votes(batch.schema, batch.scope)):
        account = batch.by_user[row["user_id"]]
        batch.meet(account, (row["author_id"],))
        body = vote(row, text(row["author_handle"]), given(row["post_handle"]))
        extra = batch.extra("poll_participations", row, KNOWN_VOTE)
        stored = row["author_signature"], row["signature_order"], row["additional_data"]
        with_signature(body, _nobodys_key, extra, None, stored)
        body["row"] = extra
        yield batch.record(account, "shared_poll_vote", row["guid"], row["id"], body)
