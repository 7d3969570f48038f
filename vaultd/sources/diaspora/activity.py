"""What the user did: comments, likes, votes, subscriptions, with where their parents are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Select, and_, select

from vaultd.records import Body
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Item, Row
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


def comments_with_parents(batch: Batch, *more: Any) -> tuple[Select[Any], Any, Any]:
    """Return a query of comments with their posts, and the aliases of post and post's author."""
    comments, people = batch.schema["comments"], batch.schema["people"]
    post, owner = batch.schema["posts"].alias("parent"), people.alias("parent_author")
    query = (
        select(
            comments,
            post.c.guid.label("parent_guid"),
            owner.c.diaspora_handle.label("parent_handle"),
            owner.c.id.label("parent_person"),
            *more,
        )
        .outerjoin(post, and_(post.c.id == comments.c.commentable_id,
                              comments.c.commentable_type == "Post"))
        .outerjoin(owner, owner.c.id == post.c.author_id)
    )  # fmt: skip
    return query, post, owner


def likes_with_parents(batch: Batch, *more: Any) -> tuple[Select[Any], Any, Any]:
    """Return a query of likes with posts and comments they are on, and the aliases of both."""
    likes, people = batch.schema["likes"], batch.schema["people"]
    post, owner = batch.schema["posts"].alias("liked_post"), people.alias("post_author")
    remark, writer = batch.schema["comments"].alias("liked_comment"), people.alias("comment_author")
    of_post, of_owner = batch.schema["posts"].alias("of_post"), people.alias("of_post_author")
    query = (
        select(
            likes,
            post.c.guid.label("post_guid"),
            owner.c.diaspora_handle.label("post_handle"),
            owner.c.id.label("post_person"),
            remark.c.guid.label("comment_guid"),
            writer.c.diaspora_handle.label("comment_handle"),
            writer.c.id.label("comment_person"),
            of_post.c.guid.label("of_post_guid"),
            of_owner.c.diaspora_handle.label("of_post_handle"),
            of_owner.c.id.label("of_post_person"),
            *more,
        )
        .outerjoin(post, and_(post.c.id == likes.c.target_id, likes.c.target_type == "Post"))
        .outerjoin(owner, owner.c.id == post.c.author_id)
        .outerjoin(remark, and_(remark.c.id == likes.c.target_id, likes.c.target_type == "Comment"))
        .outerjoin(writer, writer.c.id == remark.c.author_id)
        .outerjoin(of_post, of_post.c.id == remark.c.commentable_id)
        .outerjoin(of_owner, of_owner.c.id == of_post.c.author_id)
    )
    return query, post, remark


def votes_with_parents(batch: Batch, *more: Any) -> tuple[Select[Any], Any]:
    """Return a query of votes with poll, answer and post, and the alias of the post."""
    votes, polls = batch.schema["poll_participations"], batch.schema["polls"]
    answers, people = batch.schema["poll_answers"], batch.schema["people"]
    post, owner = batch.schema["posts"].alias("poll_post"), people.alias("post_author")
    query = (
        select(
            votes,
            polls.c.guid.label("poll_guid"),
            answers.c.guid.label("answer_guid"),
            post.c.guid.label("post_guid"),
            owner.c.diaspora_handle.label("post_handle"),
            owner.c.id.label("post_person"),
            *more,
        )
        .outerjoin(polls, polls.c.id == votes.c.poll_id)
        .outerjoin(answers, answers.c.id == votes.c.poll_answer_id)
        .outerjoin(post, post.c.id == polls.c.status_message_id)
        .outerjoin(owner, owner.c.id == post.c.author_id)
    )
    return query, post


def read_activity(batch: Batch) -> Iterator[Item]:
    """Yield what every account of the batch did on its own and others' posts."""
    yield from _own(batch, "comment", "comments", comments_with_parents(batch)[0], KNOWN_COMMENT)
    yield from _own(batch, "like", "likes", likes_with_parents(batch)[0], KNOWN_LIKE)
    yield from _own(
        batch, "poll_vote", "poll_participations", votes_with_parents(batch)[0], KNOWN_VOTE
    )
    yield from _subscriptions(batch)


_MAKE: Final = {"comment": comment, "like": like, "poll_vote": vote}


def _own(
    batch: Batch, kind: str, name: str, query: Select[Any], known: frozenset[str]
) -> Iterator[Item]:
    table = batch.schema[name]
    query = query.where(table.c.author_id.in_(batch.persons)).order_by(
        table.c.author_id, table.c.id
    )
    for row in batch.rows(query):
        account: SourceAccount = batch.by_person[row["author_id"]]
        refer(batch, account, row)
        body = _MAKE[kind](row, account.handle)
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
    table, people = batch.schema["participations"], batch.schema["people"]
    post, owner = batch.schema["posts"].alias("target"), people.alias("target_author")
    query = (
        select(
            table,
            post.c.guid.label("parent_guid"),
            owner.c.diaspora_handle.label("parent_handle"),
            owner.c.id.label("parent_person"),
        )
        .outerjoin(post, and_(post.c.id == table.c.target_id, table.c.target_type == "Post"))
        .outerjoin(owner, owner.c.id == post.c.author_id)
        .where(table.c.author_id.in_(batch.persons))
        .order_by(table.c.author_id, table.c.id)
    )
    for row in batch.rows(query):
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
