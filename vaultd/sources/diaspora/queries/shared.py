"""Questions about others' private posts and photos that accounts may read, and what is on them.

A row belongs to the reader; what the readers did there themselves is among their own activity.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, or_, select

from vaultd.sources.diaspora.queries.query import Question, Scope
from vaultd.sources.diaspora.queries.signatures import signature, signed
from vaultd.sources.diaspora.schema import Schema, kept


class _Shared:
    """The tables that lead from a reader to a thing (`posts` or `photos`) shared with them."""

    def __init__(self, schema: Schema, name: str = "posts") -> None:
        self.seen, self.thing = schema["share_visibilities"], schema[name].alias("shared")
        self._me = schema["people"].alias("me")
        self.owner = schema["people"].alias("shared_author")
        self._kind = {"posts": "Post", "photos": "Photo"}[name]

    def join(self, scope: Scope, *columns: Any) -> Select[Any]:
        """Select the reader and these columns, all tables joined."""
        seen, thing = self.seen, self.thing
        return (
            select(seen.c.user_id, *columns)
            .select_from(seen)
            .join(
                thing, and_(thing.c.id == seen.c.shareable_id, seen.c.shareable_type == self._kind)
            )
            .join(self._me, self._me.c.owner_id == seen.c.user_id)
            .outerjoin(self.owner, self.owner.c.id == thing.c.author_id)
            .where(scope.users(seen.c.user_id), thing.c.author_id != self._me.c.id)
        )

    def not_mine(self, column: Any) -> Any:
        """Return the condition that somebody else than the reader is in a column."""
        return or_(column.is_(None), column != self._me.c.id)

    def question(self, name: str, query: Select[Any], table: Any) -> Question:
        """Return the question of one reader after the other."""
        reader = self.seen.c.user_id
        return Question(
            name=f"shared_{name}",
            select=query,
            owner=reader,
            by_person=False,
            order=(reader, table.c.id),
        )


def things(schema: Schema, scope: Scope, name: str) -> Question:
    """Ask for the posts or photos (`name` is the table) with their authors' handles."""
    shared = _Shared(schema, name)
    thing, owner = shared.thing, shared.owner
    columns = [thing.c[column.name] for column in kept(schema[name])]
    query = shared.join(
        scope, *columns, owner.c.diaspora_handle.label("author_handle"), shared.seen.c.hidden
    )
    return shared.question(name, query, thing)


def locations(schema: Schema, scope: Scope) -> Question | None:
    """Ask for the places of the posts."""
    table, shared = schema.get("locations"), _Shared(schema)
    if table is None:
        return None
    query = shared.join(scope, *kept(table))
    query = query.join(table, table.c.status_message_id == shared.thing.c.id)
    return shared.question("locations", query, table)


def polls(schema: Schema, scope: Scope) -> Question:
    """Ask for the polls of the posts."""
    table, shared = schema["polls"], _Shared(schema)
    query = shared.join(scope, *kept(table))
    query = query.join(table, table.c.status_message_id == shared.thing.c.id)
    return shared.question("polls", query, table)


def poll_answers(schema: Schema, scope: Scope) -> Question:
    """Ask for the answers that these polls offer."""
    table, polls, shared = schema["poll_answers"], schema["polls"], _Shared(schema)
    query = (
        shared.join(scope, *kept(table))
        .join(polls, polls.c.status_message_id == shared.thing.c.id)
        .join(table, table.c.poll_id == polls.c.id)
    )
    return shared.question("poll_answers", query, table)


def comments(schema: Schema, scope: Scope) -> Question:
    """Ask for others' comments on the posts."""
    table, shared = schema["comments"], _Shared(schema)
    author = schema["people"].alias("author")
    post = shared.thing
    query = shared.join(
        scope,
        *kept(table),
        post.c.guid.label("post_guid"),
        shared.owner.c.diaspora_handle.label("post_handle"),
        *signature(schema, "comments", author),
    ).join(table, and_(table.c.commentable_id == post.c.id, table.c.commentable_type == "Post"))
    query = signed(schema, "comments", query, author).where(shared.not_mine(table.c.author_id))
    return shared.question("comments", query, table)


def likes(schema: Schema, scope: Scope) -> Question:
    """Ask for others' likes of the posts."""
    table, shared = schema["likes"], _Shared(schema)
    author = schema["people"].alias("author")
    post = shared.thing
    query = shared.join(
        scope,
        *kept(table),
        post.c.guid.label("post_guid"),
        shared.owner.c.diaspora_handle.label("post_handle"),
        *signature(schema, "likes", author),
    ).join(table, and_(table.c.target_id == post.c.id, table.c.target_type == "Post"))
    query = signed(schema, "likes", query, author).where(shared.not_mine(table.c.author_id))
    return shared.question("likes", query, table)


def likes_of_comments(schema: Schema, scope: Scope) -> Question:
    """Ask for others' likes of others' comments on the posts."""
    table, shared, people = schema["likes"], _Shared(schema), schema["people"]
    author, writer = people.alias("author"), people.alias("comment_author")
    post, remark = shared.thing, schema["comments"].alias("liked_comment")
    query = (
        shared.join(
            scope,
            *kept(table),
            remark.c.guid.label("comment_guid"),
            writer.c.diaspora_handle.label("comment_handle"),
            writer.c.id.label("comment_person"),
            post.c.guid.label("post_guid"),
            shared.owner.c.diaspora_handle.label("post_handle"),
            *signature(schema, "likes", author),
        )
        .join(
            remark, and_(remark.c.commentable_id == post.c.id, remark.c.commentable_type == "Post")
        )
        .join(table, and_(table.c.target_id == remark.c.id, table.c.target_type == "Comment"))
        .outerjoin(writer, writer.c.id == remark.c.author_id)
    )
    query = signed(schema, "likes", query, author).where(
        shared.not_mine(table.c.author_id), shared.not_mine(remark.c.author_id)
    )
    return shared.question("likes_of_comments", query, table)


def votes(schema: Schema, scope: Scope) -> Question:
    """Ask for others' votes in the posts' polls."""
    table, polls, shared = schema["poll_participations"], schema["polls"], _Shared(schema)
    answers, author = schema["poll_answers"], schema["people"].alias("author")
    post = shared.thing
    query = (
        shared.join(
            scope,
            *kept(table),
            polls.c.guid.label("poll_guid"),
            answers.c.guid.label("answer_guid"),
            post.c.guid.label("post_guid"),
            shared.owner.c.diaspora_handle.label("post_handle"),
            *signature(schema, "poll_participations", author),
        )
        .join(polls, polls.c.status_message_id == post.c.id)
        .join(table, table.c.poll_id == polls.c.id)
        .outerjoin(answers, answers.c.id == table.c.poll_answer_id)
    )
    query = signed(schema, "poll_participations", query, author).where(
        shared.not_mine(table.c.author_id)
    )
    return shared.question("votes", query, table)
