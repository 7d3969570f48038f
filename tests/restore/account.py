"""A small account with one of everything, and the traps the importer falls into."""

from __future__ import annotations

from vaultd.fields import entity
from vaultd.records import Body, Json, StoredRecord

ME = "ada@old.example"
SIGNATURE = "c2lnbmF0dXJl" * 10


def guid(name: str) -> str:
    return name.encode().hex().rjust(32, "0")


def post(
    name: str, *, public: bool = True, aspects: list[Json] | None = None, **more: Json
) -> StoredRecord:
    data: Body = {
        "author": ME,
        "guid": guid(name),
        "created_at": "2025-04-15T18:18:38Z",
        "public": public,
        "text": f"Post {name}",
        **more,
    }
    body: Body = {"entity_type": "status_message", "entity_data": data, "aspects": aspects or []}
    return StoredRecord("post", str(data["guid"]), body)


def comment(name: str, parent: str | None, *, kind: str = "comment", **more: Json) -> StoredRecord:
    data: Body = {
        "author": ME if kind == "comment" else "bob@far.example",
        "guid": guid(name),
        "text": f"Comment {name}",
        "created_at": "2025-05-10T10:41:33Z",
    }
    if parent is not None:
        data["parent_guid"] = guid(parent)
    if kind != "comment":
        data["author_signature"] = SIGNATURE
    data.update(more)
    body: Body = {
        "entity_type": "comment",
        "entity_data": {key: value for key, value in data.items() if value is not None},
        "property_order": ["author", "guid", "parent_guid", "text", "created_at"],
        "parent": {"type": "Post", "guid": data.get("parent_guid"), "author": "carl@old.example"},
    }
    return StoredRecord(kind, str(data["guid"]), body)


def like(name: str, parent: str, parent_type: str, *, kind: str = "like") -> StoredRecord:
    data: Body = {
        "author": ME if kind == "like" else "bob@far.example",
        "guid": guid(name),
        "parent_guid": guid(parent),
        "parent_type": parent_type,
        "positive": True,
    }
    if kind != "like":
        data["author_signature"] = SIGNATURE
    order: list[Json] = ["author", "guid", "parent_guid", "parent_type", "positive"]
    body: Body = {
        "entity_type": "like",
        "entity_data": data,
        "property_order": order,
        "parent": {"type": parent_type, "guid": guid(parent), "author": ME},
    }
    return StoredRecord(kind, guid(name), body)


def vote(name: str, poll: str, *, kind: str = "poll_vote") -> StoredRecord:
    data: Body = {
        "author": ME if kind == "poll_vote" else "bob@far.example",
        "guid": guid(name),
        "parent_guid": guid(poll),
        "poll_answer_guid": guid("answer1"),
    }
    if kind != "poll_vote":
        data["author_signature"] = SIGNATURE
    body: Body = {
        "entity_type": "poll_participation",
        "entity_data": data,
        "parent": {"type": "Poll"},
    }
    return StoredRecord(kind, guid(name), body)


def photo(name: str, post_name: str | None, file: str, **more: Json) -> StoredRecord:
    data: Body = {
        "guid": guid(name),
        "author": ME,
        "public": True,
        "created_at": "2025-04-15T18:18:30Z",
        "remote_photo_path": "https://old.example/uploads/images/",
        "remote_photo_name": file,
        "height": 20,
        "width": 30,
    }
    if post_name is not None:
        data["status_message_guid"] = guid(post_name)
    body: Body = {"entity_type": "photo", "entity_data": data, "pending": False, **more}
    return StoredRecord("photo", guid(name), body)


def poll(name: str, answers: int = 2) -> Body:
    made: list[Json] = [
        {
            "entity_type": "poll_answer",
            "entity_data": {"guid": guid(f"answer{n}"), "answer": f"A{n}"},
        }
        for n in range(1, answers + 1)
    ]
    data: Body = {"guid": guid(name), "question": "Tea?", "poll_answers": made}
    return {"entity_type": "poll", "entity_data": data}


def reshare(name: str, *, root: bool) -> StoredRecord:
    data: Body = {
        "author": ME,
        "guid": guid(name),
        "created_at": "2025-06-01T00:00:00Z",
        "public": True,
    }
    if root:
        data |= {"root_author": "bob@far.example", "root_guid": guid("root")}
    return StoredRecord("post", guid(name), {"entity_type": "reshare", "entity_data": data})


def contact(handle: str, *, sharing: bool, receiving: bool, aspects: list[Json]) -> StoredRecord:
    body: Body = {
        "account_id": handle,
        "person_guid": guid(handle.split("@", 1)[0]),
        "sharing": sharing,
        "receiving": receiving,
        "following": sharing,
        "followed": receiving,
        "aspects": aspects,
    }
    return StoredRecord("contact", handle, body)


