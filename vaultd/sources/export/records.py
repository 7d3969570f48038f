"""Turning an account export's JSON back into the records a pod's database would give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from vaultd.fields import mapping, mappings, text, texts
from vaultd.records import Body, Json, Record
from vaultd.sources.base import Trouble

_KINDS: Final = {"comment": "comment", "like": "like", "poll_participation": "poll_vote"}
_SETTINGS: Final = (
    "username",
    "email",
    "language",
    "private_key",
    "disable_mail",
    "show_community_spotlight_in_stream",
    "auto_follow_back",
)


class ExportRecords:
    """The records in one export; `handle` and `public_key` describe its account."""

    def __init__(self, content: Body, handle: str, public_key: str, where: str) -> None:
        self._user = mapping(content, "user")
        self._others = mapping(content, "others_data")
        self._handle = handle
        self._public_key = public_key
        self._where = where
        self._why: dict[str, dict[str, set[str]]] = {}
        self._people: dict[str, Body] = {}

    def __iter__(self) -> Iterator[Record | Trouble]:
        yield self._account()
        yield Record("profile", self._handle, dict(mapping(self._user, "profile")))
        yield from self._aspects()
        yield from self._contacts()
        polls: dict[str, str] = {}
        yield from self._posts(polls)
        yield from self._relayables(self._user, "", polls)
        yield from self._relayables(self._others, "received_", polls)
        yield from self._lists()
        yield from self._people_and_pods()

    def _account(self) -> Record:
        body: Body = {key: self._user[key] for key in _SETTINGS if key in self._user}
        known = (*_SETTINGS, "auto_follow_back_aspect")
        body["row"] = {
            key: value
            for key, value in self._user.items()
            if key not in known and not isinstance(value, (dict, list))
        }
        body["handle"] = self._handle
        body["public_key"] = self._public_key
        body["auto_follow_back_aspect"] = text(self._user, "auto_follow_back_aspect")
        body["state"] = "active"
        body["pod_url"] = f"https://{_host(self._handle)}/"
        return Record("account", self._handle, body)

    def _aspects(self) -> Iterator[Record | Trouble]:
        for number, group in enumerate(mappings(self._user, "contact_groups"), 1):
            name = text(group, "name")
            if name is None:
                yield self._trouble("contact_groups", number, "it has no name")
                continue
            # The file has no ids of aspects; elsewhere in it, they go by their names too.
            yield Record("aspect", name, {"name": name, "order_id": number})

    def _contacts(self) -> Iterator[Record | Trouble]:
        for number, item in enumerate(mappings(self._user, "contacts"), 1):
            handle = text(item, "account_id")
            if not handle:
                yield self._trouble("contacts", number, "it has no account_id")
                continue
            sharing, receiving = item.get("sharing") is True, item.get("receiving") is True
            body: Body = {
                "account_id": handle,
                "sharing": sharing,
                "receiving": receiving,
                "following": sharing,
                "followed": receiving,
                "aspects": [*texts(item, "contact_groups_membership")],
            }
            known = (("person_guid", "guid"), ("public_key", "public_key"), ("person_name", "name"))
            person = self._person(handle, "contact")
            for theirs, ours in known:
                value = text(item, theirs)
                if value is not None:
                    person[ours] = value
            if "guid" in person:
                body["person_guid"] = person["guid"]
            yield Record("contact", handle, body)

    def _posts(self, polls: dict[str, str]) -> Iterator[Record | Trouble]:
        for number, item in enumerate(mappings(self._user, "posts"), 1):
            data = dict(mapping(item, "entity_data"))
            guid, kind = text(data, "guid"), text(item, "entity_type")
            if not guid or not kind:
                yield self._trouble("posts", number, "it has no guid or no type")
                continue
            photos = mappings(data, "photos")
            data.pop("photos", None)
            row: Body = {}
            for key in ("subscribed_pods_uris", "subscribed_users_ids"):
                if key in item:
                    row[key] = [*texts(item, key)]
            for uri in texts(row, "subscribed_pods_uris"):
                host = _netloc(uri)
                if host and host != _host(self._handle):
                    self._saw(host, "participation")
            for handle in texts(row, "subscribed_users_ids"):
                ties = self._person(handle, "recipient").setdefault("ties", {"recipient_of": []})
                if isinstance(ties, dict) and isinstance(ties["recipient_of"], list):
                    ties["recipient_of"].append(guid)
            root = text(data, "root_author")
            if root:
                self._person(root, "")
            poll = text(mapping(mapping(data, "poll"), "entity_data"), "guid")
            if poll:
                polls[poll] = guid
            yield Record("post", guid, {"entity_type": kind, "entity_data": data, "row": row})
            for photo in photos:
                yield from self._photo(photo, guid, number)

    def _photo(self, item: Body, post: str, number: int) -> Iterator[Record | Trouble]:
        data = dict(mapping(item, "entity_data"))
        guid = text(data, "guid")
        if not guid:
            yield self._trouble("posts", number, "a photo of it has no guid")
            return
        data["status_message_guid"] = post
        body: Body = {"entity_type": "photo", "entity_data": data, "pending": False}
        yield Record("photo", guid, body, file=text(data, "remote_photo_name"))

    def _relayables(
        self, part: Body, prefix: str, polls: dict[str, str]
    ) -> Iterator[Record | Trouble]:
        for number, item in enumerate(mappings(part, "relayables"), 1):
            data = mapping(item, "entity_data")
            guid, kind = text(data, "guid"), text(item, "entity_type") or ""
            if not guid or kind not in _KINDS:
                yield self._trouble(f"{prefix}relayables", number, "it has no guid or no type")
                continue
            author, target = text(data, "author"), text(data, "parent_guid")
            if prefix and author:
                self._person(author, "poll_vote" if kind == "poll_participation" else kind)
            parent: Body = {"type": "Post", "guid": target}
            if kind == "poll_participation":
                parent["type"] = "Poll"
                if target in polls:
                    parent["post_guid"] = polls[target]
            elif kind == "like":
                parent["type"] = text(data, "parent_type") or "Post"
            if prefix:
                parent["author"] = self._handle
            body: Body = {
                "entity_type": kind,
                "entity_data": data,
                "property_order": [*texts(item, "property_order")],
                "parent": parent,
            }
            yield Record(prefix + _KINDS[kind], guid, body)

    def _lists(self) -> Iterator[Record]:
        for guid in texts(self._user, "post_subscriptions"):
            data: Body = {"author": self._handle, "parent_guid": guid, "parent_type": "Post"}
            parent: Body = {"type": "Post", "guid": guid}
            body: Body = {"entity_type": "participation", "entity_data": data, "parent": parent}
            # The file tells a subscription by its post only.
            yield Record("subscription", f"post:{guid}", body)
        for name in texts(self._user, "followed_tags"):
            yield Record("followed_tag", name, {"name": name})
        for handle in texts(self._user, "blocks"):
            self._person(handle, "")
            yield Record("block", handle, {"account_id": handle})

    def _people_and_pods(self) -> Iterator[Record]:
        for item in mappings(self._others, "non_contact_authors"):
            handle = text(item, "account_id")
            if handle:
                person = self._person(handle, "")
                for key in ("guid", "public_key"):
                    person.setdefault(key, text(item, key))
        for handle, body in self._people.items():
            yield Record("person", handle, body, passive=True)
        for host, reasons in self._why.items():
            people: list[Json] = [
                *dict.fromkeys(h for who in reasons.values() for h in sorted(who))
            ]
            # A pod that only stands in a post's list is there for at least somebody.
            why: Body = {reason: len(who) or 1 for reason, who in reasons.items()}
            body = {"host": host, "url": f"https://{host}/", "why": why, "people": people}
            yield Record("audience", host, body)

    def _person(self, handle: str, reason: str) -> Body:
        if reason:
            self._saw(_host(handle), reason).add(handle)
        return self._people.setdefault(handle, {"handle": handle, "pod": _host(handle)})

    def _saw(self, host: str, reason: str) -> set[str]:
        return self._why.setdefault(host, {}).setdefault(reason, set())

    def _trouble(self, table: str, number: int, reason: str) -> Trouble:
        return Trouble(table, str(number), f"{reason} ({self._where})")


def _netloc(uri: str) -> str:
    try:
        return urlsplit(uri).netloc.lower()
    except ValueError:
        return ""  # such as "http://["; it names no pod


def _host(handle: str) -> str:
    return handle.rpartition("@")[2].lower()
