"""Posts and photos: with polls, places, tags, aspects; people tied to them go to the ties."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from vaultd.records import Body, Json
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import Batch, Row
from vaultd.sources.diaspora.queries import posts
from vaultd.sources.diaspora.records.packing import Item, name_of, packed
from vaultd.sources.diaspora.records.values import (
    columns,
    exact,
    flag,
    json_safe,
    moments,
    nulls,
    number,
    seconds,
    text,
)

KNOWN_POST: Final = frozenset(
    "id author_id public guid type text provider_display_name root_guid created_at".split()
)
KNOWN_PHOTO: Final = frozenset(
    "id author_id public guid pending text remote_photo_path remote_photo_name status_message_guid "
    "height width created_at".split()
)

_PLACE: Final = ("address", "lat", "lng")


def read_posts(batch: Batch) -> Iterator[Item]:
    """Yield posts and photos of every account of the batch, in author order."""
    details = _Details(batch)
    more = batch.more("posts", KNOWN_POST)
    for account, rows in batch.runs(
        posts.posts(batch.schema, batch.scope),
        ("author_id id guid type created_at public text provider_display_name root_guid "
         "root_handle root_person").split(),
        more,
    ):  # fmt: skip
        ids, bodies = [], []
        for row in rows:
            ids.append(name_of(row[2], row[1]))
            bodies.append(details.post(account, row, more))
        batch.meet(account, (row[10] for row in rows))
        yield from packed(account, "post", ids, bodies)
    yield from _photos(batch, details)


def _reshare(data: Body, root_guid: object, root_author: object) -> Body:
    if root_guid is not None:
        if root_author is not None:
            data["root_author"] = text(root_author)
        data["root_guid"] = text(root_guid)
    return {"entity_type": "reshare", "entity_data": data}


def location_entity(row: Row) -> Body:
    """Return the place of a post."""
    data: Body = {name: text(row[name]) for name in _PLACE}
    missing = nulls(row, _PLACE)
    more: Body = {"row": missing} if missing else {}
    return {"entity_type": "location", "entity_data": data, **more}


def poll_entity(row: Row, answers: list[Json]) -> Body:
    """Return the poll of a post."""
    data: Body = {
        "guid": json_safe(row["guid"]),
        "question": text(row["question"]),
        "poll_answers": answers,
    }
    return {"entity_type": "poll", "entity_data": data}


def poll_answer_entity(row: Row) -> Body:
    """Return an answer that a poll offers."""
    data: Body = {"guid": json_safe(row["guid"]), "answer": text(row["answer"])}
    return {"entity_type": "poll_answer", "entity_data": data}


def photo_entity(row: Row, author: str) -> Body:
    """Return what diaspora* tells of a photo."""
    data: Body = {
        "guid": text(row["guid"]),
        "author": author,
        "public": flag(row["public"]),
        "created_at": seconds(row["created_at"]),
        "remote_photo_path": text(row["remote_photo_path"]),
        "remote_photo_name": text(row["remote_photo_name"]),
    }
    for key in ("text", "status_message_guid"):
        if row[key] is not None:
            data[key] = text(row[key])
    for key in ("height", "width"):
        if row[key] is not None:
            data[key] = number(row[key])
    return data


class _Details:
    """What hangs on the posts of a batch, gathered before the posts themselves stream by."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.locations = self._locations()
        self.polls = self._polls()
        self.tags = self._tags()
        self.references = self._references()
        self.aspects = {kind: self._aspects(kind) for kind in ("Post", "Photo")}
        self._recipients()
        self._mentions()

    def _locations(self) -> dict[int, Body]:
        return {
            row["status_message_id"]: location_entity(row)
            for row in self._batch.ask(posts.locations(self._batch.schema, self._batch.scope))
        }

    def _polls(self) -> dict[int, Body]:
        schema, scope = self._batch.schema, self._batch.scope
        choices: dict[int, list[Json]] = defaultdict(list)
        for row in self._batch.ask(posts.poll_answers(schema, scope)):
            choices[row["poll_id"]].append(poll_answer_entity(row))
        return {
            row["status_message_id"]: poll_entity(row, choices.get(row["id"], []))
            for row in self._batch.ask(posts.polls(schema, scope))
        }

    def _tags(self) -> dict[int, list[Json]]:
        found: dict[int, list[Json]] = defaultdict(list)
        for row in self._batch.ask(posts.post_tags(self._batch.schema, self._batch.scope)):
            found[row["taggable_id"]].append(text(row["name"]))
        return found

    def _references(self) -> dict[int, list[Json]]:
        found: dict[int, list[Json]] = defaultdict(list)
        for row in self._batch.ask(posts.references(self._batch.schema, self._batch.scope)):
            found[row["source_id"]].append(
                {"type": text(row["target_type"]), "guid": text(row["guid"])}
            )
        return found

    def _aspects(self, kind: str) -> dict[tuple[int, int], list[Json]]:
        found: dict[tuple[int, int], list[Json]] = defaultdict(list)
        for row in self._batch.ask(posts.shown_to(self._batch.schema, self._batch.scope, kind)):
            found[row["user_id"], row["shareable_id"]].append(str(row["aspect_id"]))
        return found

    def _recipients(self) -> None:
        batch = self._batch
        for kind, tie in (("Post", "recipient_of"), ("Photo", "recipient_of_photo")):
            for row in batch.ask(posts.recipients(batch.schema, batch.scope, kind)):
                ties = batch.ties[batch.by_person[row["author_id"]].key]
                ties.tie(row["id"], tie, text(row["guid"]))
                ties.reasons["recipient"].add(row["id"])

    def _mentions(self) -> None:
        batch = self._batch
        for kind in ("Post", "Comment"):
            for row in batch.ask(posts.mentions(batch.schema, batch.scope, kind)):
                ties = batch.ties[batch.by_person[row["author_id"]].key]
                ties.tie(
                    row["person_id"], "mentioned_in", {"type": kind, "guid": text(row["guid"])}
                )
                ties.reasons["mention"].add(row["person_id"])

    def post(self, account: SourceAccount, row: Sequence[Any], more: Sequence[str]) -> Body:
        """Return the body of one post."""
        _, post, guid, kind, at, public, words, via, root, root_author, _, *rest = row
        moment, exactly = moments(at)
        data: Body = {"author": account.handle, "guid": text(guid), "created_at": moment}
        told = {"text": words, "provider_display_name": via, "public": public}
        extra: Body = columns(more, rest)
        if kind == "Reshare":
            body = _reshare(data, root, root_author)
            # Its root has the words, and it is public; a row that differs from that tells so.
            extra |= {n: json_safe(v) for n, v in told.items() if v is not None and v is not True}
        else:
            extra |= nulls(told, ("text", "public"))
            data["public"] = flag(public)
            data["text"] = text(words)
            if via is not None:
                data["provider_display_name"] = text(via)
            if post in self.locations:
                data["location"] = self.locations[post]
            if post in self.polls:
                data["poll"] = self.polls[post]
            body = {"entity_type": "status_message", "entity_data": data}
        body["aspects"] = self.aspects["Post"].get((account.key, post), [])
        body["tags"] = self.tags.get(post, [])
        body["references"] = self.references.get(post, [])
        extra["created_at"] = exactly
        body["row"] = extra
        return body


def _photos(batch: Batch, details: _Details) -> Iterator[Item]:
    for row in batch.ask(posts.photos(batch.schema, batch.scope)):
        account = batch.by_person[row["author_id"]]
        name = text(row["remote_photo_name"])
        body: Body = {
            "entity_type": "photo",
            "entity_data": photo_entity(row, account.handle),
            "pending": flag(row["pending"]),
            "aspects": details.aspects["Photo"].get((account.key, row["id"]), []),
            "row": batch.extra("photos", row, KNOWN_PHOTO)
            | {"created_at": exact(row["created_at"])}
            | nulls(row, ("public", "pending", "remote_photo_path", "remote_photo_name")),
        }
        yield batch.record(account, "photo", row["guid"], row["id"], body, file=name or None)
