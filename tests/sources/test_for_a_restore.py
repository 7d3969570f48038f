"""What a restore into a pod needs beside an account's own words: moves, reports, readers, people."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select, update

from tests.sources.test_fingerprints import Pod, pod
from vaultd.records import Body, Record
from vaultd.sources.base import singly
from vaultd.sources.diaspora import portions

__all__ = ["pod"]
Bodies = dict[tuple[str, str], Body]


def _read(pod: Pod, *keys: int) -> dict[int, Bodies]:
    found: dict[int, Bodies] = {key: {} for key in keys}
    accounts = [account for account in pod.source.accounts() if account.key in keys]
    for account, record in singly(pod.source.read(accounts)):
        assert isinstance(record, Record), record
        found[account.key][record.kind, record.id] = record.body
    return found


def _account(bodies: Bodies) -> Any:
    return next(body for (kind, _), body in bodies.items() if kind == "account")


def _people(pod: Pod, *users: int) -> list[Any]:
    people = pod.table("people")
    with pod.engine.connect() as connection:
        rows = connection.execute(select(people).where(people.c.owner_id.in_(users))).mappings()
        return sorted(rows, key=lambda row: users.index(row["owner_id"]))


def test_a_move_is_in_the_vaults_of_both_sides_with_the_other_person(pod: Pod) -> None:
    moves = pod.table("account_migrations")
    new, old = _people(pod, 1, 2)  # second moved to first (see Pod)
    before = pod.prints()
    with pod.engine.begin() as connection:
        connection.execute(
            update(moves).values(signature="signed", remote_photo_path="https://x.example/")
        )
    assert {key for key in before if before[key] != pod.prints()[key]} == {1, 2}
    found = _read(pod, 1, 2)
    (left,) = _account(found[2])["migrations"]
    (came,) = _account(found[1])["moved_from"]
    assert (left["new_account"], left["new_guid"]) == (new["diaspora_handle"], new["guid"])
    assert (came["old_account"], came["old_guid"]) == (old["diaspora_handle"], old["guid"])
    for each in (left, came):
        assert (each["signature"], each["remote_photo_path"]) == ("signed", "https://x.example/")
    assert not _account(found[1])["migrations"]
    for key, other in ((1, old), (2, new)):
        person = found[key]["person", other["diaspora_handle"]]
        assert person["public_key"] == other["serialized_public_key"]


def test_a_report_names_what_it_is_about_and_a_lock_when_it_was_set(pod: Pod) -> None:
    posts, users = pod.table("posts"), pod.table("users")
    with pod.engine.begin() as connection:
        guid = connection.execute(select(posts.c.guid).where(posts.c.id == 1)).scalar_one()
        at = connection.execute(select(users.c.created_at).where(users.c.id == 2)).scalar_one()
        connection.execute(update(users).where(users.c.id == 2).values(locked_at=at))
    body = _account(_read(pod, 2)[2])
    (report,) = body["reports"]
    assert (report["item_type"], report["item_id"], report["item_guid"]) == ("Post", 1, guid)
    assert body["state"] == "locked"
    assert body["locked_at"] == body["created_at"]


def test_who_follows_a_post_and_who_may_see_a_photo_is_kept(pod: Pod) -> None:
    follows, photos, seen = (
        pod.table(name) for name in ("participations", "photos", "share_visibilities")
    )
    (me,) = _people(pod, 1)
    with pod.engine.begin() as connection:
        connection.execute(update(follows).values(count=3))
        picture = dict(
            connection.execute(
                select(photos.c.id, photos.c.guid).where(photos.c.author_id == me["id"]).limit(1)
            ).mappings().one()
        )  # fmt: skip
        given = select(seen.c.id).where(
            seen.c.shareable_type == "Photo", seen.c.shareable_id == picture["id"],
            seen.c.user_id == 5,
        )  # fmt: skip
        if connection.execute(given).first() is None:
            connection.execute(
                insert(seen).values(
                    id=99_000, shareable_id=picture["id"], shareable_type="Photo", user_id=5,
                    hidden=False,
                )
            )  # fmt: skip
    found = _read(pod, 1, 5)
    for kind in ("subscription", "subscriber"):
        counts = {body["row"]["count"] for each, body in _each(found[1], kind)}  # type: ignore[index, call-overload]
        assert counts == {3}, kind
    (reader,) = _people(pod, 5)
    ties: Any = found[1]["person", reader["diaspora_handle"]]["ties"]
    assert picture["guid"] in ties["recipient_of_photo"]
    assert (
        found[5]["shared_photo", picture["guid"]]["entity_data"]["author"]
        == (  # type: ignore[index, call-overload]
            me["diaspora_handle"]
        )
    )


def _each(bodies: Bodies, kind: str) -> list[tuple[str, Body]]:
    return [(own, body) for (each, own), body in bodies.items() if each == kind]


def test_others_profiles_are_kept_as_far_as_the_pod_would_show_them(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts, people, profiles = (pod.table(n) for n in ("contacts", "people", "profiles"))
    with pod.engine.begin() as connection:
        known = connection.execute(
            select(people.c.id, contacts.c.sharing)
            .join(contacts, contacts.c.person_id == people.c.id)
            .where(contacts.c.user_id == 1)
        )
        sharing = {number: bool(shares) for number, shares in known}
        friend = next(number for number, shares in sharing.items() if shares)
        stranger = next(number for number, shares in sharing.items() if not shares)
        connection.execute(update(profiles).values(bio="secret", public_details=False))
    shown = {number: _profile(pod, number) for number in (friend, stranger)}
    assert shown[friend]["bio"] == "secret"
    assert "bio" not in shown[stranger]
    assert shown[stranger]["first_name"]
    with pod.engine.begin() as connection:
        connection.execute(update(profiles).values(public_details=True))
    assert _profile(pod, stranger)["bio"] == "secret"
    # What no record could hold costs the detail, not the person.
    monkeypatch.setattr(portions, "MAX_RECORD_BYTES", 40_000)
    with pod.engine.begin() as connection:
        connection.execute(update(profiles).values(bio="x" * 60_000))
    body = _person(pod, stranger)
    assert "bio" not in body["profile"]
    assert body["left_out"] == ["bio"]


def _person(pod: Pod, number: int) -> Any:
    people = pod.table("people")
    with pod.engine.connect() as connection:
        handle = connection.execute(
            select(people.c.diaspora_handle).where(people.c.id == number)
        ).scalar_one()
    return _read(pod, 1)[1]["person", handle]


def _profile(pod: Pod, number: int) -> Any:
    return _person(pod, number)["profile"]
