from __future__ import annotations

import base64
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.restore.account import (
    ME,
    account,
    comment,
    contact,
    guid,
    person,
    photo,
    poll,
    post,
    reshare,
    vote,
)
from tests.restore.archive_check import schema_errors, what_the_importer_refuses
from tests.restore.point import FakeManifest, FakePoint
from vaultd.records import Body, StoredRecord
from vaultd.restore.archive.archive import write_diaspora
from vaultd.restore.archive.report import Report, Section

FILES = {"v/blob-1": b"picture one", "v/blob-2": b"picture two"}


def restore(records: list[StoredRecord], out: Path) -> tuple[dict[str, Any], Report]:
    report = write_diaspora(FakePoint(records, files=FILES), out)
    return json.loads(gzip.decompress((out / "ada.json.gz").read_bytes())), report


def reasons(report: Report, section: Section) -> str:
    return "\n".join(
        f"{group.count} {group.reason} {group.items}" for group in report.groups(section)
    )


def test_the_archive_keeps_the_importers_rules(tmp_path: Path) -> None:
    archive, _ = restore(account(), tmp_path)
    assert what_the_importer_refuses(archive) == []


def test_the_archive_is_valid_by_diasporas_own_schemas(tmp_path: Path) -> None:
    archive, _ = restore(account(), tmp_path)
    assert schema_errors(archive) == []


def test_an_archive_full_of_traps_is_still_valid(tmp_path: Path) -> None:
    archive, _ = restore([*account(), *traps()], tmp_path)
    assert what_the_importer_refuses(archive) == []
    assert schema_errors(archive) == []


def test_an_empty_account_gives_a_valid_archive(tmp_path: Path) -> None:
    archive, report = restore([], tmp_path)
    assert archive["user"]["profile"]["entity_data"] == {"author": ME}
    assert schema_errors(archive) == []
    assert "no e-mail and no private key" in reasons(report, Section.DAMAGE)


def test_settings_groups_and_contacts_are_as_the_exporter_writes_them(tmp_path: Path) -> None:
    user = restore(account(), tmp_path)[0]["user"]
    assert user["auto_follow_back_aspect"] == "Friends"
    assert user["contact_groups"] == [{"name": "Family"}, {"name": "Friends"}]
    assert user["contacts"][0] == {
        "sharing": True,
        "receiving": True,
        "following": True,
        "followed": True,
        "person_guid": guid("bob"),
        "person_name": "Bob",
        "account_id": "bob@far.example",
        "public_key": "-----BEGIN PUBLIC KEY-----\nbob@far.example\n-----END PUBLIC KEY-----\n",
        "contact_groups_membership": ["Friends"],
    }
    assert user["blocks"] == ["troll@bad.example"]
    assert user["followed_tags"] == ["tea"]
    assert user["post_subscriptions"] == [guid("theirs")]


def test_posts_name_the_pods_or_people_that_follow_them(tmp_path: Path) -> None:
    posts = posts_of(restore(account(), tmp_path)[0])
    assert sorted(posts["open"]["subscribed_pods_uris"]) == [
        "https://fans.example",
        "https://far.example",
        "https://old.example/",
        "https://third.example",
    ]
    assert posts["private"]["subscribed_users_ids"] == ["bob@far.example", "eve@fourth.example"]
    assert "public" not in posts["shared"]["entity_data"]
    assert posts["shared"]["subscribed_pods_uris"][-1] == "https://old.example/"


def test_photos_are_nested_in_their_post_and_absent_fields_are_omitted(tmp_path: Path) -> None:
    posts = posts_of(restore(account(), tmp_path)[0])
    (nested,) = posts["pictured"]["entity_data"]["photos"]
    assert nested["entity_data"]["remote_photo_name"] == "aaaa.webp"
    assert nested["entity_data"]["status_message_guid"] == guid("pictured")
    assert posts["open"]["entity_data"]["photos"] == []
    assert "poll" not in posts["open"]["entity_data"]


