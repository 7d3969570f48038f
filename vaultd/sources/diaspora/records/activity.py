"""What the user did: comments, likes, votes, subscriptions, with where their parents are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vaultd.records import Body
from vaultd.sources.diaspora.batch import Batch
from vaultd.sources.diaspora.queries import activity
from vaultd.sources.diaspora.records.packing import Item, name_of, packed
from vaultd.sources.diaspora.records.relayables import comment, like, like_of_comment, vote
from vaultd.sources.diaspora.records.values import columns, exact, given, moments, text

KNOWN_COMMENT: Final = frozenset(
    "id text commentable_id author_id guid commentable_type created_at".split()
)
KNOWN_LIKE: Final = frozenset("id positive target_id author_id guid target_type created_at".split())
KNOWN_VOTE: Final = frozenset("id poll_answer_id author_id poll_id guid created_at".split())
KNOWN_PARTICIPATION: Final = frozenset("id guid target_id target_type author_id created_at".split())


def read_activity(batch: Batch) -> Iterator[Item]:
    """Yield what every account of the batch did on its own and others' posts."""
    yield from _comments(batch)
    yield from _likes(batch)
    yield from _likes_of_comments(batch)
    yield from _votes(batch)
    yield from _subscriptions(batch)


def _comments(batch: Batch) -> Iterator[Item]:
    more = batch.more("comments", KNOWN_COMMENT)
    for account, rows in batch.runs(
        activity.comments(batch.schema, batch.scope),
        ("author_id id guid text created_at commentable_type parent_guid parent_handle "
         "parent_person").split(),
        more,
    ):  # fmt: skip
        ids, bodies, handle = [], [], account.handle
        for _, number, guid, words, at, kind, parent, owner, _person, *rest in rows:
            moment, exactly = moments(at)
            body = comment(handle, given(owner), guid, words, moment, kind, parent)
            body["row"] = {
                **columns(more, rest),
                "created_at": exactly,
            }
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[8] for row in rows))
        yield from packed(account, "comment", ids, bodies)


def _likes(batch: Batch) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        activity.likes(batch.schema, batch.scope),
        ("author_id id guid positive created_at target_type post_guid post_handle "
         "post_person").split(),
        more,
    ):  # fmt: skip
        ids, bodies, handle = [], [], account.handle
        for _, number, guid, positive, at, kind, parent, owner, _person, *rest in rows:
            body = like(handle, given(owner), guid, positive, exact(at), text(kind), parent)
            body["row"] = columns(more, rest)
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[8] for row in rows))
        yield from packed(account, "like", ids, bodies)


def _likes_of_comments(batch: Batch) -> Iterator[Item]:
    more = batch.more("likes", KNOWN_LIKE)
    for account, rows in batch.runs(
        activity.likes_of_comments(batch.schema, batch.scope),
        ("author_id id guid positive created_at comment_guid comment_handle comment_person "
         "of_post_guid of_post_handle of_post_person").split(),
        more,
    ):  # fmt: skip
        ids, bodies, handle = [], [], account.handle
        for _, number, guid, positive, at, parent, writer, _, post, owner, _person, *rest in rows:
            body = like(handle, given(writer), guid, positive, exact(at), "Comment", parent)
            body = like_of_comment(body, post, owner)
            body["row"] = columns(more, rest)
            ids.append(name_of(guid, number))
            bodies.append(body)
        batch.meet(account, (row[i] for row in rows for i in (7, 10)))
        yield from packed(account, "like", ids, bodies)


def _votes(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(activity.votes(batch.schema, batch.scope)):
        account = batch.by_person[row["author_id"]]
        batch.meet(account, (row["post_person"],))
        body = vote(row, account.handle, given(row["post_handle"]))
        body["row"] = batch.extra("poll_participations", row, KNOWN_VOTE)
        yield batch.record(account, "poll_vote", row["guid"], row["id"], body)


def _subscriptions(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(activity.subscriptions(batch.schema, batch.scope)):
        account = batch.by_person[row["author_id"]]
        batch.meet(account, (row["parent_person"],))
        parent = given(row["parent_guid"])
        data: Body = {"author": account.handle, "parent_type": text(row["target_type"])}
        if row["guid"] is not None:
            data["guid"] = text(row["guid"])
        if parent is not None:
            data["parent_guid"] = parent
        body: Body = {
            "entity_type": "participation",
            "entity_data": data,
            "parent": {
                "type": text(row["target_type"]),
                "guid": parent,
                "author": given(row["parent_handle"]),
            },
            "row": {
                **batch.extra("participations", row, KNOWN_PARTICIPATION),
                "created_at": exact(row["created_at"]),
            },
        }
        yield batch.record(account, "subscription", row["guid"], row["id"], body)
