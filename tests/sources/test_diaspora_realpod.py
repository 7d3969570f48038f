"""The diaspora source on databases that real pods wrote."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from sqlalchemy import event, text

from vaultd.records import Record, merged
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.database import open_engine
from vaultd.sources.diaspora.records.relayables import signed_text

pytestmark = pytest.mark.realpod

Records = dict[str, dict[tuple[str, str], Record]]

# our kind -> what expected.json counts
COUNTS = {
    "post": ("posts_status_message", "posts_reshare"),
    "comment": ("comments_authored",),
    "like": ("likes_given_on_posts", "likes_given_on_comments"),
    "poll_vote": ("poll_votes_given",),
    "subscription": ("participations_by_me",),
    "followed_tag": ("tag_followings",),
    "block": ("blocks",),
    "preference": ("user_preferences",),
    "conversation": ("conversations_visible",),
    "message": ("messages_in_visible_conversations",),
    "received_comment": ("comments_received_from_others",),
    "received_like": ("likes_received_on_posts", "likes_received_on_comments"),
    "received_poll_vote": ("poll_votes_received",),
    "received_reshare": ("reshares_received",),
    "photo": ("photos",),
    "contact": ("contacts",),
    "aspect": ("aspects",),
}
# our kind -> what day2_changes.json lists (received votes and messages of others are not listed)
CHANGES = {
    "post": ("posts",),
    "comment": ("comments_authored",),
    "received_comment": ("comments_received_from_others",),
    "received_reshare": ("reshares_received",),
    "contact": ("contacts",),
    "aspect": ("aspects",),
    "profile": ("profile",),
    "account": ("account",),
    "photo": ("photos",),
    "followed_tag": ("tag_followings",),
    "block": ("blocks",),
    "poll_vote": ("poll_votes_given",),
    "subscription": ("participations_by_me",),
    "like": ("likes_given_on_posts", "likes_given_on_comments"),
    "received_like": ("likes_received_on_posts", "likes_received_on_comments"),
    "conversation": ("conversations_visible",),
}


# What the expectations do not count, asked of the database: whose, which, and what is in it.
_OWN = """
JOIN people owner ON owner.id = p.author_id JOIN users u ON u.id = owner.owner_id
"""
_SHARED = """
FROM share_visibilities s JOIN users u ON u.id = s.user_id JOIN people me ON me.owner_id = u.id
JOIN {thing} p ON p.id = s.shareable_id AND s.shareable_type = '{kind}' AND p.author_id <> me.id
"""
_POSTS, _PHOTOS = (
    _SHARED.format(thing=thing, kind=kind)
    for thing, kind in (("posts", "Post"), ("photos", "Photo"))
)
UNCOUNTED = {
    # Others' likes on others' comments on one's own posts are received likes, too.
    "received_like": f"""
        SELECT u.username, l.guid, '' FROM likes l
        JOIN comments c ON c.id = l.target_id AND l.target_type = 'Comment'
        JOIN posts p ON p.id = c.commentable_id AND c.commentable_type = 'Post' {_OWN}
        WHERE c.author_id <> p.author_id AND l.author_id <> p.author_id""",
    "subscriber": f"""
        SELECT u.username, l.guid, CAST(l.count AS text) FROM participations l
        JOIN posts p ON p.id = l.target_id AND l.target_type = 'Post' {_OWN}
        WHERE l.author_id <> p.author_id""",
    "shared_post": f"SELECT u.username, p.guid, CONCAT(s.hidden, p.text) {_POSTS}",
    "shared_photo": f"SELECT u.username, p.guid, CONCAT(s.hidden, p.text) {_PHOTOS}",
    "shared_comment": f"""
        SELECT u.username, c.guid, c.text {_POSTS}
        JOIN comments c ON c.commentable_id = p.id AND c.author_id <> me.id""",
    "shared_like": f"""
        SELECT u.username, l.guid, '' {_POSTS}
        JOIN likes l ON l.target_id = p.id AND l.target_type = 'Post' AND l.author_id <> me.id
        UNION ALL SELECT u.username, l.guid, '' {_POSTS}
        JOIN comments c ON c.commentable_id = p.id AND c.author_id <> me.id
        JOIN likes l ON l.target_id = c.id AND l.target_type = 'Comment' AND l.author_id <> me.id""",
    "shared_poll_vote": f"""
        SELECT u.username, v.guid, '' {_POSTS} JOIN polls q ON q.status_message_id = p.id
        JOIN poll_participations v ON v.poll_id = q.id AND v.author_id <> me.id""",
}
# Listed as added and removed, but not with how many reasons there are for one.
_COUNTS = """
SELECT u.username, p.guid, CAST(p.count AS text) FROM participations p
JOIN people owner ON owner.id = p.author_id JOIN users u ON u.id = owner.owner_id
"""
# User, kind, id and content of what is asked for.
Uncounted = dict[str, dict[str, dict[str, str]]]


def uncounted(url: str) -> Uncounted:
    found: Uncounted = defaultdict(lambda: defaultdict(dict))
    with open_engine(url).connect() as connection:
        for kind, query in {**UNCOUNTED, "subscription": _COUNTS}.items():
            for username, guid, content in connection.execute(text(query)):
                found[username][kind][guid] = content
    return found


def read(url: str) -> Records:
    source = DiasporaSource(url, "https://o1.test/", Path("/nowhere"))
    found: Records = defaultdict(dict)
    for account, record in singly(source.read(source.accounts())):
        assert isinstance(record, Record), record
        assert (record.kind, record.id) not in found[account.username]
        found[account.username][record.kind, record.id] = record
    return found


@pytest.fixture(scope="module")
def first(realpod: Callable[[str], str]) -> Records:
    return read(realpod("o1"))


@pytest.fixture(scope="module")
def more(realpod: Callable[[str], str]) -> list[Uncounted]:
    """What the expectations do not count, on both days."""
    return [uncounted(realpod(name)) for name in ("o1", "o1_day2")]


@pytest.fixture(scope="module")
def second(realpod: Callable[[str], str]) -> Records:
    return read(realpod("o1_day2"))


def _users(folder: Path, name: str) -> list[dict[str, Any]]:
    users = json.loads((folder / name).read_text())["users"]
    return users if isinstance(users, list) else list(users.values())


@pytest.mark.parametrize("day", ["expected.json", "expected_day2.json"])
def test_counts_by_kind_are_those_of_the_database_for_every_user(
    realpods: Path,
    first: Records,
    second: Records,
    day: str,
    more: list[Uncounted],
) -> None:
    records = first if day == "expected.json" else second
    found_more = more[records is second]
    users = _users(realpods, day)
    assert {u["username"] for u in users} == set(records)
    for user in users:
        found = Counter(kind for kind, _ in records[user["username"]])
        for kind, names in COUNTS.items():
            wanted = sum(user["counts"][name] for name in names)
            if kind == "received_like":
                wanted += len(found_more[user["username"]][kind])
            assert found[kind] == wanted, (user["username"], kind)
        for kind in set(UNCOUNTED) - {"received_like"}:
            guids = {own for each, own in records[user["username"]] if each == kind}
            assert guids == set(found_more[user["username"]][kind]), (user["username"], kind)
        assert found["account"] == found["profile"] == 1
        assert found["role"] == len(user["roles"])


def test_likes_of_others_on_others_comments_on_own_posts_are_there(
    first: Records, more: list[Uncounted]
) -> None:
    found = {username: set(kinds["received_like"]) for username, kinds in more[0].items()}
    likes = {username: guids for username, guids in found.items() if guids}
    assert (sum(map(len, likes.values())), len(likes)) == (26, 16)
    for username, guids in likes.items():
        for guid in guids:
            body = first[username]["received_like", guid].body
            parent = body["parent"]
            assert isinstance(parent, dict)
            assert parent["type"] == "Comment"
            assert parent["author"] != parent["post_author"]
            assert ("post", parent["post_guid"]) in first[username]
            assert ("received_comment", parent["guid"]) in first[username]


def test_audience_holds_every_pod_that_interacted(realpods: Path, first: Records) -> None:
    for user in _users(realpods, "expected.json"):
        hosts = {record_id for kind, record_id in first[user["username"]] if kind == "audience"}
        assert hosts >= set(user["interacting_pods"]["all"]), user["username"]


def test_known_pods_are_the_table_and_the_same_for_everybody(
    realpods: Path, first: Records
) -> None:
    hosts, urls = [], {}
    for pod in json.loads((realpods / "expected.json").read_text())["pods"]:
        host = pod["host"] if pod["port"] == -1 else f"{pod['host']}:{pod['port']}"
        hosts.append(host)
        if not pod["ssl"]:
            urls[host] = f"http://{host}/"
    for records in first.values():
        found = [record.body for (kind, _), record in records.items() if kind == "known_pods"]
        assert found == [{"hosts": hosts, "urls": urls}]


def test_the_second_day_shows_exactly_the_changes_that_happened(
    realpods: Path, first: Records, second: Records, more: list[Uncounted]
) -> None:
    listed = json.loads((realpods / "day2_changes.json").read_text())["users"]
    for user in set(first) & set(second):
        before, after = first[user], second[user]
        diff: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for key in set(before) | set(after):
            old, new = before.get(key), after.get(key)
            if (new or old).passive:  # type: ignore[union-attr]
                continue
            if old is None:
                diff[key[0]][0] += 1
            elif new is None:
                diff[key[0]][2] += 1
            elif old.body != new.body and not _only_somebody_left(old, new):
                diff[key[0]][1] += 1
        own = listed.get(user, {})
        unlisted = {kind: _diff(more[0][user][kind], more[1][user][kind]) for kind in UNCOUNTED}
        for kind in set(UNCOUNTED) - set(CHANGES):
            assert diff[kind] == unlisted[kind], (user, kind)
        if not own and not any(any(counts) for counts in unlisted.values()):
            assert not any(any(counts) for counts in diff.values()), user
        for kind, names in CHANGES.items():
            wanted = [
                sum(own.get(name, {}).get(what, 0) for name in names)
                for what in ("added", "changed", "removed")
            ]
            if kind == "subscription":
                wanted[1] += _diff(more[0][user][kind], more[1][user][kind])[1]
            if kind in UNCOUNTED:
                wanted = [sum(both) for both in zip(wanted, unlisted[kind], strict=True)]
            assert diff[kind] == wanted, (user, kind)


def _diff(before: dict[str, str], after: dict[str, str]) -> list[int]:
    """Return how many came, changed and went."""
    stay = set(before) & set(after)
    changed = sum(before[guid] != after[guid] for guid in stay)
    return [len(set(after) - stay), changed, len(set(before) - stay)]


def _only_somebody_left(old: Record, new: Record) -> bool:
    # A closed account's rows leave the conversations of others; their own rows stay as they were.
    if old.kind != "conversation":
        return False
    bodies = [json.loads(json.dumps(r.body)) for r in (old, new)]
    people = [set(b["entity_data"].pop("participants")) for b in bodies]
    return bool(bodies[0] == bodies[1] and people[1] < people[0])


def test_signatures_of_others_verify_with_their_keys(first: Records) -> None:
    tried: Counter[tuple[str, str]] = Counter()
    for records in first.values():
        keys = {k[1]: r.body["public_key"] for k, r in records.items() if k[0] == "person"}
        for (kind, _), record in records.items():
            if kind not in ("received_comment", "received_like", "received_poll_vote"):
                continue
            body = record.body
            data = body["entity_data"]
            assert isinstance(data, dict)
            if tried[kind, str(data["author"])] >= 3:
                continue
            if record.finish is not None:
                data = merged(body, record.finish(body))["entity_data"]
                assert isinstance(data, dict)
            author = str(data["author"])
            tried[kind, author] += 1
            key = load_pem_public_key(str(keys[author]).encode())
            assert isinstance(key, rsa.RSAPublicKey)
            signature = base64.b64decode(data["author_signature"], validate=True)  # type: ignore[arg-type]
            said = signed_text(data, body["property_order"])  # type: ignore[arg-type]
            key.verify(signature, said.encode(), padding.PKCS1v15(), SHA256())
    assert len({author for _, author in tried}) > 40


def test_the_number_of_queries_does_not_depend_on_the_number_of_accounts(
    realpod: Callable[[str], str],
) -> None:
    numbers = []
    source = DiasporaSource(realpod("o1"), "https://o1.test/", Path("/nowhere"))
    everybody = source.accounts()
    seen: list[str] = []
    event.listen(source.engine, "before_cursor_execute", lambda *args: seen.append(args[2]))
    for batch in (everybody[:1], everybody[:5], everybody):
        seen.clear()
        for _ in source.read(batch):
            pass
        # Large texts are asked for by themselves, a few megabytes at a time.
        numbers.append(sum(" AS size0" not in query for query in seen))
    assert numbers[0] == numbers[1] == numbers[2], numbers


def test_a_light_account_reads_the_same_alone_and_in_company(
    realpod: Callable[[str], str], first: Records
) -> None:
    source = DiasporaSource(realpod("o1"), "https://o1.test/", Path("/nowhere"))
    for name in ("lucie", "closing", "noaspects"):
        alone = {
            (r.kind, r.id): r.body
            for _, r in singly(source.read(source.accounts([name])))
            if isinstance(r, Record)
        }
        assert alone == {key: record.body for key, record in first[name].items()}


def test_profiles_were_edited_when_diasporas_own_exports_say(
    realpods: Path, first: Records
) -> None:
    for path in sorted((realpods / "exports").glob("*.json.gz")):
        profile = json.loads(gzip.decompress(path.read_bytes()))["user"]["profile"]["entity_data"]
        name = profile["author"].partition("@")[0]
        body = first[name]["profile", profile["author"]].body
        assert body["entity_data"]["edited_at"] == profile["edited_at"]  # type: ignore[index, call-overload]
