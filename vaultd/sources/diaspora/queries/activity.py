"""Questions about what the accounts did: comments, likes, votes, subscriptions, and on what."""

from __future__ import annotations

from sqlalchemy import select

from vaultd.sources.diaspora.queries.query import Question, Scope, when
from vaultd.sources.diaspora.schema import Schema, kept


def comments(schema: Schema, scope: Scope) -> Question:
    """Ask for the comments with their posts and the posts' authors."""
    table, people = schema["comments"], schema["people"]
    post, owner = schema["posts"].alias("parent"), people.alias("parent_author")
    return Question(
        name="comments",
        select=select(
            *kept(table),
            post.c.guid.label("parent_guid"),
            owner.c.diaspora_handle.label("parent_handle"),
            owner.c.id.label("parent_person"),
        )
        .select_from(table)
        .outerjoin(
            post, post.c.id == when(table.c.commentable_type, "Post", table.c.commentable_id)
        )
        .outerjoin(owner, owner.c.id == post.c.author_id)
        .where(scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
    )


def likes(schema: Schema, scope: Scope) -> Question:
    """Ask for the likes of posts, with the posts' authors."""
    table, people = schema["likes"], schema["people"]
    post, owner = schema["posts"].alias("liked_post"), people.alias("post_author")
    return Question(
        name="likes",
        select=select(
            *kept(table),
            post.c.guid.label("post_guid"),
            owner.c.diaspora_handle.label("post_handle"),
            owner.c.id.label("post_person"),
        )
        .select_from(table)
        .outerjoin(post, post.c.id == when(table.c.target_type, "Post", table.c.target_id))
        .outerjoin(owner, owner.c.id == post.c.author_id)
        .where(scope.persons(table.c.author_id), table.c.target_type != "Comment"),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
    )


def likes_of_comments(schema: Schema, scope: Scope) -> Question:
    """Ask for the likes of comments, with the comments' authors and posts."""
    table, people = schema["likes"], schema["people"]
    remark, writer = schema["comments"].alias("liked_comment"), people.alias("comment_author")
    of_post, of_owner = schema["posts"].alias("of_post"), people.alias("of_post_author")
    return Question(
        name="likes_of_comments",
        select=select(
            *kept(table),
            remark.c.guid.label("comment_guid"),
            writer.c.diaspora_handle.label("comment_handle"),
            writer.c.id.label("comment_person"),
            of_post.c.guid.label("of_post_guid"),
            of_owner.c.diaspora_handle.label("of_post_handle"),
            of_owner.c.id.label("of_post_person"),
        )
        .select_from(table)
        .outerjoin(remark, remark.c.id == table.c.target_id)
        .outerjoin(writer, writer.c.id == remark.c.author_id)
        .outerjoin(of_post, of_post.c.id == remark.c.commentable_id)
        .outerjoin(of_owner, of_owner.c.id == of_post.c.author_id)
        .where(scope.persons(table.c.author_id), table.c.target_type == "Comment"),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
    )


def votes(schema: Schema, scope: Scope) -> Question:
    """Ask for the votes with poll, answer and post."""
    table, polls = schema["poll_participations"], schema["polls"]
    answers, people = schema["poll_answers"], schema["people"]
    post, owner = schema["posts"].alias("poll_post"), people.alias("post_author")
    return Question(
        name="votes",
        select=select(
            *kept(table),
            polls.c.guid.label("poll_guid"),
            answers.c.guid.label("answer_guid"),
            post.c.guid.label("post_guid"),
            owner.c.diaspora_handle.label("post_handle"),
            owner.c.id.label("post_person"),
        )
        .select_from(table)
        .outerjoin(polls, polls.c.id == table.c.poll_id)
        .outerjoin(answers, answers.c.id == table.c.poll_answer_id)
        .outerjoin(post, post.c.id == polls.c.status_message_id)
        .outerjoin(owner, owner.c.id == post.c.author_id)
        .where(scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
    )


def subscriptions(schema: Schema, scope: Scope) -> Question:
    """Ask for the participations with their posts."""
    table, people = schema["participations"], schema["people"]
    post, owner = schema["posts"].alias("target"), people.alias("target_author")
    return Question(
        name="subscriptions",
        select=select(
            *kept(table),
            post.c.guid.label("parent_guid"),
            owner.c.diaspora_handle.label("parent_handle"),
            owner.c.id.label("parent_person"),
        )
        .select_from(table)
        .outerjoin(post, post.c.id == when(table.c.target_type, "Post", table.c.target_id))
        .outerjoin(owner, owner.c.id == post.c.author_id)
        .where(scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
    )
