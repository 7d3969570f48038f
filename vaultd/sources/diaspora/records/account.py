"""Account and profile: the row of `users`, its person, and the small tables hanging on both."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from sqlalchemy import select

from vaultd.records import Body, Json
from vaultd.sources.base import SourceAccount, Trouble
from vaultd.sources.diaspora.batch import Batch, Row
from vaultd.sources.diaspora.queries import account
from vaultd.sources.diaspora.records.packing import Item
from vaultd.sources.diaspora.records.values import day, exact, flag, json_safe, nulls, seconds, text

_USER: Final = (
    "username email language disable_mail show_community_spotlight_in_stream auto_follow_back "
    "color_theme post_default_public getting_started encrypted_password otp_required_for_login "
    "plain_otp_secret otp_backup_codes unconfirmed_email"
).split()
_FLAGS: Final = (
    "disable_mail show_community_spotlight_in_stream auto_follow_back post_default_public "
    "getting_started"
).split()
_KNOWN_USER: Final = frozenset(
    [*_USER, "id", "serialized_private_key", "created_at", "locked_at", "hidden_shareables",
     "invited_by_id", "auto_follow_back_aspect_id"]
)  # fmt: skip
_PROFILE: Final = (
    "first_name last_name image_url image_url_medium image_url_small gender bio location"
).split()
_KNOWN_PROFILE: Final = frozenset(
    [*_PROFILE, "id", "person_id", "birthday", "searchable", "nsfw", "public_details", "full_name",
     "diaspora_handle"]
)  # fmt: skip
_HIDDEN: Final = re.compile(r"^\s*-\s*['\"]?(\d{1,18})['\"]?\s*$", re.M)
_HIDDEN_FORM: Final = re.compile(r"(---)?\s*(\{\}|(['\"]?Post['\"]?:\s*(\[\]|(\n\s*-.*)*)\s*)?)\s*")


def read_accounts(batch: Batch) -> Iterator[Item]:
    """Yield `account` and `profile` of every account of the batch."""
    schema, scope = batch.schema, batch.scope
    rows = list(batch.ask(account.users(schema, scope)))
    hanging = {
        "invitation_codes": _by_user(batch, "invitation_codes", ("token", "count")),
        "services": _by_user(batch, "services", None),
        "reports": _reports(batch),
    }
    ended = {
        "migrations": _moves(batch, *account.MOVES[0], "new"),
        "moved_from": _moves(batch, *account.MOVES[1], "old"),
        "deletions": _by_person(batch, "account_deletions", "person_id"),
    }
    hidden = _hidden_posts(batch, rows)
    since = {
        row["owner_id"]: exact(row["created_at"]) for row in batch.ask(account.since(schema, scope))
    }
    for row in rows:
        owner = batch.by_user[row["id"]]
        raw = row["hidden_shareables"]
        if raw is not None and not _HIDDEN_FORM.fullmatch(text(raw)):
            yield owner, Trouble("users", str(row["id"]), "hidden_shareables is no list of posts")
        body: Body = {name: json_safe(row[name]) for name in _USER if name in row}
        body |= {
            "username": text(row["username"]),
            "email": text(row["email"]),
            "handle": owner.handle,
            "guid": owner.guid,
            "state": owner.state,
            "private_key": json_safe(row["serialized_private_key"]),
            "public_key": owner.public_key,
            "created_at": exact(row["created_at"]),
            "locked_at": exact(row["locked_at"]),
            "auto_follow_back_aspect": _aspect(row["auto_follow_back_aspect_id"]),
            "hidden_posts": list(hidden.get(row["id"], [])),
            "invited_by": _given(row["inviter_handle"]),
            "pod_url": batch.pod_url,
            "person_created_at": since.get(row["id"]),
            "row": batch.extra("users", row, _KNOWN_USER) | nulls(row, ("email", *_FLAGS)),
        }
        for name in _FLAGS:
            body[name] = flag(row[name])
        for name, found in hanging.items():
            body[name] = found.get(row["id"], [])
        person = batch.person_of.get(row["id"])
        for name, found in ended.items():
            body[name] = found.get(person or 0, [])
        yield batch.record(owner, "account", owner.guid, row["id"], body)
    yield from _profiles(batch)


def _aspect(value: object) -> str | None:
    return None if value is None else str(value)


def _given(value: object) -> str | None:
    return None if value is None else text(value)


def _by_user(batch: Batch, name: str, columns: tuple[str, ...] | None) -> dict[int, list[Json]]:
    found: dict[int, list[Json]] = defaultdict(list)
    for row in batch.ask(account.of_user(batch.schema, batch.scope, name)):
        wanted = columns or sorted({str(c) for c in row} - {"id", "user_id"})
        found[row["user_id"]].append({c: json_safe(row[c]) for c in wanted if c in row})
    return found


def _reports(batch: Batch) -> dict[int, list[Json]]:
    found: dict[int, list[Json]] = defaultdict(list)
    wanted = ("item_type", "item_id", "item_guid", "reviewed", "text", "created_at")
    for row in batch.ask(account.reports(batch.schema, batch.scope)):
        found[row["user_id"]].append({c: json_safe(row[c]) for c in wanted if c in row})
    return found


def _moves(batch: Batch, mine: str, other: str, side: str) -> dict[int, list[Json]]:
    """Return account migrations by people.id; the person on the other side is kept, too."""
    found: dict[int, list[Json]] = defaultdict(list)
    for row in batch.ask(account.moves(batch.schema, batch.scope, mine, other)):
        batch.meet(batch.by_person[row[mine]], (row[other],))
        whose = {"id", "other_handle", "other_guid", *account.MOVES[0]}
        move: Body = {c: json_safe(row[c]) for c in sorted(set(map(str, row)) - whose)}
        move[f"{side}_account"] = _given(row["other_handle"])
        move[f"{side}_guid"] = _given(row["other_guid"])
        found[row[mine]].append(move)
    return found


def _by_person(batch: Batch, name: str, column: str) -> dict[int, list[Json]]:
    found: dict[int, list[Json]] = defaultdict(list)
    for row in batch.ask(account.of_person(batch.schema, batch.scope, name, column)):
        kept = sorted({str(c) for c in row} - {"id", column})
        found[row[column]].append({c: json_safe(row[c]) for c in kept})
    return found


def hidden_ids(value: object) -> list[int]:
    """Return the posts.id in a `hidden_shareables`, in its order (facts A1)."""
    return [i for i in map(int, _HIDDEN.findall(text(value))) if i < 2**31]


def _hidden_posts(batch: Batch, rows: list[Row]) -> dict[int, list[str]]:
    ids = {row["id"]: hidden_ids(row["hidden_shareables"]) for row in rows}
    posts = batch.schema["posts"]
    wanted = {i for found in ids.values() for i in found}
    query = select(posts.c.id, posts.c.guid)
    guids = {r["id"]: text(r["guid"]) for r in batch.lookup(query, posts.c.id, wanted)}
    return {user: [guids[i] for i in found if i in guids] for user, found in ids.items()}


def _profiles(batch: Batch) -> Iterator[Item]:
    own: dict[int, list[str]] = defaultdict(list)
    for row in batch.ask(account.profile_tags(batch.schema, batch.scope)):
        own[row["person_id"]].append(f"#{text(row['name'])}")
    for row in batch.ask(account.profiles(batch.schema, batch.scope)):
        owner: SourceAccount = batch.by_person[row["person_id"]]
        data: dict[str, Json] = {"author": owner.handle}
        if (edited := seconds(row["updated_at"])) is not None:
            data["edited_at"] = edited
        data |= {n: text(row[n]) for n in _PROFILE if row[n] is not None}
        if row["birthday"] is not None:
            data["birthday"] = day(row["birthday"])
        data |= {
            "searchable": flag(row["searchable"]),
            "nsfw": flag(row["nsfw"]),
            "public": flag(row["public_details"]),
            "tag_string": " ".join(own.get(row["person_id"], [])),
        }
        body: Body = {
            "entity_type": "profile",
            "entity_data": data,
            "row": batch.extra("profiles", row, _KNOWN_PROFILE)
            | nulls(row, ("searchable", "nsfw", "public_details")),
        }
        yield batch.record(owner, "profile", owner.handle, row["id"], body)