def test_own_relayables_are_unsigned_and_others_are_signed(tmp_path: Path) -> None:
    archive, _ = restore(account(), tmp_path)
    own = archive["user"]["relayables"]
    assert {item["entity_data"]["guid"] for item in own} == {
        guid(name) for name in ("mine", "mine on mine", "liked", "liked comment", "voted")
    }
    assert not any("author_signature" in item["entity_data"] for item in own)
    others = archive["others_data"]["relayables"]
    assert {item["entity_data"]["guid"] for item in others} == {
        guid(name) for name in ("received", "received like", "received vote")
    }
    assert all(len(item["entity_data"]["author_signature"]) >= 30 for item in others)
    (stranger,) = archive["others_data"]["non_contact_authors"]
    assert (stranger["account_id"], stranger["guid"]) == ("dora@third.example", guid("dora"))
    assert stranger["public_key"].startswith("-----BEGIN PUBLIC KEY-----")


def test_what_an_author_signed_besides_the_usual_stays_in_the_entity(tmp_path: Path) -> None:
    edited = comment("edited", "open", kind="received_comment")
    assert edited.body is not None
    edited.body["row"] = {"additional_data": {"edited_at": "2025-06-01T00:00:00Z"}}
    edited.body["property_order"] = ["guid", "author", "parent_guid", "text", "edited_at"]
    archive, _ = restore([*account(), edited], tmp_path)
    (item,) = (
        item
        for item in archive["others_data"]["relayables"]
        if item["entity_data"]["guid"] == guid("edited")
    )
    assert item["entity_data"]["edited_at"] == "2025-06-01T00:00:00Z"
    assert item["property_order"] == ["guid", "author", "parent_guid", "text", "edited_at"]


def traps() -> list[StoredRecord]:
    """Return things at which the importer would stop, or that it would refuse."""
    return [
        post("short guid", guid="abc123"),
        post("too long", text="x" * 70_000),
        post("null text", text=None),
        post("open", text="the same guid again"),
        post("nul", text="a\0b"),
        post("no time", created_at=None),
        post("half a poll", poll=poll("poll2", answers=1)),
        post("nowhere", location={"entity_type": "location", "entity_data": {"address": "x"}}),
        post("wide", text="語" * 40_000),
        reshare("rootless", root=False),
        comment("empty", "open", text=""),
        comment("absent", "open", text=None),
        comment("orphan", None),
        comment("nul comment", "open", text="a\0b"),
        comment("unsigned", "open", kind="received_comment", author_signature=None),
        comment("signed nul", "open", kind="received_comment", text="a\0b"),
        comment("elsewhere", "not mine", kind="received_comment"),
        comment("nobody", "open", kind="received_comment", author="no body"),
        vote("on half a poll", "poll2", kind="received_poll_vote"),
        contact("not an id", sharing=True, receiving=True, aspects=[]),
        contact(ME, sharing=True, receiving=True, aspects=[]),
        StoredRecord("aspect", "13", {"name": "friends", "order_id": 3}),
        StoredRecord("aspect", "14", {"name": "People I know from the tea shop", "order_id": 4}),
        StoredRecord("subscription", "row:7", {"entity_data": {"author": ME}}),
        StoredRecord("block", "nobody", {"account_id": "nobody"}),
        StoredRecord("followed_tag", "", {"name": ""}),
        photo("photo3", "pictured", "../../evil.webp", blob={"name": "v/blob-1"}),
        photo("photo4", "pictured", "AAAA.webp", blob={"name": "v/blob-1"}),
        photo("photo5", "pictured", "gone.webp"),
        photo("photo6", "pictured", "half.webp", blob={"name": "v/blob-9"}),
        photo("photo7", "no such post", "lost.webp", blob={"name": "v/blob-2"}),
    ]