def person(handle: str, **more: Json) -> StoredRecord:
    body: Body = {
        "handle": handle,
        "guid": guid(handle.split("@", 1)[0]),
        "public_key": f"-----BEGIN PUBLIC KEY-----\n{handle}\n-----END PUBLIC KEY-----\n",
        "pod": handle.split("@", 1)[1],
        "closed": False,
        "name": handle.split("@", 1)[0].title(),
        **more,
    }
    return StoredRecord("person", handle, body)


def account() -> list[StoredRecord]:
    """Return the sound part: everything here belongs in the archive."""
    settings: Body = {
        "username": "ada",
        "email": "ada@example.org",
        "language": "en",
        "private_key": "-----BEGIN RSA PRIVATE KEY-----\n…\n-----END RSA PRIVATE KEY-----\n",
        "handle": ME,
        "state": "active",
        "auto_follow_back": True,
        "auto_follow_back_aspect": "12",
        "color_theme": "dark",
        "hidden_posts": [guid("h1"), guid("h2")],
    }
    profile: Body = {"author": ME, "first_name": "Ada", "searchable": True, "tag_string": "#tea"}
    conversation: Body = {"entity_type": "conversation", "entity_data": {"subject": "Hi"}}
    subscribed: Body = {"author": ME, "parent_guid": guid("theirs"), "parent_type": "Post"}
    place: Body = {"address": "Berlin", "lat": "52.5", "lng": "13.3"}
    return [
        StoredRecord("account", guid("ada"), settings),
        StoredRecord("profile", ME, {"entity_type": "profile", "entity_data": profile}),
        StoredRecord("aspect", "12", {"name": "Friends", "order_id": 2}),
        StoredRecord("aspect", "11", {"name": "Family", "order_id": 1}),
        contact("bob@far.example", sharing=True, receiving=True, aspects=["12"]),
        contact("fan@fans.example", sharing=True, receiving=False, aspects=[]),
        person("bob@far.example"),
        person("fan@fans.example"),
        person("carl@old.example", ties={"subscribed_to": [guid("open")]}),
        person("dora@third.example"),
        StoredRecord(
            "subscriber",
            guid("dora follows"),
            {
                "entity_type": "participation",
                "entity_data": {
                    "author": "dora@third.example",
                    "guid": guid("dora follows"),
                    "parent_guid": guid("open"),
                    "parent_type": "Post",
                },
                "row": {"count": 2, "created_at": "2025-05-10T10:41:33.5Z"},
            },
        ),
        person("eve@fourth.example", ties={"recipient_of": [guid("private")]}),
        post("open", location={"entity_type": "location", "entity_data": place}),
        post("asked", poll=poll("poll1")),
        post("private", public=False, aspects=["12"]),
        post("pictured", text=""),
        reshare("shared", root=True),
        photo("photo1", "pictured", "aaaa.webp", blob={"name": "v/blob-1", "size": 9}),
        photo("photo2", None, "face.webp", blob={"name": "v/blob-2", "size": 9}),
        comment("mine", "theirs"),
        comment("mine on mine", "open"),
        like("liked", "theirs", "Post"),
        like("liked comment", "their comment", "Comment"),
        vote("voted", "their poll"),
        StoredRecord("subscription", guid("sub"), {"entity_data": subscribed}),
        StoredRecord("followed_tag", "tea", {"name": "tea"}),
        StoredRecord("block", "troll@bad.example", {"account_id": "troll@bad.example"}),
        StoredRecord("preference", "mentioned", {"email_type": "mentioned"}),
        StoredRecord("known_pods", "0", {"hosts": ["far.example", "b.example"], "urls": {}}),
        StoredRecord("conversation", guid("conv"), conversation),
        StoredRecord("message", guid("message"), {"entity_type": "message", "entity_data": {}}),
        comment("received", "open", kind="received_comment", author="dora@third.example"),
        like("received like", "open", "Post", kind="received_like"),
        like("like on mine", "mine on mine", "Comment", kind="received_like"),
        vote("received vote", "poll1", kind="received_poll_vote"),
        *_shared(),
    ]


def _shared() -> list[StoredRecord]:
    """Return a private post of bob's with a photo, and what others did on it."""
    body = dict(post("told", public=False, poll=poll("poll of bob")).body or {})
    body["entity_data"] = {**entity(body), "author": "bob@far.example", "text": "Told to friends."}
    pictured = dict(photo("photo of bob", "told", "bob.webp").body or {})
    pictured["entity_data"] = {**entity(pictured), "author": "bob@far.example"}
    return [
        StoredRecord("shared_post", guid("told"), {**body, "hidden": False}),
        StoredRecord("shared_photo", guid("photo of bob"), {**pictured, "hidden": False}),
        comment("on told", "told", kind="shared_comment", author="dora@third.example"),
        like("told is liked", "told", "Post", kind="shared_like"),
        vote("bob is asked", "poll of bob", kind="shared_poll_vote"),
    ]
