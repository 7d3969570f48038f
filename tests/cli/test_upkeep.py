"""forget, scrub, pause, partial archives and restores of parts, through the command line."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.cli.conftest import vaultd


def document(*arguments: str, code: int = 0) -> dict[str, Any]:
    done = vaultd(*arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def change(pod: Path, text: str) -> None:
    """Change a post of everybody."""
    with sqlite3.connect(pod / "pod.sqlite3") as database:
        database.execute(
            "UPDATE posts SET text = ? || id WHERE id IN "
            "(SELECT max(posts.id) FROM posts JOIN people ON people.id = posts.author_id "
            "WHERE people.owner_id IS NOT NULL GROUP BY author_id)",
            (text,),
        )


def test_forget_lists_first_and_then_deletes_what_it_listed(pod: Path) -> None:
    config = pod / "config.toml"
    for turn in range(3):
        change(pod, f"turn {turn} ")
        document("backup", "--config", str(config))
    config.write_text(config.read_text() + "\n[retention]\nkeep_last = 1\nkeep_daily = 0\n"
                      "keep_weekly = 0\nkeep_monthly = 0\n")  # fmt: skip
    before = {path for path in (pod / "vaults").rglob("*") if path.is_file()}
    told = document("forget", "--dry-run", "--config", str(config))
    assert told["dry_run"]
    assert told["bytes"] > 0
    assert {path for path in (pod / "vaults").rglob("*") if path.is_file()} == before
    done = document("forget", "--config", str(config))
    assert done["vaults"] == told["vaults"]
    gone = before - {path for path in (pod / "vaults").rglob("*") if path.is_file()}
    assert len(gone) == sum(len(vault["objects"]) for vault in told["vaults"])
    assert document("verify", "--from", (pod / "vaults").as_uri())["problems"] == []
    assert document("forget", "--config", str(config))["vaults"] == []


def test_scrub_finds_heals_and_finds_nothing_more(pod: Path, tmp_path: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    assert document("scrub", "--share", "100%", *config)["findings"] == []
    archive = max((pod / "vaults").rglob("0000000002-*"), key=lambda path: path.stat().st_size)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.chmod(0o600)
    archive.write_bytes(bytes(data))
    found = document("scrub", "--share", "100%", *config, code=4)["findings"]
    assert [f["object"] for f in found] == [f"{archive.parent.name}/{archive.name}"]
    assert all(f["healed"] for f in found)
    assert document("scrub", "--share", "100%", *config)["findings"] == []
    # The old point stays as damaged as it is until retention lets it go; the newest is whole.
    place = (pod / "vaults").as_uri()
    problems = document("verify", "--from", place, code=4)["problems"]
    assert {p["object"] for p in problems} == {f"{archive.parent.name}/{archive.name}"}
    for kit in sorted((pod / "kits").glob("*.txt")):
        restored = document("restore", "--kit", str(kit), "--from", place, "--format", "records",
                            "--out", str(tmp_path / kit.stem))  # fmt: skip
        assert restored["damage"] == []


def test_a_paused_run_waits_and_goes_on(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    assert vaultd("pause", *config).returncode == 0
    change(pod, "paused ")
    run = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "backup", *config, "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(3)
    assert run.poll() is None
    assert vaultd("resume", *config).returncode == 0
    out, _ = run.communicate(timeout=60)
    assert json.loads(out)["changed"] > 0


def test_a_partial_archive_holds_its_part_and_changes_no_newest_point(
    pod: Path, tmp_path: Path
) -> None:
    config = ("--config", str(pod / "config.toml"))
    kit, place = str(pod / "kits" / "ada.txt"), (pod / "vaults").as_uri()
    document("backup", "ada", "--only", "posts,contacts", *config)
    listed = document("archives", "--kit", kit, "--from", place)["archives"]
    assert [a["sequence"] for a in listed] == [1, 2, 3]
    whole = document("restore", "--kit", kit, "--from", place, "--out", str(tmp_path / "whole"),
                     "--format", "records")  # fmt: skip
    assert whole["counts"] == listed[1]["counts"]
    part = document("restore", "--kit", kit, "--from", place, "--out", str(tmp_path / "part"),
                    "--format", "records", "--at", "3")  # fmt: skip
    assert set(part["counts"]) == {
        "account", "profile", "post", "contact", "aspect", "person"
    }  # fmt: skip
    assert part["counts"]["post"] == whole["counts"]["post"]
    assert vaultd("backup", "--only", "posts", *config).returncode == 2
    assert document("backup", *config)["changed"] == 0


def test_a_restore_of_parts(demo: Path, tmp_path: Path) -> None:
    base = ("restore", "--kit", str(demo / "kits" / "ada.txt"), "--from",
            (demo / "vaults").as_uri(), "--format", "records", "--out")  # fmt: skip
    posts = document(*base, str(tmp_path / "a"), "--only", "posts")
    assert set(posts["counts"]) == {"account", "profile", "post"}
    lines = (tmp_path / "a" / "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    ids = [record["id"] for record in records if record["kind"] == "post"]
    one = document(*base, str(tmp_path / "b"), "--post", ids[0])
    assert one["counts"]["post"] == 1
    none = document(*base, str(tmp_path / "c"), "--since", "2200-01-01", "--only", "posts")
    assert "post" not in none["counts"]
    assert vaultd(*base, str(tmp_path / "d"), "--only", "nonsense").returncode == 2
    assert vaultd(*base, str(tmp_path / "e"), "--since", "yesterday").returncode == 2


def test_progress_is_lines_of_json_when_asked_and_nothing_in_a_pipe(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    change(pod, "seen ")
    done = vaultd("backup", "--progress", "json", *config)
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert lines[-1]["accounts"] == lines[-1]["of"] == 60
    assert lines[-1]["bytes"] > 0
    old = {"accounts", "of", "records", "bytes", "seconds_left"}
    assert set(lines[-1]) == {*old, "read", "to_read"}
    assert vaultd("backup", *config).stderr == ""