LEFT_OUT = {
    "short guid": "posts with a guid that diaspora* does not accept",
    "too long": "posts longer than 65,535 characters",
    guid("open"): "guid that another post of the archive has already",
    guid("empty"): "your comments without text",
    guid("absent"): "your comments without text",
    guid("orphan"): "your comments on something that is gone",
    guid("unsigned"): "comments by others without a signature",
    guid("signed nul"): "comments by others with a NUL character in a signed text",
    guid("elsewhere"): "comments by others on posts that are not in the archive",
    guid("nobody"): "whose author has no valid diaspora* ID",
    guid("on half a poll"): "poll votes by others on posts that are not in the archive",
    guid("like on mine"): "likes by others on comments",
    "not an id": "contacts whose diaspora* ID is not valid",
    ME: "contacts with the account itself",
    "row:7": "subscriptions to something that is gone",
    "nobody": "blocks of somebody without a valid diaspora* ID",
    "evil.webp": "pictures with a file name that is not safe to write",
    "AAAA.webp": "pictures with a file name that another picture has already",
    "gone.webp": "pictures whose file was not on the pod",
}


@pytest.mark.parametrize("item", LEFT_OUT)
def test_what_is_left_out_is_listed_with_its_reason(item: str, tmp_path: Path) -> None:
    _, report = restore([*account(), *traps()], tmp_path)
    name = "abc123" if item == "short guid" else guid(item) if item == "too long" else item
    found = [
        group
        for group in report.groups(Section.LEFT_OUT)
        if LEFT_OUT[item] in group.reason and any(name in line for line in group.items)
    ]
    assert found, reasons(report, Section.LEFT_OUT)


def test_nothing_sound_is_left_out(tmp_path: Path) -> None:
    _, report = restore(account(), tmp_path)
    assert [group.reason for group in report.groups(Section.LEFT_OUT)] == [
        "likes by others on comments (yours, or those on your posts); neither diaspora*'s exporter "
        "nor its importer handles them."
    ]
    assert report.groups(Section.CHANGED) == []


def test_everything_in_the_traps_is_written_changed_or_listed(tmp_path: Path) -> None:
    """Each trap's guid stands in the archive or in the report, so nothing vanishes silently."""
    records = [*account(), *traps()]
    archive, report = restore(records, tmp_path)
    everything = json.dumps(archive) + "\n".join(report.lines())
    for record in records:
        if record.kind in {"post", "comment", "like", "poll_vote", "photo"} or (
            record.kind in {"received_comment", "received_like", "received_poll_vote"}
        ):
            assert record.id in everything, record


def test_what_is_changed_is_listed(tmp_path: Path) -> None:
    archive, report = restore([*account(), *traps()], tmp_path)
    changed = reasons(report, Section.CHANGED)
    for words in (
        "posts without a text",
        "without a usable time",
        "NUL characters",
        "without the poll",
        "without the place",
        "'friends' became 'friends (2)'",
        "'People I know from the tea shop' became 'People I know from t'",
    ):
        assert words in changed
    assert posts_of(archive)["nul"]["entity_data"]["text"] == "ab"
    assert {"name": "friends (2)"} in archive["user"]["contact_groups"]


def test_what_the_importer_skips_stays_in_the_archive_and_is_listed(tmp_path: Path) -> None:
    archive, report = restore([*account(), *traps()], tmp_path)
    skipped = reasons(report, Section.PASSED_OVER)
    for words in ("reshares whose original post is gone", "only follow you", "likes on comments"):
        assert words in skipped
    assert "root_guid" not in posts_of(archive)["rootless"]["entity_data"]
    assert "fan@fans.example" in {item["account_id"] for item in archive["user"]["contacts"]}


def test_what_the_format_cannot_hold_is_counted(tmp_path: Path) -> None:
    _, report = restore([*account(), *traps()], tmp_path)
    kept = reasons(report, Section.NO_PLACE)
    for words in (
        "1 private conversations",
        "1 private messages",
        "1 people who follow your posts",
        "1 private posts that others shared with you",
        "1 photos that others shared with you",
        "1 comments by others on posts that were shared with you",
        "1 likes by others on posts that were shared with you",
        "1 votes by others in polls that were shared with you",
        "2 pods that the old pod knew",
        "1 e-mail notifications you switched off",
        "2 posts you have hidden",
        "1 private posts: the archive names their readers",
        "1 photos that belong to no post",
        "1 photos whose post is not in the archive",
    ):
        assert words in kept
    notes = reasons(report, Section.NOTE)
    assert "65,535 bytes" in notes
    assert "on posts of the old pod itself" in notes


