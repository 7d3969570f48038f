"""Posts and photos: with polls, places, tags, aspects; people tied to them go to the ties."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from sqlalchemy import Select, select

from vaultd.records import Body, Json
from vaultd.sources.diaspora.batch import Batch, Item, Row
from vaultd.sources.diaspora.values import exact, flag, json_safe, number, seconds, text

_KNOWN_POST: Final = frozenset(
    "id author_id public guid type text provider_display_name root_guid".split()
)
_KNOWN_PHOTO: Final = frozenset(
    "id author_id public guid pending text remote_photo_path remote_photo_name status_message_guid "
    "height width comments_count".split()
)


def read_posts(batch: Batch) -> Iterator[Item]:
    """Yield posts and photos of every account of the batch, in author order."""
    posts, people = batch.schema["posts"], batch.schema["people"]
    details = _Details(batch)
    root, owner = posts.alias("root"), people.alias("root_author")
    query = (
        select(posts, owner.c.diaspora_handle.label("root_handle"), owner.c.id.label("root_person"))
        .outerjoin(root, root.c.guid == posts.c.root_guid)
        .outerjoin(owner, owner.c.id == root.c.author_id)
        .where(posts.c.author_id.in_(batch.persons))
        .order_by(posts.c.author_id, posts.c.id)
    )
    for row in batch.rows(query):
        account = batch.by_person[row["author_id"]]
        if row["root_person"] is not None:
            batch.ties[account.key].people.add(row["root_person"])
        yield batch.record(
            account, "post", row["guid"], row["id"], details.post(account.handle, row)
        )
    yield from _photos(batch, details)


def _reshare(handle: str, row: Row) -> Body:
    data: dict[str, Json] = {
        "author": handle,
        "guid": text(row["guid"]),
        "created_at": seconds(row["created_at"]),
    }
    if row["root_guid"] is not None:
        if row["root_handle"] is not None:
            data["root_author"] = text(row["root_handle"])
        data["root_guid"] = text(row["root_guid"])
    return {"entity_type": "reshare", "entity_data": data}


class _Details:
    """What hangs on the posts of a batch, gathered before the posts themselves stream by."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        posts = batch.schema["posts"]
        self._own = posts.c.author_id.in_(batch.persons)
        self.locations = self._locations()
        self.polls = self._polls()
        self.tags = self._tags()
        self.references = self._references()
        self.aspects = {kind: self._aspects(kind) for kind in ("Post", "Photo")}
        self._recipients()
        self._mentions()

    def _of_posts(self, table: Any, column: Any, *more: Any) -> Select[Any]:
        posts = self._batch.schema["posts"]
        return select(table, *more).join(posts, posts.c.id == column).where(self._own)

    def _locations(self) -> dict[int, Body]:
        table = self._batch.schema.get("locations")
        if table is None:
            return {}
        query = self._of_posts(table, table.c.status_message_id)
        return {
            row["status_message_id"]: {
                "entity_type": "location",
                "entity_data": {name: text(row[name]) for name in ("address", "lat", "lng")},
            }
            for row in self._batch.rows(query)
        }

    def _polls(self) -> dict[int, Body]:
        polls, answers = self._batch.schema["polls"], self._batch.schema["poll_answers"]
        posts = self._batch.schema["posts"]
        choices: dict[int, list[Json]] = defaultdict(list)
        query = (
            select(answers)
            .join(polls, polls.c.id == answers.c.poll_id)
            .join(posts, posts.c.id == polls.c.status_message_id)
            .where(self._own)
            .order_by(answers.c.poll_id, answers.c.id)
        )
        for row in self._batch.rows(query):
            choices[row["poll_id"]].append(
                {
                    "entity_type": "poll_answer",
                    "entity_data": {"guid": json_safe(row["guid"]), "answer": text(row["answer"])},
                }
            )
        return {
            row["status_message_id"]: {
                "entity_type": "poll",
                "entity_data": {
                    "guid": json_safe(row["guid"]),
                    "question": text(row["question"]),
                    "poll_answers": choices.get(row["id"], []),
                },
            }
            for row in self._batch.rows(self._of_posts(polls, polls.c.status_message_id))
        }

    def _tags(self) -> dict[int, list[Json]]:
        posts, tags = self._batch.schema["posts"], self._batch.schema["tags"]
        taggings = self._batch.schema["taggings"]
        query = (
            select(taggings.c.taggable_id, tags.c.name)
            .join(posts, posts.c.id == taggings.c.taggable_id)
            .join(tags, tags.c.id == taggings.c.tag_id)
            .where(taggings.c.taggable_type == "Post", self._own)
            .order_by(taggings.c.id)
        )
        found: dict[int, list[Json]] = defaultdict(list)
        for row in self._batch.rows(query):
            found[row["taggable_id"]].append(text(row["name"]))
        return found

    def _references(self) -> dict[int, list[Json]]:
        table, posts = self._batch.schema.get("references"), self._batch.schema["posts"]
        found: dict[int, list[Json]] = defaultdict(list)
        if table is None:
            return found
        target = posts.alias("target")
        query = (
            select(table.c.source_id, table.c.target_type, target.c.guid)
            .join(posts, posts.c.id == table.c.source_id)
            .join(target, target.c.id == table.c.target_id)
            .where(table.c.source_type == "Post", self._own)
            .order_by(table.c.id)
        )
        for row in self._batch.rows(query):
            found[row["source_id"]].append(
                {"type": text(row["target_type"]), "guid": text(row["guid"])}
            )
        return found

    def _aspects(self, kind: str) -> dict[int, list[Json]]:
        table, aspects = self._batch.schema["aspect_visibilities"], self._batch.schema["aspects"]
        query = (
            select(table.c.shareable_id, table.c.aspect_id)
            .join(aspects, aspects.c.id == table.c.aspect_id)
            .where(aspects.c.user_id.in_(self._batch.users), table.c.shareable_type == kind)
            .order_by(table.c.shareable_id, table.c.aspect_id)
        )
        found: dict[int, list[Json]] = defaultdict(list)
        for row in self._batch.rows(query):
            found[row["shareable_id"]].append(str(row["aspect_id"]))
        return found

    def _recipients(self) -> None:
        batch = self._batch
        table, posts = batch.schema["share_visibilities"], batch.schema["posts"]
        people = batch.schema["people"]
        query = (
            select(posts.c.author_id, posts.c.guid, people.c.id)
            .join(posts, posts.c.id == table.c.shareable_id)
            .join(people, people.c.owner_id == table.c.user_id)
            .where(table.c.shareable_type == "Post", self._own)
            .order_by(posts.c.id, people.c.id)
        )
        for row in batch.rows(query):
            ties = batch.ties[batch.by_person[row["author_id"]].key]
            ties.tie(row["id"], "recipient_of", text(row["guid"]))
            ties.reasons["recipient"].add(row["id"])

    def _mentions(self) -> None:
        batch, mentions = self._batch, self._batch.schema["mentions"]
        for kind, name in (("Post", "posts"), ("Comment", "comments")):
            table = batch.schema[name]
            query = (
                select(table.c.author_id, table.c.guid, mentions.c.person_id)
                .join(mentions, mentions.c.mentions_container_id == table.c.id)
                .where(
                    mentions.c.mentions_container_type == kind,
                    table.c.author_id.in_(batch.persons),
                )
                .order_by(mentions.c.id)
            )
            for row in batch.rows(query):
                ties = batch.ties[batch.by_person[row["author_id"]].key]
                ties.tie(
                    row["person_id"], "mentioned_in", {"type": kind, "guid": text(row["guid"])}
                )
                ties.reasons["mention"].add(row["person_id"])

    def post(self, handle: str, row: Row) -> Body:
        """Return the body of one post."""
        if row["type"] == "Reshare":
            body = _reshare(handle, row)
        else:
            data: dict[str, Json] = {
                "author": handle,
                "guid": text(row["guid"]),
                "created_at": seconds(row["created_at"]),
                "public": flag(row["public"]),
                "text": text(row["text"]),
            }
            if row["provider_display_name"] is not None:
                data["provider_display_name"] = text(row["provider_display_name"])
            if row["id"] in self.locations:
                data["location"] = self.locations[row["id"]]
            if row["id"] in self.polls:
                data["poll"] = self.polls[row["id"]]
            body = {"entity_type": "status_message", "entity_data": data}
        body["aspects"] = self.aspects["Post"].get(row["id"], [])
        body["tags"] = self.tags.get(row["id"], [])
        body["references"] = self.references.get(row["id"], [])
        body["row"] = self._batch.extra("posts", row, _KNOWN_POST | {"created_at"}) | {
            "created_at": exact(row["created_at"])
        }
        return body


