"""Generated pods on PostgreSQL: skewed accounts, remote commenters, rows written by COPY."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Engine, create_engine, text

from tests.servers import Server, start_postgresql
from vaultd.demo.schema import create_schema
from vaultd.demo.texts import REPLIES, SENTENCES
from vaultd.demo.world import LocalUser, Person, Post, World

POD_URL = "https://pod.example"
KNOWN_PODS = 5_000  # as large pods have; people are on the first of them only
REMOTE_PODS = 40


@dataclass(frozen=True)
class Shape:
    """How many accounts of each weight, and what each writes: posts, comments on each, likes on
    each, contacts, own comments elsewhere."""

    heavy: int
    medium: int
    light: int
    of_heavy: tuple[int, int, int, int, int] = (2500, 3, 1, 150, 800)
    of_medium: tuple[int, int, int, int, int] = (60, 2, 1, 30, 40)
    of_light: tuple[int, int, int, int, int] = (5, 1, 1, 8, 4)


TWO_THOUSAND = Shape(10, 190, 1800)
FIFTY_THOUSAND = Shape(5, 295, 49_700, of_light=(2, 1, 0, 3, 1))


class Generated(World):
    """A pod's rows without real signatures: a few keys serve everybody."""

    def __init__(self, engine: Engine, images: Path, seed: int) -> None:
        super().__init__(create_schema(engine, "0.9"), random.Random(seed), images, POD_URL)
        self._keys = [rsa.generate_private_key(65537, 2048) for _ in range(4)]
        big = [rsa.generate_private_key(65537, 4096) for _ in range(4)]
        self._public = [
            k.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
            for k in big
        ]
        self._signatures = [self.rng.randbytes(512).hex()[:684] for _ in range(64)]
        self._pem = "-----BEGIN RSA PRIVATE KEY-----\n" + self.rng.randbytes(1100).hex()

    def words(self, sentences: int) -> str:
        """Return a text of realistic length that does not repeat."""
        some = [self.rng.choice(SENTENCES) for _ in range(sentences)]
        return " ".join(some) + f" https://{self.rng.getrandbits(60):x}.example/{self.guid()[:9]}"

    def _person(self, handle: str, first: str, last: str, **more: Any) -> Person:
        guid = self.guid()
        number = self.add(
            "people",
            guid=guid,
            diaspora_handle=handle,
            serialized_public_key=self.rng.choice(self._public),
            **more,
        )
        self.add("profiles", person_id=number, first_name=first, last_name=last, bio=first)
        return Person(number, handle, guid, first, more.get("owner_id"), self._keys[0])

    def local(self, username: str, first: str, last: str) -> LocalUser:
        """Add an account with two aspects; without a picture."""
        number = len(self.rows["users"]) + 1
        person = self._person(f"{username}@{self.host}", first, last, owner_id=number)
        self.add(
            "users", username=username, email=f"{username}@mail.example", language="en",
            serialized_private_key=self._pem, encrypted_password="$2a$10$" + "x" * 53,
            last_seen=self.now,
        )  # fmt: skip
        aspects = [self.add("aspects", name=n, user_id=number, order_id=1) for n in ("A", "B")]
        user = LocalUser(number, username, person, aspects)
        self.users.append(user)
        return user

    def post(self, user: LocalUser, text: str, *, public: bool, **_more: Any) -> Post:
        """Add a status message."""
        guid = self.guid()
        number = self.add(
            "posts", author_id=user.person.id, public=public, guid=guid, type="StatusMessage",
            text=text,
        )  # fmt: skip
        return Post(number, guid, user.person, public)

    def _sign(
        self, kind: str, number: int, person: Person, order: str, values: tuple[str, ...]
    ) -> None:
        if person.owner is not None:
            return
        orders = [row["order"] for row in self.rows["signature_orders"]]
        if order not in orders:
            self.add("signature_orders", order=order)
            orders.append(order)
        row = {
            f"{kind}_id": number,
            "author_signature": self.rng.choice(self._signatures) + values[1],
            "signature_order_id": orders.index(order) + 1,
        }
        self.add(f"{kind}_signatures", **row)

    def account(self, name: str, weight: tuple[int, int, int, int, int]) -> None:
        """Add one account with all that it writes and receives."""
        posts, comments, likes, contacts, own = weight
        user = self.local(name, name.title(), "Bench")
        for other in self.rng.sample(self.remotes, contacts):
            self.contact(user, other, sharing=True, receiving=True)
        for _ in range(posts):
            post = self.post(user, self.words(self.rng.randint(1, 6)), public=True)
            for _ in range(comments):
                self.comment(self.rng.choice(self.remotes), post, self.rng.choice(REPLIES))
            for _ in range(likes):
                self.like(self.rng.choice(self.remotes), post.id, post.guid, "Post", post.author)
        for _ in range(own):
            self.comment(user.person, self.rng.choice(self.posts), self.words(1))

    def copy_out(self, url: str) -> None:
        """Write all rows by COPY, set the sequences, and gather statistics."""
        with psycopg.connect(url) as connection:
            for table in self.metadata.sorted_tables:
                rows = self.rows.get(table.name)
                if not rows:
                    continue
                names = list(rows[0])
                columns = ", ".join(f'"{name}"' for name in names)
                with connection.cursor().copy(
                    f'COPY "{table.name}" ({columns}) FROM STDIN'
                ) as copy:
                    for row in rows:
                        copy.write_row([row[name] for name in names])
            connection.commit()
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")


