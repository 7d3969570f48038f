"""Train the format's zstd dictionary on synthetic records (never on users' data).

    python tools/train_dictionary.py OUT

The result is part of format v1: it is committed, its SHA-256 stands in `docs/format.md` and in
`vaultd/vault/compression.py`, and it never changes within version 1.
"""

from __future__ import annotations

import hashlib
import random
import sys
from pathlib import Path

import msgspec
import zstandard

from vaultd.records import Body, encode_record

SIZE = 48 * 1024
WORDS = """the and you that was for are with this have from they say her she will one all would there
their what so up out if about who get which when make can like time no just him know take people into
year your good some could them see other than then now look only come its over think also back after
use two how our work first well way even new want because any these give day most us photo today
morning coffee garden bicycle music concert weekend train friends family holiday cooking recipe
freedom privacy software server network podmin community question thanks hello everyone
und die der das ist nicht ich wir sie auch mit auf für ein eine schön heute morgen danke
le la les des est une dans pour pas sur avec bonjour merci aujourd'hui
el los una por para con está hoy gracias amigos de que en y a o""".split()
HOSTS = ["pod.example", "diaspora.example", "social.example.org", "pod.one.example"]
TAGS = ["newhere", "photo", "music", "linux", "diaspora", "garden", "politics", "cats", "bicycle"]
COMMENT_ORDER = ["author", "guid", "parent_guid", "text", "created_at"]
LIKE_ORDER = ["author", "guid", "parent_guid", "parent_type", "positive"]


def guid(rng: random.Random) -> str:
    """Return 32 hex characters as diaspora makes them (time-based: middles repeat)."""
    return f"{rng.getrandbits(48):012x}013{rng.getrandbits(4):x}{rng.getrandbits(64):016x}"


def sentence(rng: random.Random, low: int, high: int) -> str:
    """Return some words, now and then a tag or a link."""
    words = rng.choices(WORDS, k=rng.randint(low, high))
    if rng.random() < 0.3:
        words.append("#" + rng.choice(TAGS))
    if rng.random() < 0.1:
        words.append(f"https://www.example.org/{rng.getrandbits(32):x}")
    return " ".join(words).capitalize() + rng.choice([".", "!", "?", " :-)", ""])


def handle(rng: random.Random) -> str:
    """Return a made-up diaspora ID."""
    return f"{rng.choice(WORDS)}{rng.randint(1, 99)}@{rng.choice(HOSTS)}"


def moment(rng: random.Random, micro: bool = False) -> str:
    """Return a time as diaspora writes it."""
    text = (
        f"20{rng.randint(12, 29)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
        f"T{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"
    )
    return text + (f".{rng.randint(0, 999999):06d}Z" if micro else "Z")


