"""Questions about the graph: aspects, contacts, blocks, followed tags."""

from __future__ import annotations

from sqlalchemy import Select, select

from vaultd.sources.diaspora.queries.query import Question, Scope
from vaultd.sources.diaspora.schema import Schema, kept


def aspects(schema: Schema, scope: Scope) -> Question:
    """Ask for the aspects."""
    table = schema["aspects"]
    return Question(
        name="aspects",
        select=select(*kept(table)).where(scope.users(table.c.user_id)),
        owner=table.c.user_id,
        by_person=False,
        order=(table.c.user_id, table.c.id),
    )


def memberships(schema: Schema, scope: Scope) -> Question:
    """Ask which contact is in which aspect."""
    members, own = schema["aspect_memberships"], schema["aspects"]
    return Question(
        name="memberships",
        select=select(members.c.contact_id, members.c.aspect_id, own.c.user_id)
        .select_from(members)
        .join(own, own.c.id == members.c.aspect_id)
        .where(scope.users(own.c.user_id)),
        owner=own.c.user_id,
        by_person=False,
        order=(members.c.contact_id, members.c.aspect_id),
    )


def contacts(schema: Schema, scope: Scope) -> Question:
    """Ask for the contacts with handle and guid."""
    table, people = schema["contacts"], schema["people"]
    return Question(
        name="contacts",
        select=select(*kept(table), people.c.diaspora_handle, people.c.guid)
        .select_from(table)
        .outerjoin(people, people.c.id == table.c.person_id)
        .where(scope.users(table.c.user_id)),
        owner=table.c.user_id,
        by_person=False,
        order=(table.c.user_id, table.c.id),
        tied=people,
    )


def followers(schema: Schema, scope: Scope) -> Select[tuple[int, bool, bool, int]]:
    """Return the query for local users who know the accounts (passive: no question)."""
    table, people = schema["contacts"], schema["people"]
    return (
        select(table.c.person_id, table.c.sharing, table.c.receiving, people.c.id)
        .join(people, people.c.owner_id == table.c.user_id)
        .where(scope.persons(table.c.person_id))
    )


def blocks(schema: Schema, scope: Scope) -> Question:
    """Ask for the blocked people."""
    table, people = schema["blocks"], schema["people"]
    return Question(
        name="blocks",
        select=select(*kept(table), people.c.diaspora_handle, people.c.guid)
        .select_from(table)
        .outerjoin(people, people.c.id == table.c.person_id)
        .where(scope.users(table.c.user_id)),
        owner=table.c.user_id,
        by_person=False,
        order=(table.c.user_id, table.c.id),
    )


def followed_tags(schema: Schema, scope: Scope) -> Question:
    """Ask for the followed tags."""
    table, tags = schema["tag_followings"], schema["tags"]
    return Question(
        name="followed_tags",
        select=select(*kept(table), tags.c.name)
        .select_from(table)
        .outerjoin(tags, tags.c.id == table.c.tag_id)
        .where(scope.users(table.c.user_id)),
        owner=table.c.user_id,
        by_person=False,
        order=(table.c.user_id, table.c.id),
    )
