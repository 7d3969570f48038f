from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.restore.account import account
from tests.restore.archive_check import SHARED, schema_errors, what_the_importer_refuses
from tests.restore.point import FakeManifest, FakePoint
from vaultd.errors import ExportFileError
from vaultd.records import Record, StoredRecord, check_stored, encode_body
from vaultd.restore.archive.archive import write_diaspora
from vaultd.restore.archive.report import Section
from vaultd.sources.base import Trouble
from vaultd.sources.export.source import ExportFileSource

LIMIT = 4_000_000
EXPORTS = SHARED / "pods" / "exports"


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return an export with one of everything, with a real key."""
    out = tmp_path_factory.mktemp("export")
    write_diaspora(FakePoint(account()), out)
    content: dict[str, Any] = json.loads(gzip.decompress((out / "ada.json.gz").read_bytes()))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    content["user"]["private_key"] = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
    return content


def read(path: Path, photos: Path | None = None) -> tuple[ExportFileSource, list[Record | Trouble]]:
    source = ExportFileSource(path, photos, limit=LIMIT)
    return source, [item for _, item in source.read(source.accounts())]


def records(items: list[Record | Trouble]) -> list[Record]:
    return [item for item in items if isinstance(item, Record)]


def zipped(entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


@pytest.mark.parametrize("form", ["plain", "gzip", "zip", "misnamed", "byte order mark"])
def test_all_forms_of_the_file_give_the_same_records(
    form: str, export: dict[str, Any], tmp_path: Path
) -> None:
    data = json.dumps(export).encode()
    written = {
        "plain": ("a.json", data),
        "gzip": ("a.json.gz", gzip.compress(data)),
        "zip": ("a.zip", zipped({"readme.txt": b"hello", "folder/a.json": data})),
        "misnamed": ("export", gzip.compress(data)),
        "byte order mark": ("a.json", b"\xef\xbb\xbf" + data),
    }
    path = tmp_path / written[form][0]
    path.write_bytes(written[form][1])
    source, items = read(path)
    assert not [item for item in items if isinstance(item, Trouble)]
    assert source.accounts(["somebody"]) == []
    (found,) = source.accounts(["ada"])
    assert (found.key, found.handle, found.state) == (0, "ada@old.example", "active")
    assert found.public_key.startswith("-----BEGIN PUBLIC KEY-----")
    assert Counter(item.kind for item in records(items)) == {
        "account": 1,
        "profile": 1,
        "aspect": 2,
        "contact": 2,
        "post": 5,
        "photo": 1,
        "comment": 2,
        "like": 2,
        "poll_vote": 1,
        "subscription": 1,
        "followed_tag": 1,
        "block": 1,
        "received_comment": 1,
        "received_like": 1,
        "received_poll_vote": 1,
        "person": 5,
        "audience": 4,
    }


def test_every_record_has_its_own_id_and_fits_an_archive(
    export: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(export))
    found = records(read(path)[1])
    assert len({(item.kind, item.id) for item in found}) == len(found)
    for item in found:
        assert encode_body(item.body)
        check_stored([item.kind, item.id, item.body])


def test_a_picture_is_read_by_name_from_the_photos_archive(
    export: dict[str, Any], tmp_path: Path
) -> None:
    path, photos = tmp_path / "a.json", tmp_path / "photos.zip"
    path.write_text(json.dumps(export))
    photos.write_bytes(zipped({"aaaa.webp": b"picture" * 1000, "bad.webp": b"x" * 1000}))
    source, items = read(path, photos)
    assert [item.file for item in records(items) if item.kind == "photo"] == ["aaaa.webp"]
    with source.open_file("aaaa.webp") as file:
        assert file.read() == b"picture" * 1000
    for name in ("none.webp", "../a.json", "/etc/passwd"):
        with pytest.raises(FileNotFoundError):
            source.open_file(name)
    source.close()


def test_a_damaged_picture_is_an_os_error(export: dict[str, Any], tmp_path: Path) -> None:
    path, photos = tmp_path / "a.json", tmp_path / "photos.zip"
    path.write_text(json.dumps(export))
    data = bytearray(zipped({"aaaa.webp": b"picture" * 1000}, zipfile.ZIP_STORED))
    data[data.index(b"picture") + 100] ^= 1
    photos.write_bytes(data)
    with pytest.raises(OSError, match=r"aaaa\.webp"):
        read(path, photos)[0].open_file("aaaa.webp").read()


def test_without_a_photos_archive_a_picture_is_not_found(
    export: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(export))
    with pytest.raises(FileNotFoundError):
        read(path)[0].open_file("aaaa.webp")


BOMB = b" " * (LIMIT + 1)
GOOD_START = b'{"version":"2.0","user":{"username":"a","x":'


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty", b"", "not readable JSON"),
        ("not JSON", b"hello", "not readable JSON"),
        ("cut", b'{"version":"2.0","user":{', "not readable JSON"),
        ("a list", b"[]", "not a JSON object"),
        ("deep", GOOD_START + b"[" * 100_000 + b"]" * 100_000 + b"}}", "nested"),
        ("rather deep", GOOD_START + b"[" * 60 + b"]" * 60 + b"}}", "nested deeper than"),
        ("not UTF-8", b'{"version":"\xff"}', "not readable JSON"),
        ("half a character", b'{"version":"\\ud800"}', "not readable JSON"),
        ("too large", BOMB, "larger than"),
        ("gzip bomb", gzip.compress(BOMB), "larger than"),
        ("zip bomb", zipped({"a.json": BOMB}), "larger than"),
        ("cut gzip", gzip.compress(b"{}" * 500)[:-12], "damaged gzip"),
        ("bad gzip", b"\x1f\x8b\x08" + b"\xff" * 40, "damaged gzip"),
        ("cut zip", zipped({"a.json": b"{}"})[:-10], "zip file"),
        ("zip without JSON", zipped({"a.txt": b"{}"}), "without a .json"),
        ("another JSON", b'{"hello": 1}', "not a diaspora* account archive"),
        ("an old archive", b'{"version":"1.0","user":{"username":"a"}}', "not a diaspora*"),
        ("wrong types", b'{"version":2,"user":[1]}', "not a diaspora*"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "",
)
def test_a_file_that_is_no_export_is_refused_in_a_sentence(
    name: str, data: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "export"
    path.write_bytes(data)
    with pytest.raises(ExportFileError, match=words.replace("*", r"\*")) as caught:
        ExportFileSource(path, limit=LIMIT)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(ExportFileError, match="cannot be read"):
            ExportFileSource(path)


def test_a_photos_archive_that_is_no_zip_is_refused(export: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(export))
    with pytest.raises(ExportFileError, match="photos archive"):
        ExportFileSource(path, path)


def test_an_entry_that_cannot_be_read_is_reported_and_the_others_come(
    export: dict[str, Any], tmp_path: Path
) -> None:
    spoiled = json.loads(json.dumps(export))
    user = spoiled["user"]
    user["private_key"] = "not a key"
    user["posts"][0]["entity_data"].pop("guid")
    user["contacts"][0].pop("account_id")
    user["relayables"][0]["entity_type"] = "poke"
    user["contact_groups"].append({})
    user["post_subscriptions"] = [None, 7, "0123456789abcdef"]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(spoiled))
    _, items = read(path)
    troubles = [item.table for item in items if isinstance(item, Trouble)]
    assert troubles == ["user", "contact_groups", "contacts", "posts", "relayables"]
    counts = Counter(item.kind for item in records(items))
    assert (counts["post"], counts["contact"], counts["subscription"]) == (4, 1, 1)


real_exports = sorted(EXPORTS.glob("*.json.gz")) if EXPORTS.is_dir() else []


@pytest.mark.realpod
@pytest.mark.skipif(not real_exports, reason="real exports (../shared/diaspora/pods) are not here")
@pytest.mark.parametrize("path", real_exports, ids=lambda path: path.name.split(".")[0])
def test_a_real_export_comes_back_whole_through_records(path: Path, tmp_path: Path) -> None:
    original = json.loads(gzip.decompress(path.read_bytes()))
    source = ExportFileSource(path)
    (who,) = source.accounts()
    items = [item for _, item in source.read([who])]
    assert not [item for item in items if isinstance(item, Trouble)]
    manifest = FakeManifest(who.handle, who.guid, who.username, pod_url="https://o1.test")
    stored = [StoredRecord(r.kind, r.id, r.body) for r in records(items)]
    report = write_diaspora(FakePoint(stored, manifest), tmp_path)
    made = json.loads(gzip.decompress((tmp_path / f"{who.username}.json.gz").read_bytes()))
    assert what_the_importer_refuses(made) == []
    assert schema_errors(made) == []
    ours, theirs = made["user"], original["user"]
    for part in theirs:
        if part != "posts":
            assert ours[part] == theirs[part], part
    assert made["others_data"]["relayables"] == original["others_data"]["relayables"]
    assert [without_followers(item) for item in ours["posts"]] == [
        without_followers(item) for item in theirs["posts"]
    ]
    for mine, real in zip(ours["posts"], theirs["posts"], strict=True):
        for key in ("subscribed_pods_uris", "subscribed_users_ids"):
            assert set(real.get(key, [])) <= set(mine.get(key, []))
    # Every signature of somebody whose key the file has fits.
    assert not [g for g in report.groups(Section.PASSED_OVER) if "signature" in g.reason]
    left_out = [group.reason for group in report.groups(Section.LEFT_OUT)]
    assert all(reason.startswith("pictures whose file was not") for reason in left_out)


def without_followers(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if not key.startswith("subscribed")}
