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
from sqlalchemy import event

from vaultd.records import Record, merged
from vaultd.sources.base import singly
from vaultd.sources.diaspora import DiasporaSource
from vaultd.sources.diaspora.relayables import signed_text

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
def second(realpod: Callable[[str], str]) -> Records:
    return read(realpod("o1_day2"))


def _users(folder: Path, name: str) -> list[dict[str, Any]]:
    users = json.loads((folder / name).read_text())["users"]
    return users if isinstance(users, list) else list(users.values())


@pytest.mark.parametrize("day", ["expected.json", "expected_day2.json"])
def test_counts_by_kind_are_those_of_the_database_for_every_user(
    realpods: Path, first: Records, second: Records, day: str
) -> None:
    records = first if day == "expected.json" else second
    users = _users(realpods, day)
    assert {u["username"] for u in users} == set(records)
    for user in users:
        found = Counter(kind for kind, _ in records[user["username"]])
        for kind, names in COUNTS.items():
            wanted = sum(user["counts"][name] for name in names)
            assert found[kind] == wanted, (user["username"], kind)
        assert found["account"] == found["profile"] == 1
        assert found["role"] == len(user["roles"])


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
    realpods: Path, first: Records, second: Records
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
        if not own:
            assert not any(any(counts) for counts in diff.values()), user
        for kind, names in CHANGES.items():
            wanted = [
                sum(own.get(name, {}).get(what, 0) for name in names)
                for what in ("added", "changed", "removed")
            ]
            assert diff[kind] == wanted, (user, kind)


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
            body = (
                merged(record.body, record.finish(record.body) if record.finish else {})
                if tried[kind, str(record.body["entity_data"]["author"])] < 3
                else None
            )  # type: ignore[index, call-overload]
            if body is None:
                continue
            data = body["entity_data"]
            author = str(data["author"])  # type: ignore[index, call-overload]
            tried[kind, author] += 1
            key = load_pem_public_key(str(keys[author]).encode())
            assert isinstance(key, rsa.RSAPublicKey)
            signature = base64.b64decode(data["author_signature"], validate=True)  # type: ignore[index, call-overload, arg-type]
            text = signed_text(data, body["property_order"])  # type: ignore[arg-type]
            key.verify(signature, text.encode(), padding.PKCS1v15(), SHA256())
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
