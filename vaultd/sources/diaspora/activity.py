"""What the user did: comments, likes, votes, subscriptions, with where their parents are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vaultd.records import Body
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Item, Row
from vaultd.sources.diaspora.questions import Question, activity
from vaultd.sources.diaspora.relayables import comment, like, vote
from vaultd.sources.diaspora.values import exact, text

KNOWN_COMMENT: Final = frozenset(
    "id text commentable_id author_id guid commentable_type created_at".split()
)
KNOWN_LIKE: Final = frozenset("id positive target_id author_id guid target_type created_at".split())
KNOWN_VOTE: Final = frozenset("id poll_answer_id author_id poll_id guid created_at".split())
_KNOWN_PARTICIPATION: Final = frozenset(
    "id guid target_id target_type author_id count created_at".split()
)


def read_activity(batch: Batch) -> Iterator[Item]:
    """Yield what every account of the batch did on its own and others' posts."""
    schema, scope = batch.schema, batch.scope
    yield from _own(batch, "comment", "comments", activity.comments(schema, scope), KNOWN_COMMENT)
    for asked in (activity.likes(schema, scope), activity.likes_of_comments(schema, scope)):
        yield from _own(batch, "like", "likes", asked, KNOWN_LIKE)
    yield from _own(
        batch, "poll_vote", "poll_participations", activity.votes(schema, scope), KNOWN_VOTE
    )
    yield from _subscriptions(batch)


_MAKE: Final = {"comment": comment, "like": like, "poll_vote": vote}
_PARENT: Final = {"comment": "parent_handle", "like": "post_handle", "poll_vote": "post_handle"}


def _own(
    batch: Batch, kind: str, name: str, asked: Question, known: frozenset[str]
) -> Iterator[Item]:
    for row in batch.ask(asked):
        account: SourceAccount = batch.by_person[row["author_id"]]
        refer(batch, account, row)
        column = _PARENT[kind]
        if kind == "like" and text(row["target_type"]) == "Comment":
            column = "comment_handle"
        parent = None if row[column] is None else text(row[column])
        body = _MAKE[kind](row, account.handle, parent)
        body["row"] = batch.extra(name, row, known)
        if kind == "comment":
            body["row"] = {**batch.extra(name, row, known), "created_at": exact(row["created_at"])}
        yield batch.record(account, kind, row["guid"], row["id"], body)


def refer(batch: Batch, account: SourceAccount, row: Row) -> None:
    """Note everybody whom a row's parents belong to."""
    for name in ("parent_person", "post_person", "comment_person", "of_post_person"):
        if name in row and row[name] is not None:
            batch.ties[account.key].people.add(row[name])


def _subscriptions(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(activity.subscriptions(batch.schema, batch.scope)):
        account = batch.by_person[row["author_id"]]
        refer(batch, account, row)
        parent = None if row["parent_guid"] is None else text(row["parent_guid"])
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
                "author": None if row["parent_handle"] is None else text(row["parent_handle"]),
            },
            "row": {
                **batch.extra("participations", row, _KNOWN_PARTICIPATION),
                "created_at": exact(row["created_at"]),
            },
        }
        yield batch.record(account, "subscription", row["guid"], row["id"], body)
