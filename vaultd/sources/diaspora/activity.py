"""What the user did: comments, likes, votes, subscriptions, with where their parents are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from vaultd.records import Body
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Item
from vaultd.sources.diaspora.questions import Question, activity
from vaultd.sources.diaspora.relayables import comment, like, vote
from vaultd.sources.diaspora.values import exact, given, text

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
    for kind, table, asked, known, parent in (
        ("comment", "comments", activity.comments(schema, scope), KNOWN_COMMENT, "parent"),
        ("like", "likes", activity.likes(schema, scope), KNOWN_LIKE, "post"),
        ("like", "likes", activity.likes_of_comments(schema, scope), KNOWN_LIKE, "comment"),
        ("poll_vote", "poll_participations", activity.votes(schema, scope), KNOWN_VOTE, "post"),
    ):
        yield from _own(batch, kind, table, asked, known, parent)
    yield from _subscriptions(batch)


_MAKE: Final = {"comment": comment, "like": like, "poll_vote": vote}


def _own(
    batch: Batch, kind: str, table: str, asked: Question, known: frozenset[str], parent: str
) -> Iterator[Item]:
    make, person, handle = _MAKE[kind], f"{parent}_person", f"{parent}_handle"
    for row in batch.ask(asked):
        account: SourceAccount = batch.by_person[row["author_id"]]
        people = batch.ties[account.key].people
        if row[person] is not None:
            people.add(row[person])
        if parent == "comment" and row["of_post_person"] is not None:
            people.add(row["of_post_person"])
        body = make(row, account.handle, given(row[handle]))
        extra = batch.extra(table, row, known)
        if kind == "comment":
            extra["created_at"] = exact(row["created_at"])
        body["row"] = extra
        yield batch.record(account, kind, row["guid"], row["id"], body)


def _subscriptions(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(activity.subscriptions(batch.schema, batch.scope)):
        account = batch.by_person[row["author_id"]]
        if row["parent_person"] is not None:
            batch.ties[account.key].people.add(row["parent_person"])
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
                **batch.extra("participations", row, _KNOWN_PARTICIPATION),
                "created_at": exact(row["created_at"]),
            },
        }
        yield batch.record(account, "subscription", row["guid"], row["id"], body)