def _photos(batch: Batch, details: _Details) -> Iterator[Item]:
    photos = batch.schema["photos"]
    query = (
        select(photos)
        .where(photos.c.author_id.in_(batch.persons))
        .order_by(photos.c.author_id, photos.c.id)
    )
    for row in batch.rows(query):
        account = batch.by_person[row["author_id"]]
        name = text(row["remote_photo_name"])
        data: dict[str, Json] = {
            "guid": text(row["guid"]),
            "author": account.handle,
            "public": flag(row["public"]),
            "created_at": seconds(row["created_at"]),
            "remote_photo_path": text(row["remote_photo_path"]),
            "remote_photo_name": name,
        }
        for key in ("text", "status_message_guid"):
            if row[key] is not None:
                data[key] = text(row[key])
        for key in ("height", "width"):
            if row[key] is not None:
                data[key] = number(row[key])
        body: Body = {
            "entity_type": "photo",
            "entity_data": data,
            "pending": flag(row["pending"]),
            "aspects": details.aspects["Photo"].get(row["id"], []),
            "row": batch.extra("photos", row, _KNOWN_PHOTO | {"created_at"})
            | {"created_at": exact(row["created_at"])},
        }
        yield batch.record(account, "photo", row["guid"], row["id"], body, file=name or None)
