"""The graph: aspects, contacts, blocks, followed tags, preferences, roles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from sqlalchemy import select

from vaultd.records import Body, Json
from vaultd.sources.diaspora.batch import Batch, Item
from vaultd.sources.diaspora.values import exact, flag, json_safe, number, text


def read_graph(batch: Batch) -> Iterator[Item]:
    """Yield the graph's records of every account of the batch."""
    yield from _aspects(batch)
    yield from _contacts(batch)
    yield from _blocks(batch)
    yield from _followed_tags(batch)
    yield from _preferences(batch)
    yield from _roles(batch)


def _aspects(batch: Batch) -> Iterator[Item]:
    table = batch.schema["aspects"]
    known = frozenset(("id", "user_id", "name", "order_id", "post_default", "created_at"))
    query = (
        select(table).where(table.c.user_id.in_(batch.users)).order_by(table.c.user_id, table.c.id)
    )
    for row in batch.rows(query):
        body: Body = {
            "name": text(row["name"]),
            "order_id": number(row["order_id"]),
            "post_default": flag(row["post_default"]),
            "created_at": exact(row["created_at"]),
            "row": batch.extra("aspects", row, known),
        }
        yield batch.record(batch.by_user[row["user_id"]], "aspect", str(row["id"]), row["id"], body)


def _contacts(batch: Batch) -> Iterator[Item]:
    contacts, people = batch.schema["contacts"], batch.schema["people"]
    members, aspects = batch.schema["aspect_memberships"], batch.schema["aspects"]
    memberships: dict[int, list[Json]] = defaultdict(list)
    query = (
        select(members.c.contact_id, members.c.aspect_id)
        .join(aspects, aspects.c.id == members.c.aspect_id)
        .where(aspects.c.user_id.in_(batch.users))
        .order_by(members.c.contact_id, members.c.aspect_id)
    )
    for row in batch.rows(query):
        memberships[row["contact_id"]].append(str(row["aspect_id"]))
    known = frozenset(("id", "user_id", "person_id", "sharing", "receiving", "created_at"))
    query = (
        select(contacts, people.c.diaspora_handle, people.c.guid)
        .outerjoin(people, people.c.id == contacts.c.person_id)
        .where(contacts.c.user_id.in_(batch.users))
        .order_by(contacts.c.user_id, contacts.c.id)
    )
    for row in batch.rows(query):
        account = batch.by_user[row["user_id"]]
        sharing, receiving = flag(row["sharing"]), flag(row["receiving"])
        handle = None if row["diaspora_handle"] is None else text(row["diaspora_handle"])
        body: Body = {
            "account_id": handle,
            "person_guid": json_safe(row["guid"]),
            "sharing": sharing,
            "receiving": receiving,
            "following": sharing,
            "followed": receiving,
            "aspects": memberships.get(row["id"], []),
            "created_at": exact(row["created_at"]),
            "row": batch.extra("contacts", row, known),
        }
        batch.ties[account.key].people.add(row["person_id"])
        batch.ties[account.key].reasons["contact"].add(row["person_id"])
        yield batch.record(account, "contact", handle, row["id"], body)
    # Local users who know the account: what they would lose, and what `sharing` cannot tell.
    followers = (
        select(contacts.c.person_id, contacts.c.sharing, contacts.c.receiving, people.c.id)
        .join(people, people.c.owner_id == contacts.c.user_id)
        .where(contacts.c.person_id.in_(batch.persons))
    )
    for row in batch.rows(followers):
        ties = batch.ties[batch.by_person[row["person_id"]].key]
        ties.people.add(row["id"])
        ties.knows_me[row["id"]] = {
            "sharing": flag(row["sharing"]),
            "receiving": flag(row["receiving"]),
        }


def _blocks(batch: Batch) -> Iterator[Item]:
    table, people = batch.schema["blocks"], batch.schema["people"]
    query = (
        select(table, people.c.diaspora_handle, people.c.guid)
        .outerjoin(people, people.c.id == table.c.person_id)
        .where(table.c.user_id.in_(batch.users))
        .order_by(table.c.user_id, table.c.id)
    )
    for row in batch.rows(query):
        account = batch.by_user[row["user_id"]]
        if row["person_id"] is not None:
            batch.ties[account.key].people.add(row["person_id"])
        handle = None if row["diaspora_handle"] is None else text(row["diaspora_handle"])
        body: Body = {"account_id": handle, "guid": json_safe(row["guid"])}
        yield batch.record(account, "block", handle, row["id"], body)


def _followed_tags(batch: Batch) -> Iterator[Item]:
    table, tags = batch.schema["tag_followings"], batch.schema["tags"]
    query = (
        select(table, tags.c.name)
        .outerjoin(tags, tags.c.id == table.c.tag_id)
        .where(table.c.user_id.in_(batch.users))
        .order_by(table.c.user_id, table.c.id)
    )
    for row in batch.rows(query):
        body: Body = {"name": text(row["name"]), "created_at": exact(row["created_at"])}
        yield batch.record(
            batch.by_user[row["user_id"]], "followed_tag", text(row["name"]), row["id"], body
        )


def _preferences(batch: Batch) -> Iterator[Item]:
    table = batch.schema.get("user_preferences")
    if table is None:
        return
    query = (
        select(table).where(table.c.user_id.in_(batch.users)).order_by(table.c.user_id, table.c.id)
    )
    for row in batch.rows(query):
        kind = text(row["email_type"])
        body: Body = {"email_type": kind}
        yield batch.record(batch.by_user[row["user_id"]], "preference", kind, row["id"], body)


def _roles(batch: Batch) -> Iterator[Item]:
    table = batch.schema.get("roles")
    if table is None:
        return
    query = select(table).where(table.c.person_id.in_(batch.persons)).order_by(table.c.id)
    for row in batch.rows(query):
        name = text(row["name"])
        body: Body = {"name": name, "created_at": exact(row["created_at"])}
        yield batch.record(batch.by_person[row["person_id"]], "role", name, row["id"], body)
