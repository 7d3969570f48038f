"""Questions about posts and photos, what hangs on them, and who was addressed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import case, select

from vaultd.sources.diaspora.queries.query import Question, Scope
from vaultd.sources.diaspora.schema import Schema, kept


def posts(schema: Schema, scope: Scope) -> Question:
    """Ask for the posts, reshares with the handle of their root's author."""
    table, people = schema["posts"], schema["people"]
    root, owner = table.alias("root"), people.alias("root_author")
    # Asked for one by one: few posts are reshares, and a join would look at every post there is.
    found = (
        select(owner.c.diaspora_handle)
        .select_from(root)
        .join(owner, owner.c.id == root.c.author_id)
        .where(root.c.guid == table.c.root_guid)
        .correlate(table)
    )
    handle, person = (
        case((table.c.root_guid.is_not(None), query.limit(1).scalar_subquery()))
        for query in (found, found.with_only_columns(owner.c.id))
    )
    return Question(
        name="posts",
        select=select(*kept(table), handle.label("root_handle"), person.label("root_person")).where(
            scope.persons(table.c.author_id)
        ),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
        unused=frozenset(("root_person",)),
    )


def photos(schema: Schema, scope: Scope) -> Question:
    """Ask for the photos."""
    table = schema["photos"]
    return Question(
        name="photos",
        select=select(*kept(table)).where(scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(table.c.author_id, table.c.id),
    )


def locations(schema: Schema, scope: Scope) -> Question | None:
    """Ask for the places of posts."""
    table = schema.get("locations")
    if table is None:
        return None
    return _of_posts(schema, scope, "locations", table, table.c.status_message_id)


def polls(schema: Schema, scope: Scope) -> Question:
    """Ask for the polls of posts."""
    table = schema["polls"]
    return _of_posts(schema, scope, "polls", table, table.c.status_message_id)


def _of_posts(schema: Schema, scope: Scope, name: str, table: Any, column: Any) -> Question:
    own = schema["posts"]
    return Question(
        name=name,
        select=select(*kept(table))
        .select_from(table)
        .join(own, own.c.id == column)
        .where(scope.persons(own.c.author_id)),
        owner=own.c.author_id,
        by_person=True,
        order=(table.c.id,),
    )


def poll_answers(schema: Schema, scope: Scope) -> Question:
    """Ask for the answers that polls offer."""
    answers, own, table = schema["poll_answers"], schema["polls"], schema["posts"]
    return Question(
        name="poll_answers",
        select=select(*kept(answers))
        .select_from(answers)
        .join(own, own.c.id == answers.c.poll_id)
        .join(table, table.c.id == own.c.status_message_id)
        .where(scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(answers.c.poll_id, answers.c.id),
    )


def post_tags(schema: Schema, scope: Scope) -> Question:
    """Ask for the tags of posts."""
    table, tags, taggings = schema["posts"], schema["tags"], schema["taggings"]
    return Question(
        name="post_tags",
        select=select(taggings.c.taggable_id, tags.c.name)
        .select_from(taggings)
        .join(table, table.c.id == taggings.c.taggable_id)
        .join(tags, tags.c.id == taggings.c.tag_id)
        .where(taggings.c.taggable_type == "Post", scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(taggings.c.id,),
    )


def references(schema: Schema, scope: Scope) -> Question | None:
    """Ask which posts the posts link to."""
    table, own = schema.get("references"), schema["posts"]
    if table is None:
        return None
    target = own.alias("target")
    return Question(
        name="references",
        select=select(table.c.source_id, table.c.target_type, target.c.guid)
        .select_from(table)
        .join(own, own.c.id == table.c.source_id)
        .join(target, target.c.id == table.c.target_id)
        .where(table.c.source_type == "Post", scope.persons(own.c.author_id)),
        owner=own.c.author_id,
        by_person=True,
        order=(table.c.id,),
    )


def shown_to(schema: Schema, scope: Scope, kind: str) -> Question:
    """Ask which aspects may see which posts or photos (`kind` is `Post` or `Photo`)."""
    table, own = schema["aspect_visibilities"], schema["aspects"]
    return Question(
        name=f"shown_to_{kind}",
        select=select(table.c.shareable_id, table.c.aspect_id, own.c.user_id)
        .select_from(table)
        .join(own, own.c.id == table.c.aspect_id)
        .where(scope.users(own.c.user_id), table.c.shareable_type == kind),
        owner=own.c.user_id,
        by_person=False,
        order=(table.c.shareable_id, table.c.aspect_id),
    )


def recipients(schema: Schema, scope: Scope, kind: str) -> Question:
    """Ask for the local people who got a private post or photo (`kind` is `Post` or `Photo`)."""
    table, people = schema["share_visibilities"], schema["people"]
    own = schema["posts" if kind == "Post" else "photos"]
    return Question(
        name=f"recipients_{kind}",
        select=select(own.c.author_id, own.c.guid, people.c.id)
        .select_from(table)
        .join(own, own.c.id == table.c.shareable_id)
        .join(people, people.c.owner_id == table.c.user_id)
        .where(table.c.shareable_type == kind, scope.persons(own.c.author_id)),
        owner=own.c.author_id,
        by_person=True,
        order=(own.c.id, people.c.id),
        tied=people,
    )


def mentions(schema: Schema, scope: Scope, kind: str) -> Question:
    """Ask for the people named in own texts (`kind` is `Post` or `Comment`)."""
    found, people = schema["mentions"], schema["people"]
    table = schema["posts" if kind == "Post" else "comments"]
    return Question(
        name=f"mentions_{kind}",
        select=select(table.c.author_id, table.c.guid, found.c.person_id)
        .select_from(table)
        .join(found, found.c.mentions_container_id == table.c.id)
        .outerjoin(people, people.c.id == found.c.person_id)
        .where(found.c.mentions_container_type == kind, scope.persons(table.c.author_id)),
        owner=table.c.author_id,
        by_person=True,
        order=(found.c.id,),
        tied=people,
    )
