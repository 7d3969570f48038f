"""The graph: aspects, contacts, blocks, followed tags, preferences, roles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from vaultd.records import Body, Json
from vaultd.sources.diaspora.batch import Batch
from vaultd.sources.diaspora.queries import account, graph
from vaultd.sources.diaspora.records.packing import Item, packed
from vaultd.sources.diaspora.records.values import (
    columns,
    exact,
    flag,
    given,
    json_safe,
    nulls,
    number,
    text,
)

_KNOWN_CONTACT: Final = frozenset("id user_id person_id sharing receiving created_at".split())


def read_graph(batch: Batch) -> Iterator[Item]:
    """Yield the graph's records of every account of the batch."""
    yield from _aspects(batch)
    yield from _contacts(batch)
    yield from _blocks(batch)
    yield from _followed_tags(batch)
    yield from _preferences(batch)
    yield from _roles(batch)


def _aspects(batch: Batch) -> Iterator[Item]:
    known = frozenset(("id", "user_id", "name", "order_id", "post_default", "created_at"))
    for row in batch.ask(graph.aspects(batch.schema, batch.scope)):
        body: Body = {
            "name": text(row["name"]),
            "order_id": number(row["order_id"]),
            "post_default": flag(row["post_default"]),
            "created_at": exact(row["created_at"]),
            "row": batch.extra("aspects", row, known) | nulls(row, ("name", "post_default")),
        }
        yield batch.record(batch.by_user[row["user_id"]], "aspect", str(row["id"]), row["id"], body)


def _contacts(batch: Batch) -> Iterator[Item]:
    memberships: dict[tuple[int, int], list[Json]] = defaultdict(list)
    for row in batch.ask(graph.memberships(batch.schema, batch.scope)):
        memberships[row["user_id"], row["contact_id"]].append(str(row["aspect_id"]))
    more = batch.more("contacts", _KNOWN_CONTACT)
    for owner, rows in batch.runs(
        graph.contacts(batch.schema, batch.scope),
        "user_id id person_id sharing receiving created_at diaspora_handle guid".split(),
        more,
    ):
        ids, bodies = [], []
        for user, contact, _, shares, receives, at, name, guid, *rest in rows:
            sharing, receiving = flag(shares), flag(receives)
            handle = given(name)
            extra: Body = columns(more, rest)
            body: Body = {
                "account_id": handle,
                "person_guid": json_safe(guid),
                "sharing": sharing,
                "receiving": receiving,
                "following": sharing,
                "followed": receiving,
                "aspects": memberships.get((user, contact), []),
                "created_at": exact(at),
                "row": extra,
            }
            ids.append(batch.own_id(owner, "contact", handle, contact))
            bodies.append(body)
        batch.meet(owner, (row[2] for row in rows), "contact")
        batch.ties[owner.key].sharing.update(row[2] for row in rows if flag(row[3]))
        yield from packed(owner, "contact", ids, bodies)
    # Local users who know the account: what they would lose, and what `sharing` cannot tell.
    for row in batch.rows(graph.followers(batch.schema, batch.scope)):
        ties = batch.ties[batch.by_person[row["person_id"]].key]
        ties.people.add(row["id"])
        ties.knows_me[row["id"]] = {
            "sharing": flag(row["sharing"]),
            "receiving": flag(row["receiving"]),
        }


def _blocks(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(graph.blocks(batch.schema, batch.scope)):
        owner = batch.by_user[row["user_id"]]
        if row["person_id"] is not None:
            batch.ties[owner.key].people.add(row["person_id"])
        handle = None if row["diaspora_handle"] is None else text(row["diaspora_handle"])
        body: Body = {"account_id": handle, "guid": json_safe(row["guid"])}
        yield batch.record(owner, "block", handle, row["id"], body)


def _followed_tags(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(graph.followed_tags(batch.schema, batch.scope)):
        body: Body = {"name": text(row["name"]), "created_at": exact(row["created_at"])}
        yield batch.record(
            batch.by_user[row["user_id"]], "followed_tag", text(row["name"]), row["id"], body
        )


def _preferences(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(account.of_user(batch.schema, batch.scope, "user_preferences")):
        kind = text(row["email_type"])
        body: Body = {"email_type": kind}
        yield batch.record(batch.by_user[row["user_id"]], "preference", kind, row["id"], body)


def _roles(batch: Batch) -> Iterator[Item]:
    for row in batch.ask(account.of_person(batch.schema, batch.scope, "roles", "person_id")):
        name = text(row["name"])
        body: Body = {"name": name, "created_at": exact(row["created_at"])}
        yield batch.record(batch.by_person[row["person_id"]], "role", name, row["id"], body)
