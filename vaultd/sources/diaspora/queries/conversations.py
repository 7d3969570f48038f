"""Questions about conversations: who is in them, they themselves, and their messages."""

from __future__ import annotations

from sqlalchemy import select

from vaultd.sources.diaspora.queries.query import Question, Scope
from vaultd.sources.diaspora.schema import Schema, kept


def partners(schema: Schema, scope: Scope) -> Question:
    """Ask for everybody in the conversations that the accounts see."""
    seen, people = schema["conversation_visibilities"], schema["people"]
    mine = seen.alias("mine")
    return Question(
        name="partners",
        select=select(
            mine.c.person_id.label("me"),
            seen.c.conversation_id,
            seen.c.person_id,
            people.c.diaspora_handle,
        )
        .select_from(mine)
        .join(seen, seen.c.conversation_id == mine.c.conversation_id)
        .outerjoin(people, people.c.id == seen.c.person_id)
        .where(scope.persons(mine.c.person_id)),
        owner=mine.c.person_id,
        by_person=True,
        order=(seen.c.id,),
        tied=people,
    )


def conversations(schema: Schema, scope: Scope) -> Question:
    """Ask for the conversations; their record holds `updated_at` (facts A5: every message)."""
    talks, people = schema["conversations"], schema["people"]
    mine = schema["conversation_visibilities"].alias("mine")
    return Question(
        name="conversations",
        select=select(
            *kept(talks),
            talks.c.updated_at,
            mine.c.person_id.label("me"),
            mine.c.unread,
            people.c.diaspora_handle,
        )
        .select_from(talks)
        .join(mine, mine.c.conversation_id == talks.c.id)
        .outerjoin(people, people.c.id == talks.c.author_id)
        .where(scope.persons(mine.c.person_id)),
        owner=mine.c.person_id,
        by_person=True,
        order=(mine.c.person_id, talks.c.id),
    )


def messages(schema: Schema, scope: Scope) -> Question:
    """Ask for all messages of the conversations."""
    table, talks, people = schema["messages"], schema["conversations"], schema["people"]
    mine = schema["conversation_visibilities"].alias("mine")
    return Question(
        name="messages",
        select=select(
            *kept(table),
            mine.c.person_id.label("me"),
            people.c.diaspora_handle,
            talks.c.guid.label("conversation_guid"),
        )
        .select_from(table)
        .join(mine, mine.c.conversation_id == table.c.conversation_id)
        .outerjoin(talks, talks.c.id == table.c.conversation_id)
        .outerjoin(people, people.c.id == table.c.author_id)
        .where(scope.persons(mine.c.person_id)),
        owner=mine.c.person_id,
        by_person=True,
        order=(mine.c.person_id, table.c.id),
    )