def synthetic(rng: random.Random) -> tuple[str, str, Body]:
    """Return one record of the shapes in docs/format.md, section 7."""
    g, me, other = guid(rng), "user@pod.example", handle(rng)
    row: Body = {"created_at": moment(rng, True)}
    kind = rng.choices(
        ["post", "reshare", "comment", "received_comment", "like", "received_like", "subscription",
         "contact", "person", "photo", "message", "conversation", "audience", "vote", "profile"],
        [12, 2, 12, 20, 6, 6, 6, 4, 6, 3, 3, 1, 1, 1, 1],
    )[0]  # fmt: skip
    if kind == "post":
        body: Body = {
            "entity_type": "status_message",
            "entity_data": {
                "author": me, "guid": g, "created_at": moment(rng),
                "public": rng.random() < 0.7, "text": sentence(rng, 5, 60),
            },
            "aspects": [], "tags": [rng.choice(TAGS)], "references": [], "row": row,
        }  # fmt: skip
        return "post", g, body
    if kind == "reshare":
        return "received_reshare", g, {
            "entity_type": "reshare",
            "entity_data": {"author": other, "guid": g, "created_at": moment(rng),
                            "root_author": me, "root_guid": guid(rng)},
            "row": row,
        }  # fmt: skip
    if kind in ("comment", "received_comment"):
        parent = guid(rng)
        author = me if kind == "comment" else other
        return kind, g, {
            "entity_type": "comment",
            "entity_data": {"author": author, "guid": g, "parent_guid": parent,
                            "text": sentence(rng, 3, 30), "created_at": moment(rng)},
            "property_order": list(COMMENT_ORDER),
            "parent": {"type": "Post", "guid": parent, "author": other}, "row": row,
        }  # fmt: skip
    if kind in ("like", "received_like"):
        parent = guid(rng)
        return kind, g, {
            "entity_type": "like",
            "entity_data": {"author": other, "guid": g, "parent_guid": parent,
                            "parent_type": "Post", "positive": True},
            "property_order": list(LIKE_ORDER),
            "parent": {"type": "Post", "guid": parent, "author": me},
            "created_at": moment(rng, True), "row": {},
        }  # fmt: skip
    if kind == "subscription":
        parent = guid(rng)
        return kind, g, {
            "entity_type": "participation",
            "entity_data": {"author": me, "guid": g, "parent_guid": parent, "parent_type": "Post"},
            "parent": {"type": "Post", "guid": parent, "author": other}, "row": row,
        }  # fmt: skip
    if kind == "contact":
        return kind, other, {
            "account_id": other, "person_guid": g, "sharing": True, "receiving": True,
            "following": True, "followed": True, "aspects": [str(rng.randint(1, 999))],
            "created_at": moment(rng, True), "row": {},
        }  # fmt: skip
    if kind == "person":
        return kind, other, {
            "handle": other, "guid": g, "pod": other.split("@")[1], "closed": False,
            "public_key": "-----BEGIN PUBLIC KEY-----\nMIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA"
            + f"{rng.getrandbits(256):x}" + "CAwEAAQ==\n-----END PUBLIC KEY-----\n",
            "name": sentence(rng, 2, 2), "ties": {"subscribed_to": [guid(rng)]},
        }  # fmt: skip
    if kind == "photo":
        return kind, g, {
            "entity_type": "photo",
            "entity_data": {"guid": g, "author": me, "public": True, "created_at": moment(rng),
                            "remote_photo_path": "https://pod.example/uploads/images/",
                            "remote_photo_name": f"{rng.getrandbits(80):020x}.webp",
                            "status_message_guid": guid(rng), "height": 600, "width": 800},
            "pending": False, "aspects": [], "row": row,
            "blob": {"name": f"{rng.getrandbits(128):032x}/blob-{rng.getrandbits(256):064x}",
                     "size": rng.randint(1000, 500000)},
        }  # fmt: skip
    if kind == "message":
        return kind, g, {
            "entity_type": "message",
            "entity_data": {"author": other, "guid": g, "text": sentence(rng, 3, 40),
                            "created_at": moment(rng), "conversation_guid": guid(rng)},
            "row": row,
        }  # fmt: skip
    if kind == "conversation":
        return kind, g, {
            "entity_type": "conversation",
            "entity_data": {"author": other, "guid": g, "subject": sentence(rng, 2, 6),
                            "created_at": moment(rng), "participants": [me, other]},
            "unread": 0, "updated_at": moment(rng, True), "row": row,
        }  # fmt: skip
    if kind == "audience":
        host = rng.choice(HOSTS)
        return kind, host, {
            "host": host, "url": f"https://{host}/", "people": [other],
            "why": {"contact": 1, "comment": 2, "like": 1, "participation": 2, "reshare": 1},
        }  # fmt: skip
    if kind == "vote":
        parent = guid(rng)
        return "received_poll_vote", g, {
            "entity_type": "poll_participation",
            "entity_data": {"author": other, "guid": g, "parent_guid": parent,
                            "poll_answer_guid": guid(rng)},
            "property_order": ["author", "guid", "parent_guid", "poll_answer_guid"],
            "parent": {"type": "Poll", "guid": parent, "author": me, "post_guid": guid(rng)},
            "created_at": moment(rng, True), "row": {},
        }  # fmt: skip
    return "profile", me, {
        "entity_type": "profile",
        "entity_data": {"author": me, "first_name": "Alice", "last_name": "Smith",
                        "image_url": "https://pod.example/uploads/images/thumb_large_x.webp",
                        "bio": sentence(rng, 5, 40), "gender": "", "location": "",
                        "searchable": True, "nsfw": False, "tag_string": "#music #linux",
                        "public": False},
        "row": row,
    }  # fmt: skip


def manifest(rng: random.Random) -> bytes:
    """Return a synthetic manifest."""
    return msgspec.msgpack.Encoder(order="deterministic").encode(
        {
            "account": "user@pod.example", "guid": guid(rng), "username": "user",
            "public_key": "-----BEGIN PUBLIC KEY-----\nMIICIjANBgkqhkiG9w0BAQEFAAOCAg8AMIICCgKCAgEA",
            "time": moment(rng), "sequence": rng.randint(1, 99),
            "archives": [{"sequence": 1, "name": f"{rng.getrandbits(128):032x}/0000000001-",
                          "size": 4096, "hash": rng.randbytes(32)}],
            "counts": {"account": 1, "profile": 1, "aspect": 4, "contact": 12, "post": 99,
                       "photo": 5, "comment": 30, "like": 20, "subscription": 40, "person": 30,
                       "received_comment": 50, "received_like": 60, "audience": 8,
                       "conversation": 2, "message": 9, "followed_tag": 3},
            "changes": {"post": [1, 0, 0], "comment": [2, 0, 1], "received_like": [1, 0, 0]},
            "blob_key": rng.randbytes(32), "pod_url": "https://pod.example",
            "software": "vaultd 0.1.0",
        }
    )  # fmt: skip


def main() -> None:
    """Write the dictionary to the path given and print its SHA-256."""
    rng = random.Random(1)
    samples: list[bytes | bytearray | memoryview] = []
    for _ in range(6000):
        count = rng.randint(1, 6)
        samples.append(b"".join(encode_record(*synthetic(rng)) for _ in range(count)))
    samples += [manifest(rng) for _ in range(400)]
    data = zstandard.train_dictionary(SIZE, samples).as_bytes()
    Path(sys.argv[1]).write_bytes(data)
    print(hashlib.sha256(data).hexdigest(), len(data))


if __name__ == "__main__":
    main()
