"""The last records of an account: who saw it (audience), and everybody referenced (person)."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from vaultd.records import Body, Json, Record
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Item, Row
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


def read_people(batch: Batch) -> Iterator[Item]:
    """Yield `audience` and `person` of every account; these come last."""
    own_host = batch.pod_url.partition("://")[2].strip("/").replace("www.", "")
    rows = _people(batch)
    pods = _pods(batch)
    for account in batch.by_user.values():
        ties = batch.ties[account.key]
        me = batch.person_of.get(account.key)
        ties.people.discard(me or 0)
        host_of = {
            person: _host(rows[person], pods, own_host) for person in ties.people if person in rows
        }
        yield from _audience(batch, account, host_of, rows, pods, own_host)
        for person in sorted(host_of):
            yield account, _person(batch, account, person, rows[person], host_of[person])


def _people(batch: Batch) -> dict[int, Row]:
    people, profiles = batch.schema["people"], batch.schema["profiles"]
    wanted = {person for ties in batch.ties.values() for person in ties.people}
    query = select(
        people, profiles.c.first_name, profiles.c.last_name, profiles.c.image_url
    ).outerjoin(profiles, profiles.c.person_id == people.c.id)
    return {row["id"]: row for row in batch.lookup(query, people.c.id, wanted)}


def _pods(batch: Batch) -> dict[int, tuple[str, str]]:
    """Return host[:port] and URL of every known pod, by id (facts A2: NULL and -1 are default)."""
    table = batch.schema["pods"]
    found = {}
    for row in batch.rows(select(table).order_by(table.c.id)):
        host = text(row["host"]).lower()
        if row["port"] not in (None, -1):
            host = f"{host}:{row['port']}"
        found[row["id"]] = host, f"{'http' if row['ssl'] in (0, False) else 'https'}://{host}/"
    return found


def _host(row: Row, pods: dict[int, tuple[str, str]], own: str) -> str:
    if row["owner_id"] is not None:
        return own
    if row["pod_id"] in pods:
        return pods[row["pod_id"]][0]
    return text(row["diaspora_handle"]).rpartition("@")[2]


def _audience(
    batch: Batch,
    account: SourceAccount,
    host_of: dict[int, str],
    rows: dict[int, Row],
    pods: dict[int, tuple[str, str]],
    own_host: str,
) -> Iterator[Item]:
    urls = {**dict(pods.values()), own_host: batch.pod_url.rstrip("/") + "/"}
    why: dict[str, dict[str, Json]] = {}
    seen: dict[str, set[str]] = {}
    for reason, people in sorted(batch.ties[account.key].reasons.items()):
        for person in people:
            if person not in host_of:
                continue
            host = host_of[person]
            reasons = why.setdefault(host, {})
            count = reasons.get(reason, 0)
            reasons[reason] = count + 1 if isinstance(count, int) else 1
            seen.setdefault(host, set()).add(text(rows[person]["diaspora_handle"]))
    for host in sorted(why):
        body: Body = {
            "host": host,
            "url": urls.get(host, f"https://{host}/"),
            "why": why[host],
            "people": _texts(sorted(seen[host])),
        }
        yield account, Record("audience", host, body)
    for host, url in sorted(pods.values()):
        if host not in why:
            body = {"host": host, "url": url, "why": {"known": 1}, "people": []}
            yield account, Record("audience", host, body, passive=True)


def _person(batch: Batch, account: SourceAccount, person: int, row: Row, host: str) -> Record:
    ties = batch.ties[account.key]
    name = f"{text(row['first_name'])} {text(row['last_name'])}".strip()
    own: Body = {
        kind: list(found) for kind, found in sorted(ties.of_person.get(person, {}).items())
    }
    if person in ties.knows_me:
        own["knows_me"] = ties.knows_me[person]
    handle = text(row["diaspora_handle"])
    body: Body = {
        "handle": handle,
        "guid": text(row["guid"]),
        "public_key": text(row["serialized_public_key"]),
        "pod": host,
        "closed": flag(row["closed_account"]),
        "name": name,
        "ties": own,
    }
    if row["image_url"] is not None:
        body["image_url"] = text(row["image_url"])
    return Record("person", handle, body, passive=True)


def _texts(values: list[str]) -> list[Json]:
    return [*values]
