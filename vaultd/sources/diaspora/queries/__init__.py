"""Everything that is asked about accounts, each query defined once."""

from __future__ import annotations

from vaultd.sources.diaspora.queries import (
    account,
    activity,
    conversations,
    graph,
    posts,
    received,
    shared,
)
from vaultd.sources.diaspora.queries.query import Question, Scope
from vaultd.sources.diaspora.schema import Schema

__all__ = ["Question", "Scope", "account", "activity", "conversations", "counted", "graph",
           "posts", "received", "shared"]  # fmt: skip


def counted(schema: Schema, scope: Scope) -> list[Question]:
    """Return every question whose rows reach a record that may cause an archive.

    Hidden posts are the one thing not among them: their ids stand in a text (see fingerprints).
    """
    asked: list[Question | None] = [
        account.users(schema, scope),
        account.since(schema, scope),
        *(account.of_user(schema, scope, name) for name in account.HANGING),
        account.reports(schema, scope),
        *(account.of_person(schema, scope, name, key) for name, key in account.ENDED),
        *(account.moves(schema, scope, *sides) for sides in account.MOVES),
        account.profiles(schema, scope),
        account.profile_tags(schema, scope),
        graph.aspects(schema, scope),
        graph.memberships(schema, scope),
        graph.contacts(schema, scope),
        graph.blocks(schema, scope),
        graph.followed_tags(schema, scope),
        posts.posts(schema, scope),
        posts.photos(schema, scope),
        posts.locations(schema, scope),
        posts.polls(schema, scope),
        posts.poll_answers(schema, scope),
        posts.post_tags(schema, scope),
        posts.references(schema, scope),
        *(posts.recipients(schema, scope, kind) for kind in ("Post", "Photo")),
        *(posts.shown_to(schema, scope, kind) for kind in ("Post", "Photo")),
        *(posts.mentions(schema, scope, kind) for kind in ("Post", "Comment")),
        activity.comments(schema, scope),
        activity.likes(schema, scope),
        activity.likes_of_comments(schema, scope),
        activity.votes(schema, scope),
        activity.subscriptions(schema, scope),
        received.comments(schema, scope),
        received.likes(schema, scope),
        received.likes_of_comments(schema, scope),
        received.likes_of_others_comments(schema, scope),
        received.votes(schema, scope),
        received.reshares(schema, scope),
        received.subscribers(schema, scope),
        conversations.partners(schema, scope),
        conversations.conversations(schema, scope),
        conversations.messages(schema, scope),
        *(shared.things(schema, scope, name) for name in ("posts", "photos")),
        shared.locations(schema, scope),
        shared.polls(schema, scope),
        shared.poll_answers(schema, scope),
        shared.comments(schema, scope),
        shared.likes(schema, scope),
        shared.likes_of_comments(schema, scope),
        shared.votes(schema, scope),
    ]
    return [question for question in asked if question is not None]