def test_the_photos_archive_is_flat_and_holds_whole_pictures_only(tmp_path: Path) -> None:
    _, report = restore([*account(), *traps()], tmp_path)
    with zipfile.ZipFile(tmp_path / "ada_photos.zip") as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == {
            "aaaa.webp": b"picture one",
            "face.webp": b"picture two",
            "lost.webp": b"picture two",
        }
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    assert "half.webp" in reasons(report, Section.DAMAGE)


def test_damage_of_the_vault_stands_first_in_the_report(tmp_path: Path) -> None:
    point = FakePoint(account(), files=FILES)
    point.damage.append("Archive 3 is damaged at byte 77.")
    write_diaspora(point, tmp_path)
    lines = (tmp_path / "restore-report.txt").read_text().splitlines()
    assert any("Archive 3 is damaged at byte 77." in line for line in lines)


def test_only_the_three_files_are_left_and_only_the_owner_can_read_them(tmp_path: Path) -> None:
    restore(account(), tmp_path)
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "ada.json.gz": 0o600,
        "ada_photos.zip": 0o600,
        "restore-report.txt": 0o600,
    }


def test_the_same_point_gives_the_same_archive(tmp_path: Path) -> None:
    restore(account(), tmp_path / "one")
    restore(account(), tmp_path / "two")
    for name in ("ada.json.gz", "ada_photos.zip", "restore-report.txt"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("username", ["..", "con", "a/b", "x" * 300])
def test_a_hostile_user_name_writes_inside_the_folder(username: str, tmp_path: Path) -> None:
    write_diaspora(FakePoint(account(), FakeManifest(username=username)), tmp_path / "out")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert len(names) == 3
    assert "restore-report.txt" in names
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_names_that_would_stop_the_import_are_mended(tmp_path: Path) -> None:
    data: dict[str, Any] = {
        "author": ME,
        "first_name": "Ada; Countess",
        "last_name": "L" * 40,
        "birthday": "1815-02-31",
        "tag_string": "#a #b #c #d #e #f",
    }
    records = [StoredRecord("profile", ME, {"entity_type": "profile", "entity_data": data})]
    archive, report = restore(records, tmp_path)
    made = archive["user"]["profile"]["entity_data"]
    assert made["first_name"] == "Ada, Countess"
    assert made["last_name"] == "L" * 32
    assert "birthday" not in made
    assert made["tag_string"] == "#a #b #c #d #e"
    assert report.count(Section.CHANGED) == 4


def posts_of(archive: dict[str, Any]) -> dict[str, Any]:
    """Return the archive's posts by the name `guid` was made from."""
    return {
        bytes.fromhex(item["entity_data"]["guid"]).lstrip(b"\0").decode(): item
        for item in archive["user"]["posts"]
    }


def signed_comment(*, text: str = "Signed words") -> tuple[StoredRecord, StoredRecord]:
    """Return a received comment signed over "Signed words", and its author."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    made = comment("signed", "open", kind="received_comment", text="Signed words")
    assert made.body is not None
    data: Any = made.body["entity_data"]
    fields = ("author", "guid", "parent_guid", "text", "created_at")
    message = ";".join(data[name] for name in fields).encode()
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    data["author_signature"] = base64.b64encode(signature).decode()
    data["text"] = text
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made, person("bob@far.example", public_key=pem.decode())


@pytest.mark.parametrize(("text", "refused"), [("Signed words", 0), ("Other words", 1)])
def test_a_signature_that_does_not_fit_is_listed(text: str, refused: int, tmp_path: Path) -> None:
    archive, report = restore([*account(), *signed_comment(text=text)], tmp_path)
    listed = [g for g in report.groups(Section.PASSED_OVER) if "signature does not fit" in g.reason]
    assert sum(guid("signed") in item for group in listed for item in group.items) == refused
    assert guid("signed") in json.dumps(archive["others_data"])


def restore_to(records: list[StoredRecord], out: Path, email: str) -> tuple[dict[str, Any], Report]:
    report = write_diaspora(FakePoint(records, files=FILES), out, email=email)
    return json.loads(gzip.decompress((out / "ada.json.gz").read_bytes())), report


def test_a_signature_that_is_not_even_ascii_costs_no_archive(tmp_path: Path) -> None:
    odd = comment("odd", "open", kind="received_comment", author_signature="unterschrift–ü" * 9)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    signed = person("bob@far.example", public_key=pem)
    archive, report = restore([*account(), odd, signed], tmp_path)
    others = {item["entity_data"]["guid"] for item in archive["others_data"]["relayables"]}
    assert guid("odd") in others
    assert "whose signature does not fit" in reasons(report, Section.PASSED_OVER)


def test_a_record_that_cannot_be_written_is_a_line_in_the_report(tmp_path: Path) -> None:
    data: Body = {"edited_at": float("nan")}
    odd = comment("odd", "open", kind="received_comment")
    assert odd.body is not None
    body: Body = {**odd.body, "row": {"additional_data": data}}
    archive, report = restore([*account(), StoredRecord(odd.kind, odd.id, body)], tmp_path)
    others = {item["entity_data"]["guid"] for item in archive["others_data"]["relayables"]}
    assert guid("odd") not in others
    assert guid("received") in others
    assert guid("odd") in reasons(report, Section.DAMAGE)


def test_nothing_leans_on_a_post_that_could_not_be_written(tmp_path: Path) -> None:
    spoiled = post("spoiled", public=False, aspects=["\ud800"])
    reply = comment("reply", "spoiled", kind="received_comment")
    archive, report = restore([*account(), spoiled, reply], tmp_path)
    assert "spoiled" not in posts_of(archive)
    assert guid("reply") in reasons(report, Section.LEFT_OUT)


def test_an_address_that_diaspora_refuses_is_named_and_can_be_replaced(tmp_path: Path) -> None:
    (me, *rest) = account()
    assert me.body is not None
    odd = StoredRecord(me.kind, me.id, {**me.body, "email": "not an e-mail"})
    _, report = restore([odd, *rest], tmp_path / "odd")
    assert "--email" in report.obstacles[0]
    assert "not an e-mail" in report.obstacles[0]
    archive, report = restore_to([odd, *rest], tmp_path / "mended", "ada@new.example")
    assert archive["user"]["email"] == "ada@new.example"
    assert not report.obstacles


def test_the_report_says_what_the_importer_changes_by_itself(tmp_path: Path) -> None:
    private = post("secret", public=False, text="hello @{bob@far.example}", aspects=["12"])
    tagged = post("tagged", text="#" + "z" * 256)
    _, report = restore([*account(), private, tagged], tmp_path)
    notes = reasons(report, Section.NOTE)
    assert "dates them by the moment of the import" in notes
    assert "time for that of the last activity" in notes
    assert f"'post {guid('secret')}" in notes
    assert "empty text in them" in notes
    assert guid("tagged") in reasons(report, Section.PASSED_OVER)


def test_handles_and_hosts_that_no_pod_takes_reach_no_list_of_an_archive(tmp_path: Path) -> None:
    odd = "e\0ve@fourth.example"
    records = [
        *account(),
        person(odd, ties={"recipient_of": [guid("private")]}),
        person("far@o\0dd.example", ties={"subscribed_to": [guid("open")]}, pod="o\0dd.example"),
    ]
    archive, _ = restore(records, tmp_path)
    assert "\\u0000" not in json.dumps(archive)
    assert posts_of(archive)["private"]["subscribed_users_ids"]
