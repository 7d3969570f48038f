"""The last records of an account: who saw it (audience), and everybody referenced (person)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from vaultd.records import Body, Json, Records, encode_body, encode_record
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Row, Ties
from vaultd.sources.diaspora.packing import Item, packed
from vaultd.sources.diaspora.pods import read_pods
from vaultd.sources.diaspora.values import flag, json_safe, seconds, text


def read_inbox(batch: Batch) -> None:
    """Note the private posts and photos that others shared with the accounts."""
    table = batch.schema["share_visibilities"]
    for kind, name in (("Post", "posts"), ("Photo", "photos")):
        shared = batch.schema[name]
        query = (
            select(
                table.c.user_id, table.c.hidden, shared.c.guid, shared.c.author_id, shared.c.text,
                shared.c.created_at,
            )
            .join(shared, shared.c.id == table.c.shareable_id)
            .where(table.c.shareable_type == kind, batch.scope.users(table.c.user_id))
            .order_by(table.c.user_id, table.c.id)
        )  # fmt: skip
        for row in batch.rows(query):
            if row["author_id"] == batch.person_of.get(row["user_id"]):
                continue
            what: Json = {
                "type": kind,
                "guid": text(row["guid"]),
                "created_at": seconds(row["created_at"]),
                "hidden": flag(row["hidden"]),
                "text": json_safe(row["text"]),
            }
            batch.ties[row["user_id"]].tie(row["author_id"], "shares_with_me", what)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same of a person for every account: handle, host, and the record without ties."""

    handle: str
    host: str
    wire: bytes


def read_people(batch: Batch) -> Iterator[Item]:
    """Yield `audience`, `known_pods` and `person` of every account; these come last."""
    own_host = batch.pod_url.partition("://")[2].strip("/").replace("www.", "")
    pods = read_pods(batch)
    urls = {**pods.urls, own_host: batch.pod_url.rstrip("/") + "/"}
    known = _people(batch, pods.hosts, own_host)
    for account in batch.by_user.values():
        ties = batch.ties[account.key]
        me = batch.person_of.get(account.key)
        ties.people.discard(me or 0)
        yield from _audience(account, ties, known, urls)
        if pods.known.ids:
            yield account, pods.known
        people = sorted(ties.people & known.keys())
        wires = [_person(ties, person, known[person]) for person in people]
        handles = [known[person].handle for person in people]
        if people:
            yield account, Records("person", handles, wires, passive=True)


def _people(batch: Batch, pods: Mapping[int, str], own_host: str) -> dict[int, _Known]:
    people, profiles = batch.schema["people"], batch.schema["profiles"]
    # NULL, or a text in SQLite, where a number should be is nobody.
    met = (person for ties in batch.ties.values() for person in ties.people)
    wanted = {person for person in met if isinstance(person, int)}
    query = select(
        people, profiles.c.first_name, profiles.c.last_name, profiles.c.image_url
    ).outerjoin(profiles, profiles.c.person_id == people.c.id)
    found = {}
    for row in batch.lookup(query, people.c.id, wanted):
        host, handle = _host(row, pods, own_host), text(row["diaspora_handle"])
        body: Body = {
            "handle": handle,
            "guid": text(row["guid"]),
            "public_key": text(row["serialized_public_key"]),
            "pod": host,
            "closed": flag(row["closed_account"]),
            "name": f"{text(row['first_name'])} {text(row['last_name'])}".strip(),
            "ties": {},
        }
        if row["image_url"] is not None:
            body["image_url"] = text(row["image_url"])
        found[row["id"]] = _Known(handle, host, encode_record("person", handle, body))
    return found


def _host(row: Row, pods: Mapping[int, str], own: str) -> str:
    if row["owner_id"] is not None:
        return own
    if row["pod_id"] in pods:
        return pods[row["pod_id"]]
    return text(row["diaspora_handle"]).rpartition("@")[2]


def _audience(
    account: SourceAccount, ties: Ties, known: dict[int, _Known], urls: dict[str, str]
) -> Iterator[Item]:
    why: dict[str, dict[str, int]] = {}
    seen: dict[str, set[str]] = {}
    for reason, people in sorted(ties.reasons.items()):
        for person in people:
            who = known.get(person)
            if who is None or person not in ties.people:
                continue
            reasons = why.setdefault(who.host, {})
            reasons[reason] = reasons.get(reason, 0) + 1
            seen.setdefault(who.host, set()).add(who.handle)
    hosts = sorted(why)
    bodies: list[Body] = [
        {
            "host": host,
            "url": urls.get(host, f"https://{host}/"),
            "why": {**why[host]},
            "people": _texts(sorted(seen[host])),
        }
        for host in hosts
    ]
    yield from packed(account, "audience", hosts, bodies)


def _person(ties: Ties, person: int, who: _Known) -> bytes:
    own: Body = {kind: [*found] for kind, found in sorted(ties.of_person.get(person, {}).items())}
    if person in ties.knows_me:
        own["knows_me"] = ties.knows_me[person]
    # `ties` is the last key of a body with sorted keys, and an empty map is one byte.
    return who.wire[:-1] + encode_body(own) if own else who.wire


def _texts(values: list[str]) -> list[Json]:
    return [*values]