@dataclass
class BenchPod:
    """A running PostgreSQL with one generated pod."""

    server: Server
    folder: Path
    url: str
    accounts: int

    def execute(self, statement: str) -> int:
        """Run one statement in a transaction of its own; return the rows it touched."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(statement).rowcount

    def cpu(self) -> float:
        """Return the seconds of processor time that the database server has used so far."""
        ticks = 0
        own = str(self.server.process.pid)
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue  # it ended meanwhile, and its parent has its time
                if folder.name == own:
                    ticks += sum(map(int, fields[11:15]))
                elif fields[1] == own:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def noise(self) -> None:
        """What a night of use writes that no archive holds."""
        self.execute("UPDATE users SET last_seen = now(), sign_in_count = sign_in_count + 1")

    def change(self, accounts: int) -> None:
        """A post each for this many accounts, spread over the pod; some bios change too."""
        step = max(1, self.accounts // accounts)
        where = f"p.owner_id % {step} = 0 AND p.owner_id <= {step * accounts}"
        self.execute(
            "INSERT INTO posts (id, author_id, public, guid, type, text, created_at, updated_at) "
            "SELECT (SELECT max(id) FROM posts) + row_number() over (), p.id, true, "
            "md5(p.id::text || clock_timestamp()::text), 'StatusMessage', "
            f"'A new post of ' || p.diaspora_handle, now(), now() FROM people p WHERE {where}"
        )

    def close(self) -> None:
        """Stop the server and remove everything."""
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def build_pod(shape: Shape, seed: int = 1, known: int = KNOWN_PODS) -> BenchPod:
    """Generate a pod that knows so many others, and start its database."""
    folder = Path(tempfile.mkdtemp(prefix="vaultd-bench-"))
    folder.chmod(0o755)
    server = start_postgresql(folder / "pg")
    url = f"postgresql://postgres@/postgres?host={folder / 'pg'}"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    images = folder / "uploads" / "images"
    images.mkdir(parents=True)
    world = Generated(engine, images, seed)
    # Names that compress no better than real ones.
    hosts = [f"pod-{world.rng.getrandbits(32):08x}.example" for _ in range(known)]
    for host in hosts:
        world.pod(host, 1)
    for number in range(800):
        world.remote(f"r{number}", hosts[number % REMOTE_PODS], f"R{number}", "", closed=False)
    # Posts by remote authors: what local accounts comment on, and what a pod mostly holds.
    for _ in range(20_000):
        author = world.rng.choice(world.remotes)
        guid = world.guid()
        number = world.add(
            "posts", author_id=author.id, public=True, guid=guid, type="StatusMessage",
            text=world.words(2), created_at=datetime(2026, 1, 1) + timedelta(seconds=1),  # noqa: DTZ001
        )  # fmt: skip
        world.posts.append(Post(number, guid, author, True))
    total = shape.heavy + shape.medium + shape.light
    for number in range(total):
        weight = (
            shape.of_heavy
            if number < shape.heavy
            else shape.of_medium
            if number < shape.heavy + shape.medium
            else shape.of_light
        )
        world.account(f"u{number:06d}", weight)
    world.copy_out(url)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()
    return BenchPod(server, folder, url, total)
