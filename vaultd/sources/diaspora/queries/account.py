"""Questions about the account itself: users, its person, profile, and what hangs on them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

from vaultd.sources.diaspora.queries.query import Question, Scope, when
from vaultd.sources.diaspora.schema import Schema, kept

# Small tables by users.id, and by people.id; roles and preferences are records of their own.
HANGING: Final = ("invitation_codes", "services", "user_preferences")
ENDED: Final = (("account_deletions", "person_id"), ("roles", "person_id"))


def users(schema: Schema, scope: Scope) -> Question:
    """Ask for the rows of `users`, with the handle of who invited them as `inviter_handle`."""
    own, inviter = schema["users"], schema["people"].alias("inviter")
    return Question(
        name="users",
        select=select(*kept(own), inviter.c.diaspora_handle.label("inviter_handle"))
        .select_from(own)
        .outerjoin(inviter, inviter.c.owner_id == own.c.invited_by_id)
        .where(scope.users(own.c.id)),
        owner=own.c.id,
        by_person=False,
        order=(own.c.id,),
    )


def since(schema: Schema, scope: Scope) -> Question:
    """Ask when the accounts' own people rows were made."""
    people = schema["people"]
    return Question(
        name="since",
        select=select(people.c.owner_id, people.c.created_at).where(scope.users(people.c.owner_id)),
        owner=people.c.owner_id,
        by_person=False,
        order=(),
    )


def of_user(schema: Schema, scope: Scope, name: str) -> Question | None:
    """Ask for the rows of a small table with a `user_id`; None where a pod lacks it."""
    table = schema.get(name)
    if table is None:
        return None
    return Question(
        name=name,
        select=select(*kept(table)).where(scope.users(table.c.user_id)),
        owner=table.c.user_id,
        by_person=False,
        order=(table.c.id,),
    )


def of_person(schema: Schema, scope: Scope, name: str, column: str) -> Question | None:
    """Ask for the rows of a small table by a people.id; None where a pod lacks it."""
    table = schema.get(name)
    if table is None:
        return None
    return Question(
        name=name,
        select=select(*kept(table)).where(scope.persons(table.c[column])),
        owner=table.c[column],
        by_person=True,
        order=(table.c.id,),
    )


def reports(schema: Schema, scope: Scope) -> Question | None:
    """Ask for the reports that the accounts made, with the GUID of what they are about."""
    table, posts, comments = schema.get("reports"), schema["posts"], schema["comments"]
    if table is None:
        return None
    kind, number = table.c.item_type, table.c.item_id
    return Question(
        name="reports",
        select=select(*kept(table), func.coalesce(posts.c.guid, comments.c.guid).label("item_guid"))
        .select_from(table)
        .outerjoin(posts, posts.c.id == when(kind, "Post", number))
        .outerjoin(comments, comments.c.id == when(kind, "Comment", number))
        .where(scope.users(table.c.user_id)),
        owner=table.c.user_id,
        by_person=False,
        order=(table.c.id,),
    )


# The side of `account_migrations` that is the account itself, and the other one.
MOVES: Final = (("old_person_id", "new_person_id"), ("new_person_id", "old_person_id"))


def moves(schema: Schema, scope: Scope, mine: str, other: str) -> Question | None:
    """Ask for the moves of the accounts (see MOVES), with handle and GUID of the other side."""
    table, people = schema.get("account_migrations"), schema["people"]
    if table is None:
        return None
    return Question(
        name=f"moves_{mine}",
        select=select(
            *kept(table),
            people.c.diaspora_handle.label("other_handle"),
            people.c.guid.label("other_guid"),
        )
        .select_from(table)
        .outerjoin(people, people.c.id == table.c[other])
        .where(scope.persons(table.c[mine])),
        owner=table.c[mine],
        by_person=True,
        order=(table.c.id,),
    )


def profiles(schema: Schema, scope: Scope) -> Question:
    """Ask for the profiles; `updated_at` tells when they were edited (facts A5)."""
    table = schema["profiles"]
    return Question(
        name="profiles",
        select=select(*kept(table), table.c.updated_at).where(scope.persons(table.c.person_id)),
        owner=table.c.person_id,
        by_person=True,
        order=(table.c.id,),
    )


def profile_tags(schema: Schema, scope: Scope) -> Question:
    """Ask for the tags in the profiles."""
    table, tags, taggings = schema["profiles"], schema["tags"], schema["taggings"]
    return Question(
        name="profile_tags",
        select=select(table.c.person_id, tags.c.name)
        .select_from(table)
        .join(taggings, taggings.c.taggable_id == table.c.id)
        .join(tags, tags.c.id == taggings.c.tag_id)
        .where(taggings.c.taggable_type == "Profile", scope.persons(table.c.person_id)),
        owner=table.c.person_id,
        by_person=True,
        order=(taggings.c.id,),
    )
