"""Building the demo pod: a SQLite database with the real schema, sixty lives, and their pictures."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine

from vaultd.demo.schema import create_schema
from vaultd.demo.texts import NAMES, SENTENCES, long_text
from vaultd.demo.world import LocalUser, World

POD_URL: Final = "https://pod.example"
_PODS: Final = (
    ("friendly.example", 1), ("tiny.example", 1), ("north.example", 1), ("lost.example", 2),
    ("badtls.example", 4), ("quiet.example", 3), ("neverseen.example", 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DemoPod:
    """Where the demo pod lies; `usernames` are its local accounts."""

    directory: Path
    database_url: str
    pod_url: str
    uploads: Path
    usernames: tuple[str, ...]


def build_pod(directory: Path, *, accounts: int = 60, seed: int = 1) -> DemoPod:
    """Create `pod.sqlite3` (schema 0.9) and `uploads/images/` in a folder.

    Texts depend on the seed only; keys are fresh and, at 1024 bits, small on purpose: a demo
    does not wait a minute for keys that protect nobody.
    """
    directory.mkdir(parents=True, exist_ok=True)
    uploads = directory / "uploads"
    (uploads / "images").mkdir(parents=True)
    url = f"sqlite:///{directory / 'pod.sqlite3'}"
    engine = create_engine(url)
    rng = random.Random(seed)
    world = World(create_schema(engine, "0.9"), rng, uploads / "images", POD_URL)
    populate(world, accounts)
    world.flush(engine)
    engine.dispose()
    names = tuple(user.username for user in world.users)
    return DemoPod(directory, url, POD_URL, uploads, names)


def populate(world: World, accounts: int) -> None:
    """Fill an empty world: people, contacts, posts and reactions, talks, and oddities."""
    for host, status in _PODS:
        world.pod(host, status)
    locals_ = _people(world, accounts)
    _befriend(world, locals_)
    _write(world, locals_)
    _talk(world, locals_)
    _odd_ones(world, locals_)


def _people(world: World, accounts: int) -> list[LocalUser]:
    users = []
    for number in range(accounts):
        first, last = NAMES[number % len(NAMES)]
        name = f"{_plain(first)}{number // len(NAMES) or ''}"
        users.append(world.local(name, first, last))
    for number in range(24):
        first, last = NAMES[(number * 7) % len(NAMES)]
        host = _PODS[number % 6][0]
        world.remote(f"{_plain(first)}.{number}", host, first, last, closed=number == 11)
    return users


def _plain(name: str) -> str:
    return "".join(c for c in name.lower().replace("é", "e") if c.isascii())


def _befriend(world: World, users: list[LocalUser]) -> None:
    rng = world.rng
    for number, user in enumerate(users):
        if number >= 54:  # the last ones joined and never did anything
            continue
        others = rng.sample([u.person for u in users[:54] if u is not user], rng.randint(3, 12))
        others += rng.sample(world.remotes, rng.randint(1, 6))
        for other in others:
            sharing, receiving = rng.choice(((1, 1), (1, 1), (1, 1), (1, 0), (0, 1)))
            world.contact(user, other, sharing=bool(sharing), receiving=bool(receiving))
        for tag in rng.sample(range(10), rng.randint(0, 4)):
            world.follow_tag(user, tag)
        if number % 9 == 0:
            world.add("blocks", user_id=user.id, person_id=rng.choice(world.remotes).id)
        for kind in rng.sample(("liked", "reshared", "mentioned", "private_message"), number % 3):
            world.add("user_preferences", email_type=kind, user_id=user.id)


def _write(world: World, users: list[LocalUser]) -> None:
    rng = world.rng
    for number, user in enumerate(users[:54]):
        amount = 160 if number < 2 else 24 if number < 12 else rng.randint(0, 5)
        for _ in range(amount):
            kind = rng.random()
            if kind < 0.08 and world.public_posts:
                world.reshare(user, rng.choice(world.public_posts))
                continue
            text = rng.choice(SENTENCES)
            if rng.random() < 0.1:
                friend = rng.choice(users[:54]).person
                text += f" What do you think, @{{{friend.name}; {friend.handle}}}?"
            world.post(
                user,
                text,
                public=kind < 0.75,
                photos=rng.choice((0, 0, 0, 0, 0, 0, 0, 1, 1, 2)),
                poll=rng.random() < 0.05,
                place=rng.random() < 0.06,
            )
    world.post(users[0], long_text(rng), public=True)
    everybody = [u.person for u in users[:54]] + world.remotes
    for post in list(world.posts):
        crowd = 14 if post.author.owner in (users[0].id, users[1].id) else 5
        for person in rng.sample(everybody, rng.randint(0, crowd)):
            if post.public or person.owner is not None:
                world.react(person, post)


def _talk(world: World, users: list[LocalUser]) -> None:
    rng = world.rng
    for number in range(30):
        starter = users[number % 20]
        partners = rng.sample([u.person for u in users[20:50]] + world.remotes, rng.randint(1, 4))
        world.conversation(starter.person, partners, rng.randint(1, 9))


def _odd_ones(world: World, users: list[LocalUser]) -> None:
    world.add("roles", person_id=users[0].person.id, name="admin")
    world.add("roles", person_id=users[3].person.id, name="moderator")
    world.add("invitation_codes", token="0a1b2c3d4e5f", user_id=users[0].id, count=25)
    world.rows["users"][users[57].id - 1]["locked_at"] = world.now
    closed = users[58]
    world.rows["people"][closed.person.id - 1]["closed_account"] = True
    world.rows["users"][closed.id - 1] |= {
        "locked_at": world.now,
        "email": f"deletedaccount_{closed.id}@example.org",
    }
    world.add("account_deletions", person_id=closed.person.id, completed_at=world.now)
    hidden = [post.id for post in world.posts[:2]]
    lines = "".join(f"- '{number}'\n" for number in hidden)
    world.rows["users"][users[5].id - 1]["hidden_shareables"] = f"---\nPost:\n{lines}"
    # A reshare whose root was deleted, an orphaned comment, a registration that never ended.
    world.add(
        "posts", author_id=users[4].person.id, public=True, guid=world.guid(), type="Reshare",
        created_at=world.now - timedelta(days=40),
    )  # fmt: skip
    world.add(
        "comments", text="Where has the post gone?", commentable_id=999_999_999,
        author_id=users[6].person.id, guid=world.guid(), commentable_type="Post",
    )  # fmt: skip
    world.half_registered("almost")
