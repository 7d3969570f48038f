"""The whole line through the command line, as an outsider would walk it."""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import sqlite3
import subprocess
import zipfile
from pathlib import Path

from tests.cli.conftest import vaultd
from vaultd.records import KINDS


def test_the_demo_leaves_what_the_story_needs_to_go_on(demo: Path) -> None:
    for name in ("config.toml", "pod.sqlite3", "uploads", "vaults", "kits/ada.txt"):
        assert (demo / name).exists()
    config = str(demo / "config.toml")
    status = json.loads(vaultd("status", "--config", config, "--json").stdout)
    assert len(status["accounts"]) == 60
    assert all(account["newest"]["main"] for account in status["accounts"])
    again = json.loads(vaultd("backup", "--config", config, "--json").stdout)
    assert (again["looked_at"], again["changed"], again["archives"]) == (60, 0, 0)


def test_archives_verify_and_restore_agree(demo: Path, tmp_path: Path) -> None:
    place, kit = (demo / "vaults").as_uri(), str(demo / "kits" / "ada.txt")
    listing = json.loads(vaultd("archives", "--kit", kit, "--from", place, "--json").stdout)
    assert [a["sequence"] for a in listing["archives"]] == [1, 2]
    assert {a["chain"] for a in listing["archives"]} == {"ok"}
    checked = json.loads(vaultd("verify", "--kit", kit, "--from", place, "--json").stdout)
    assert checked["vaults"] == 60
    assert checked["problems"] == []
    for when, counts in (("1", listing["archives"][0]), ("2", listing["archives"][1])):
        out = tmp_path / when
        done = vaultd(
            "restore", "--kit", kit, "--from", place, "--out", str(out), "--format", "records",
            "--at", when,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        summary = json.loads((out / "summary.json").read_text())
        assert summary["account"] == "ada@pod.example"
        assert summary["counts"] == counts["counts"]
        lines = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
        assert {line["kind"] for line in lines} <= set(KINDS)
        assert all(set(line) == {"kind", "id", "body"} for line in lines)


def test_the_other_formats_are_complete(demo: Path, tmp_path: Path) -> None:
    place, kit = (demo / "vaults").as_uri(), str(demo / "kits" / "bruno.txt")
    base = ("restore", "--kit", kit, "--from", place)
    done = vaultd(*base, "--out", str(tmp_path / "d"), "--format", "diaspora")
    assert done.returncode == 0, done.stderr
    archive = json.loads(gzip.decompress((tmp_path / "d" / "bruno.json.gz").read_bytes()))
    assert archive["version"] == "2.0"
    assert archive["user"]["private_key"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    with zipfile.ZipFile(tmp_path / "d" / "bruno_photos.zip") as photos:
        assert photos.testzip() is None
        assert photos.namelist()
    assert (tmp_path / "d" / "restore-report.txt").read_text().startswith("Restore report")
    done = vaultd(*base, "--out", str(tmp_path / "h"), "--format", "html")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "h" / "index.html").read_text()
    assert "BEGIN RSA" not in page
    assert 'src="http' not in page


def test_typed_words_work_and_wrong_ones_exit_5(demo: Path, tmp_path: Path) -> None:
    place = (demo / "vaults").as_uri()
    sheet = (demo / "kits" / "ada.txt").read_text()
    words = [w for line in sheet.splitlines()[5:8] for w in line.split()[1::2]]
    assert len(words) == 12
    base = ("archives", "--kit", "-", "--from", place)
    assert vaultd(*base, stdin=" ".join(words).upper()).returncode == 0
    done = vaultd(*base, stdin=" ".join([*words[:11], "vaultd"]))
    assert done.returncode == 5
    assert "Word 12" in done.stderr
    other = vaultd("keygen", "--out", str(tmp_path / "other.txt"))
    assert other.stdout.startswith("vault1")
    assert (tmp_path / "other.txt").stat().st_mode & 0o777 == 0o600
    stranger = vaultd("archives", "--kit", str(tmp_path / "other.txt"), "--from", place)
    assert stranger.returncode == 5


def test_damage_exits_4_names_it_and_restores_the_rest(demo: Path, tmp_path: Path) -> None:
    vaults = tmp_path / "vaults"
    shutil.copytree(demo / "vaults", vaults)
    kit = str(demo / "kits" / "ada.txt")
    listing = json.loads(
        vaultd("archives", "--kit", kit, "--from", vaults.as_uri(), "--json").stdout
    )
    first = vaults / listing["archives"][0]["name"]
    data = bytearray(first.read_bytes())
    data[-100_000] ^= 1
    first.write_bytes(bytes(data))
    done = vaultd(
        "restore", "--kit", kit, "--from", vaults.as_uri(), "--out", str(tmp_path / "o"),
        "--format", "records", "--json",
    )  # fmt: skip
    assert done.returncode == 4
    document = json.loads(done.stdout)
    assert first.name in document["damage"][0]
    assert sum(document["counts"].values()) > 100
    assert "Traceback" not in done.stderr


def test_an_older_point_in_place_of_the_one_asked_for_exits_4(demo: Path, tmp_path: Path) -> None:
    vaults = tmp_path / "vaults"
    shutil.copytree(demo / "vaults", vaults)
    base = ("--kit", str(demo / "kits" / "ada.txt"), "--from", vaults.as_uri(), "--json")
    newest = json.loads(vaultd("archives", *base).stdout)["archives"][-1]
    path = vaults / newest["name"]
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(bytes(data))
    for when in ((), ("--at", newest["time"]), ("--at", newest["time"][:10])):
        out = ("--out", str(tmp_path / "-".join(("o", *when))), "--format", "records")
        done = vaultd("restore", *base, *out, *when)
        assert done.returncode == 4, done.stdout
        document = json.loads(done.stdout)
        assert document["sequence"] == newest["sequence"] - 1
        assert path.name in document["damage"][0]


def test_usage_config_and_unreachable_places_have_their_codes(demo: Path, tmp_path: Path) -> None:
    kit = str(demo / "kits" / "ada.txt")
    assert vaultd("restore", "--kit", kit).returncode == 2
    assert vaultd("archives", "--kit", kit, "--from", "gopher://x").returncode == 2
    gone = vaultd("archives", "--kit", kit, "--from", (tmp_path / "gone").as_uri())
    assert gone.returncode == 6
    config = tmp_path / "c.toml"
    config.write_text((demo / "config.toml").read_text() + "\n[sate]\nx = 1\n")
    wrong = vaultd("check", "--config", str(config))
    assert wrong.returncode == 2
    assert "sate" in wrong.stderr
    assert "state" in wrong.stderr
    unknown = vaultd("enroll", "nobody", "--recipient", "vault1x", "--config", str(config))
    assert unknown.returncode == 2


def test_a_lost_state_loses_nothing(demo: Path, tmp_path: Path) -> None:
    kept = tmp_path / "pod"
    shutil.copytree(demo, kept)
    config = kept / "config.toml"
    config.write_text(config.read_text().replace(str(demo), str(kept)))
    (kept / "state" / "state.sqlite3").unlink()
    for extra in (kept / "state").glob("state.sqlite3-*"):
        extra.unlink()
    kit = str(kept / "kits" / "ada.txt")
    recipient = vaultd("recipient", "--kit", kit).stdout.strip()
    done = vaultd("enroll", "ada", "--recipient", recipient, "--config", str(config))
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(kept / "pod.sqlite3") as pod:
        pod.execute("UPDATE profiles SET bio = 'after the fire' WHERE person_id = 1")
    done = vaultd("backup", "ada", "--config", str(config), "--json")
    assert done.returncode == 0, done.stderr
    place = (kept / "vaults").as_uri()
    listing = json.loads(vaultd("archives", "--kit", kit, "--from", place, "--json").stdout)
    assert [a["sequence"] for a in listing["archives"]] == [1, 2, 3]
    assert listing["archives"][2]["archives"] == 1
    out = tmp_path / "o"
    done = vaultd(
        "restore", "--kit", kit, "--from", place, "--out", str(out), "--format", "records"
    )
    assert done.returncode == 0, done.stderr
    assert "after the fire" in (out / "records.jsonl").read_text()


def test_no_secret_is_in_the_state_or_on_the_storage(demo: Path) -> None:
    key = b"BEGIN RSA PRIVATE KEY"
    word = (demo / "kits" / "ada.txt").read_text().splitlines()[5].split()[1].encode()
    assert word
    for folder in ("state", "vaults"):
        for path in (demo / folder).rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                assert key not in data
                assert b"tomatoes on a balcony" not in data


def test_the_hint_to_go_on_by_hand_works_as_it_stands(tmp_path: Path) -> None:
    done = vaultd("demo", "--keep", str(tmp_path / "a folder"))
    assert done.returncode == 0, done.stderr
    hint = done.stdout.partition("Go on by hand: ")[2].partition("\n")[0]
    status = subprocess.run(shlex.split(hint), capture_output=True, text=True, check=False)
    assert status.returncode == 0, status.stderr
    assert "60 accounts" in status.stdout
