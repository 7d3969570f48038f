"""The demo pod's rows while it is being built: what diaspora*'s models would have written."""

from __future__ import annotations

import base64
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from sqlalchemy import Engine, MetaData, insert

from vaultd.demo.texts import REPLIES, SENTENCES, TAGS, picture

_KEY_BITS = 1024


@dataclass(slots=True)
class Person:
    """A row of `people`; `owner` is its user's id for local ones."""

    id: int
    handle: str
    guid: str
    name: str
    owner: int | None
    key: rsa.RSAPrivateKey = field(repr=False)


@dataclass(slots=True)
class LocalUser:
    """A row of `users` with its person, aspects and who is in which."""

    id: int
    username: str
    person: Person
    aspects: list[int]
    contacts: dict[int, int] = field(default_factory=dict)
    members: dict[int, set[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Post:
    """A row of `posts` as reactions need it."""

    id: int
    guid: str
    author: Person
    public: bool
    poll: tuple[int, str, list[tuple[int, str]]] | None = None


class World:
    """Collects rows per table, with ids counted from 1, and writes them all in one go."""

    def __init__(self, metadata: MetaData, rng: random.Random, images: Path, pod_url: str) -> None:
        self.metadata = metadata
        self.rng = rng
        self.images = images
        self.pod_url = pod_url
        self.host = pod_url.partition("://")[2]
        self.now = datetime(2026, 11, 1, 12, 0, 0)  # noqa: DTZ001 - the database has no zones
        self.rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.users: list[LocalUser] = []
        self.remotes: list[Person] = []
        self.posts: list[Post] = []
        self.public_posts: list[Post] = []
        self._pods: dict[str, int] = {}
        self._tags: dict[str, int] = {}
        self._done: set[tuple[Any, ...]] = set()

    def guid(self) -> str:
        """Return 32 hex characters."""
        return f"{self.rng.getrandbits(128):032x}"

    def moment(self) -> datetime:
        """Return a time in the last two years, with microseconds."""
        return self.now - timedelta(seconds=self.rng.uniform(0, 2 * 365 * 86400))

    def add(self, table: str, **values: Any) -> int:
        """Add a row with defaults and timestamps filled in; return its id."""
        number = len(self.rows[table]) + 1
        columns = self.metadata.tables[table].columns
        row: dict[str, Any] = {}
        for column in columns:
            if column.name == "id":
                row["id"] = number
            elif column.name in values:
                row[column.name] = values[column.name]
            elif column.name in ("created_at", "updated_at"):
                row[column.name] = values.get("created_at", self.moment())
            else:
                default = column.default
                row[column.name] = None if default is None else default.arg  # type: ignore[attr-defined]
        self.rows[table].append(row)
        return number

    def flush(self, engine: Engine) -> None:
        """Write all rows."""
        with engine.begin() as connection:
            for table in self.metadata.sorted_tables:
                if self.rows[table.name]:
                    connection.execute(insert(table), self.rows[table.name])

    def pod(self, host: str, status: int) -> None:
        """Add a remote pod."""
        self._pods[host] = self.add("pods", host=host, ssl=True, status=status, port=-1)

    def _person(self, handle: str, first: str, last: str, **more: Any) -> Person:
        key = rsa.generate_private_key(65537, _KEY_BITS)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        guid = self.guid()
        number = self.add(
            "people",
            guid=guid,
            diaspora_handle=handle,
            serialized_public_key=public.decode(),
            **more,
        )
        name = f"{first} {last}".strip()
        self.add(
            "profiles", person_id=number, first_name=first, last_name=last,
            full_name=name.lower(), bio=self.rng.choice(SENTENCES),
            location=self.rng.choice(("", "Aarhus", "東京", "Montréal")),
        )  # fmt: skip
        return Person(number, handle, guid, name, more.get("owner_id"), key)

    def local(self, username: str, first: str, last: str) -> LocalUser:
        """Add a local account with its four aspects and, for some, a profile picture."""
        number = len(self.rows["users"]) + 1
        person = self._person(f"{username}@{self.host}", first, last, owner_id=number)
        pem = person.key.private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ).decode()
        self.add(
            "users", username=username, email=f"{username}@mail.example", language="en",
            serialized_private_key=pem, encrypted_password="$2a$10$" + "x" * 53,
            getting_started=False, color_theme="original", last_seen=self.now,
        )  # fmt: skip
        names = ("Family", "Friends", "Work", "Acquaintances")
        aspects = [
            self.add("aspects", name=name, user_id=number, order_id=i + 1)
            for i, name in enumerate(names)
        ]
        user = LocalUser(number, username, person, aspects)
        self.users.append(user)
        if number % 3:
            _, photo = self.photo(user, None, public=True)
            profile = self.rows["profiles"][-1]
            for size, column in (("large", ""), ("medium", "_medium"), ("small", "_small")):
                url = f"{self.pod_url}/uploads/images/thumb_{size}_{photo}"
                profile[f"image_url{column}"] = url
        for tag in self.rng.sample(TAGS, number % 3):
            self.tag(tag, self.rows["profiles"][-1]["id"], "Profile")
        return user

    def half_registered(self, username: str) -> None:
        """Add a user whose person was never made."""
        self.add("users", username=username, email=f"{username}@mail.example")

    def remote(self, name: str, host: str, first: str, last: str, *, closed: bool) -> None:
        """Add a person of another pod."""
        person = self._person(
            f"{name}@{host}", first, last, pod_id=self._pods[host], closed_account=closed
        )
        self.remotes.append(person)

    def contact(self, user: LocalUser, other: Person, *, sharing: bool, receiving: bool) -> None:
        """Add a contact, in one or two aspects when the user shares with it."""
        if other.id in user.contacts:
            return
        number = self.add(
            "contacts", user_id=user.id, person_id=other.id, sharing=sharing, receiving=receiving
        )
        user.contacts[other.id] = number
        if receiving:
            chosen = self.rng.sample(user.aspects, self.rng.choice((1, 1, 2)))
            user.members[other.id] = set(chosen)
            for aspect in chosen:
                self.add("aspect_memberships", aspect_id=aspect, contact_id=number)

    def tag(self, name: str, target: int, kind: str) -> None:
        """Tag a post or a profile."""
        if name not in self._tags:
            self._tags[name] = self.add("tags", name=name)
        self.add(
            "taggings", tag_id=self._tags[name], taggable_id=target, taggable_type=kind,
            context="tags",
        )  # fmt: skip

    def follow_tag(self, user: LocalUser, number: int) -> None:
        """Let a user follow a tag."""
        name = TAGS[number]
        if name not in self._tags:
            self._tags[name] = self.add("tags", name=name)
        self.add("tag_followings", tag_id=self._tags[name], user_id=user.id)

    def photo(self, user: LocalUser, post_guid: str | None, *, public: bool) -> tuple[int, str]:
        """Add a picture, file included; return its number and name."""
        stem = f"{self.rng.getrandbits(80):020x}"
        name = f"{stem}.png"
        (self.images / name).write_bytes(picture(self.rng))
        number = self.add(
            "photos", author_id=user.person.id, public=public, guid=self.guid(),
            remote_photo_path=f"{self.pod_url}/uploads/images/", remote_photo_name=name,
            random_string=stem, processed_image=name, unprocessed_image=name,
            status_message_guid=post_guid, height=320, width=480,
        )  # fmt: skip
        return number, name

    def post(
        self, user: LocalUser, text: str, *, public: bool, photos: int = 0, poll: bool = False,
        place: bool = False,
    ) -> Post:  # fmt: skip
        """Add a status message with all that hangs on it."""
        guid = self.guid()
        number = self.add(
            "posts", author_id=user.person.id, public=public, guid=guid, type="StatusMessage",
            text=text,
        )  # fmt: skip
        post = Post(number, guid, user.person, public)
        for tag in TAGS:
            if f"#{tag}" in text:
                self.tag(tag, number, "Post")
        pictures = [self.photo(user, guid, public=public)[0] for _ in range(photos)]
        if place:
            self.add("locations", address="Old Bridge, 東町 3", lat="48.137", lng="11.575",
                     status_message_id=number)  # fmt: skip
        if poll:
            post.poll = self._poll(number)
        for other in [u.person for u in self.users] + self.remotes:
            if f"; {other.handle}}}" in text:
                self.add("mentions", mentions_container_id=number, person_id=other.id,
                         mentions_container_type="Post")  # fmt: skip
        if public:
            self.public_posts.append(post)
        else:
            self._audience(user, [("Post", number), *(("Photo", each) for each in pictures)])
        self.posts.append(post)
        return post

    def _poll(self, post: int) -> tuple[int, str, list[tuple[int, str]]]:
        guid = self.guid()
        number = self.add("polls", question="Tea or coffee? 茶?", status_message_id=post, guid=guid)
        answers = []
        for answer in ("Tea", "Coffee", "Ein Glas Wasser, bitte"):
            own = self.guid()
            answers.append((self.add("poll_answers", answer=answer, poll_id=number, guid=own), own))
        return number, guid, answers

    def _audience(self, user: LocalUser, shared: Sequence[tuple[str, int]]) -> None:
        aspect = self.rng.choice(user.aspects)
        owners = {u.person.id: u.id for u in self.users}
        for kind, number in shared:
            self.add("aspect_visibilities", shareable_id=number, aspect_id=aspect,
                     shareable_type=kind)  # fmt: skip
            for person, aspects in user.members.items():
                if aspect in aspects and person in owners:
                    self.add("share_visibilities", shareable_id=number, shareable_type=kind,
                             user_id=owners[person])  # fmt: skip

    def reshare(self, user: LocalUser, post: Post) -> None:
        """Add a reshare, once per person and post, never of one's own."""
        if post.author is user.person or not self._once("reshare", user.id, post.id):
            return
        self.add(
            "posts", author_id=user.person.id, public=True, guid=self.guid(), type="Reshare",
            root_guid=post.guid,
        )  # fmt: skip

    def _once(self, *key: Any) -> bool:
        if key in self._done:
            return False
        self._done.add(key)
        return True

    def react(self, person: Person, post: Post) -> None:
        """Let somebody comment, like or vote, with signature and participation."""
        choice = self.rng.random()
        if post.poll is not None and choice < 0.5:
            self.vote(person, post)
        elif choice < 0.55:
            self.comment(person, post, self.rng.choice(REPLIES))
        else:
            self.like(person, post.id, post.guid, "Post", post.author)
        if self._once("participation", person.id, post.id):
            self.add("participations", guid=self.guid(), target_id=post.id, target_type="Post",
                     author_id=person.id)  # fmt: skip

    def comment(self, person: Person, post: Post, text: str) -> int:
        """Add a comment; a remote one on a local post has its author's signature."""
        guid, at = self.guid(), self.moment()
        number = self.add(
            "comments", text=text, commentable_id=post.id, author_id=person.id, guid=guid,
            commentable_type="Post", created_at=at,
        )  # fmt: skip
        moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        order = "author guid parent_guid text created_at"
        values = (person.handle, guid, post.guid, text, moment)
        self._sign("comment", number, person, order, values)
        if self.rng.random() < 0.1:
            liker = self.rng.choice(self.users[:50]).person
            self.like(liker, number, guid, "Comment", person)
        return number

    def like(self, person: Person, target: int, parent: str, kind: str, author: Person) -> None:
        """Add a like, once per person and target."""
        if person is author or not self._once("like", person.id, target, kind):
            return
        guid = self.guid()
        number = self.add(
            "likes", target_id=target, author_id=person.id, guid=guid, target_type=kind
        )
        order = "author guid parent_guid parent_type positive"
        self._sign("like", number, person, order, (person.handle, guid, parent, kind, "true"))

    def vote(self, person: Person, post: Post) -> None:
        """Add a vote, once per person and poll."""
        if post.poll is None or not self._once("vote", person.id, post.poll[0]):
            return
        poll, poll_guid, answers = post.poll
        answer, answer_guid = self.rng.choice(answers)
        guid = self.guid()
        number = self.add(
            "poll_participations",
            poll_answer_id=answer,
            author_id=person.id,
            poll_id=poll,
            guid=guid,
        )
        order = "author guid parent_guid poll_answer_guid"
        values = (person.handle, guid, poll_guid, answer_guid)
        self._sign("poll_participation", number, person, order, values)

    def _sign(
        self, kind: str, number: int, person: Person, order: str, values: tuple[str, ...]
    ) -> None:
        if person.owner is not None:
            return
        orders = [row["order"] for row in self.rows["signature_orders"]]
        if order not in orders:
            self.add("signature_orders", order=order)
            orders.append(order)
        signature = person.key.sign(";".join(values).encode(), padding.PKCS1v15(), SHA256())
        row: dict[str, Any] = {
            f"{kind}_id": number,
            "author_signature": base64.b64encode(signature).decode(),
            "signature_order_id": orders.index(order) + 1,
        }
        self.add(f"{kind}_signatures", **row)

    def conversation(self, starter: Person, partners: list[Person], messages: int) -> None:
        """Add a conversation with its messages."""
        number = self.add(
            "conversations", subject=self.rng.choice(SENTENCES)[:40], guid=self.guid(),
            author_id=starter.id,
        )  # fmt: skip
        people = [starter, *(p for p in partners if p is not starter)]
        for person in people:
            self.add("conversation_visibilities", conversation_id=number, person_id=person.id)
        for _ in range(messages):
            self.add(
                "messages", conversation_id=number, author_id=self.rng.choice(people).id,
                guid=self.guid(), text=self.rng.choice(SENTENCES),
            )  # fmt: skip
