"""The last records of an account: who saw it (audience), and everybody referenced (person)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select

from vaultd.records import Body, Json, Oversized, Records, encode_body, encode_record
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Row, Ties
from vaultd.sources.diaspora.records.packing import Item, packed
from vaultd.sources.diaspora.records.pods import read_pods
from vaultd.sources.diaspora.records.values import day, flag, text

# Of others' profiles: what everybody is shown, and what contacts are (facts A4).
_SHOWN: Final = "first_name last_name image_url image_url_medium image_url_small".split()
_FLAGS: Final = "searchable nsfw public_details".split()
_DETAILS: Final = "bio birthday gender location".split()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is the same of a person for every account: handle, host, and the record without ties.

    `told` is the record as those may have it with whom the person shares.
    """

    handle: str
    host: str
    wire: bytes
    told: bytes


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
    shown = [profiles.c[name] for name in (*_SHOWN, *_FLAGS, *_DETAILS)]
    query = select(people, profiles.c.id.label("profile"), *shown).outerjoin(
        profiles, profiles.c.person_id == people.c.id
    )
    tags = _tags(batch, wanted)
    sharing = {person for ties in batch.ties.values() for person in ties.sharing}
    found = {}
    for whole in batch.lookup(query, people.c.id, wanted):
        # What no record could hold costs the detail, not the person (no key goes after `ties`).
        large = sorted(name for name, value in whole.items() if isinstance(value, Oversized))
        row = {**whole, **dict.fromkeys(large)}
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
        if large:
            body["left_out"] = _texts(large)
        if row["image_url"] is not None:
            body["image_url"] = text(row["image_url"])
        if row["profile"] is not None:
            body["profile"] = _profile(row, tags, details=flag(row["public_details"]))
        wire = told = encode_record("person", handle, body)
        if row["profile"] is not None and row["id"] in sharing:
            body["profile"] = _profile(row, tags, details=True)
            told = encode_record("person", handle, body)
        found[row["id"]] = _Known(handle, host, wire, told)
    return found


def _tags(batch: Batch, wanted: set[int]) -> dict[int, list[str]]:
    profiles, tags, taggings = (batch.schema[n] for n in ("profiles", "tags", "taggings"))
    query = (
        select(profiles.c.person_id, tags.c.name)
        .select_from(profiles)
        .join(taggings, taggings.c.taggable_id == profiles.c.id)
        .join(tags, tags.c.id == taggings.c.tag_id)
        .where(taggings.c.taggable_type == "Profile")
        .order_by(taggings.c.id)
    )
    found: dict[int, list[str]] = {}
    for row in batch.lookup(query, profiles.c.person_id, wanted):
        found.setdefault(row["person_id"], []).append(f"#{text(row['name'])}")
    return found


def _profile(row: Row, tags: Mapping[int, list[str]], *, details: bool) -> Body:
    """Return a profile as the pod shows it, to contacts of that person with `details`."""
    names = (*_SHOWN, *(_DETAILS if details else ()))
    body: Body = {name: text(row[name]) for name in names if row[name] is not None}
    if "birthday" in body:
        body["birthday"] = day(row["birthday"])
    body |= {"public" if n == "public_details" else n: flag(row[n]) for n in _FLAGS}
    if row["id"] in tags:
        body["tag_string"] = " ".join(tags[row["id"]])
    return body


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
    wire = who.told if person in ties.sharing else who.wire
    # `ties` is the last key of a body with sorted keys, and an empty map is one byte.
    return wire[:-1] + encode_body(own) if own else wire


def _texts(values: list[str]) -> list[Json]:
    return [*values]
