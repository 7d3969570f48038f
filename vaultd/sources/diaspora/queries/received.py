"""Questions about what others did on the accounts' posts, with stored signatures."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from vaultd.sources.diaspora.queries.query import Question, Scope
from vaultd.sources.diaspora.queries.signatures import signature, signed
from vaultd.sources.diaspora.schema import Schema, kept


def comments(schema: Schema, scope: Scope) -> Question:
    """Ask for others' comments on own posts."""
    table, post = schema["comments"], schema["posts"].alias("parent")
    author = schema["people"].alias("author")
    query = (
        select(
            *kept(table),
            post.c.guid.label("parent_guid"),
            post.c.author_id.label("parent_person"),
            *signature(schema, "comments", author),
        )
        .select_from(table)
        .join(post, and_(post.c.id == table.c.commentable_id, table.c.commentable_type == "Post"))
    )
    return Question(
        name="received_comments",
        select=signed(schema, "comments", query, author).where(
            scope.persons(post.c.author_id), table.c.author_id != post.c.author_id
        ),
        owner=post.c.author_id,
        by_person=True,
        order=(post.c.author_id, table.c.id),
        tied=author,
    )


def likes(schema: Schema, scope: Scope) -> Question:
    """Ask for others' likes of own posts."""
    table, post = schema["likes"], schema["posts"].alias("liked_post")
    author = schema["people"].alias("author")
    query = (
        select(
            *kept(table),
            post.c.guid.label("post_guid"),
            post.c.author_id.label("post_person"),
            *signature(schema, "likes", author),
        )
        .select_from(table)
        .join(post, and_(post.c.id == table.c.target_id, table.c.target_type == "Post"))
    )
    return Question(
        name="received_likes",
        select=signed(schema, "likes", query, author).where(
            scope.persons(post.c.author_id),
            or_(table.c.author_id.is_(None), table.c.author_id != post.c.author_id),
        ),
        owner=post.c.author_id,
        by_person=True,
        order=(post.c.author_id, table.c.id),
        tied=author,
    )


def likes_of_comments(schema: Schema, scope: Scope) -> Question:
    """Ask for others' likes of own comments, with the posts that these are on."""
    table, people = schema["likes"], schema["people"]
    author, remark = people.alias("author"), schema["comments"].alias("liked_comment")
    of_post, of_owner = schema["posts"].alias("of_post"), people.alias("of_post_author")
    query = (
        select(
            *kept(table),
            remark.c.guid.label("comment_guid"),
            remark.c.author_id.label("comment_person"),
            of_post.c.guid.label("of_post_guid"),
            of_owner.c.diaspora_handle.label("of_post_handle"),
            of_owner.c.id.label("of_post_person"),
            *signature(schema, "likes", author),
        )
        .select_from(table)
        .join(remark, and_(remark.c.id == table.c.target_id, table.c.target_type == "Comment"))
        .outerjoin(of_post, of_post.c.id == remark.c.commentable_id)
        .outerjoin(of_owner, of_owner.c.id == of_post.c.author_id)
    )
    return Question(
        name="received_likes_of_comments",
        select=signed(schema, "likes", query, author).where(
            scope.persons(remark.c.author_id),
            or_(table.c.author_id.is_(None), table.c.author_id != remark.c.author_id),
        ),
        owner=remark.c.author_id,
        by_person=True,
        order=(remark.c.author_id, table.c.id),
        tied=author,
    )


def likes_of_others_comments(schema: Schema, scope: Scope) -> Question:
    """Ask for others' likes of others' comments on own posts."""
    table, people = schema["likes"], schema["people"]
    author, remark = people.alias("author"), schema["comments"].alias("liked_comment")
    post, writer = schema["posts"].alias("of_post"), people.alias("comment_author")
    query = (
        select(
            *kept(table),
            remark.c.guid.label("comment_guid"),
            writer.c.diaspora_handle.label("comment_handle"),
            writer.c.id.label("comment_person"),
            post.c.guid.label("of_post_guid"),
            post.c.author_id.label("of_post_person"),
            *signature(schema, "likes", author),
        )
        .select_from(table)
        .join(remark, and_(remark.c.id == table.c.target_id, table.c.target_type == "Comment"))
        .join(post, and_(post.c.id == remark.c.commentable_id, remark.c.commentable_type == "Post"))
        .outerjoin(writer, writer.c.id == remark.c.author_id)
    )
    return Question(
        name="received_likes_of_others_comments",
        select=signed(schema, "likes", query, author).where(
            scope.persons(post.c.author_id),
            remark.c.author_id != post.c.author_id,
            or_(table.c.author_id.is_(None), table.c.author_id != post.c.author_id),
        ),
        owner=post.c.author_id,
        by_person=True,
        order=(post.c.author_id, table.c.id),
        tied=author,
    )


def votes(schema: Schema, scope: Scope) -> Question:
    """Ask for others' votes in own polls."""
    table, polls = schema["poll_participations"], schema["polls"]
    answers, post = schema["poll_answers"], schema["posts"].alias("poll_post")
    author = schema["people"].alias("author")
    query = (
        select(
            *kept(table),
            polls.c.guid.label("poll_guid"),
            answers.c.guid.label("answer_guid"),
            post.c.guid.label("post_guid"),
            post.c.author_id.label("post_person"),
            *signature(schema, "poll_participations", author),
        )
        .select_from(table)
        .join(polls, polls.c.id == table.c.poll_id)
        .join(post, post.c.id == polls.c.status_message_id)
        .outerjoin(answers, answers.c.id == table.c.poll_answer_id)
    )
    return Question(
        name="received_votes",
        select=signed(schema, "poll_participations", query, author).where(
            scope.persons(post.c.author_id), table.c.author_id != post.c.author_id
        ),
        owner=post.c.author_id,
        by_person=True,
        order=(post.c.author_id, table.c.id),
        tied=author,
    )


def reshares(schema: Schema, scope: Scope) -> Question:
    """Ask for others' reshares of own posts."""
    table, people = schema["posts"], schema["people"]
    root = table.alias("root")
    return Question(
        name="received_reshares",
        select=select(
            table.c.id,
            table.c.guid,
            table.c.author_id,
            table.c.created_at,
            table.c.root_guid,
            people.c.diaspora_handle,
            root.c.author_id.label("root_person"),
        )
        .select_from(table)
        .join(root, root.c.guid == table.c.root_guid)
        .outerjoin(people, people.c.id == table.c.author_id)
        .where(scope.persons(root.c.author_id), table.c.type == "Reshare"),
        owner=root.c.author_id,
        by_person=True,
        order=(root.c.author_id, table.c.id),
        tied=people,
    )


def subscribers(schema: Schema, scope: Scope) -> Question:
    """Ask who follows own posts."""
    table, own, people = schema["participations"], schema["posts"], schema["people"]
    return Question(
        name="subscribers",
        select=select(
            *kept(table),
            own.c.author_id.label("parent_person"),
            own.c.guid.label("parent_guid"),
            people.c.diaspora_handle.label("author_handle"),
        )
        .select_from(table)
        .join(own, and_(own.c.id == table.c.target_id, table.c.target_type == "Post"))
        .outerjoin(people, people.c.id == table.c.author_id)
        .where(scope.persons(own.c.author_id), table.c.author_id != own.c.author_id),
        owner=own.c.author_id,
        by_person=True,
        order=(own.c.author_id, table.c.id),
        tied=people,
    )
