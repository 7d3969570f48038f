"""One account comes, changes its kit, or goes, through the command line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.cli.conftest import vaultd
from tests.cli.test_upkeep import document


def files(pod: Path, vault: str) -> list[Path]:
    return [path for path in (pod / "vaults" / vault).rglob("*") if path.is_file()]


def test_a_new_kit_gets_its_vault_at_once_and_the_old_one_goes_when_asked(
    pod: Path, tmp_path: Path
) -> None:
    config = ("--config", str(pod / "config.toml"))
    old = {a["username"]: a["vault"] for a in document("status", *config)["accounts"]}["ada"]
    recipient = vaultd("keygen", "--out", str(tmp_path / "kit"), *config).stdout.strip()
    told = document("enroll", "ada", "--recipient", recipient, "--erase-old", *config)
    assert files(pod, old) == []
    assert files(pod, told["vault"])
    (gone,) = told["old_vaults"]
    assert (gone["vault"], gone["target"], gone["podmin_can_read"]) == (old, "main", False)
    assert gone["erased_at"]
    assert document("status", *config)["old_vaults"] == told["old_vaults"]
    restored = document(
        "restore", "--kit", str(tmp_path / "kit"), "--from", (pod / "vaults").as_uri(),
        "--out", str(tmp_path / "out"), "--format", "records",
    )  # fmt: skip
    assert restored["counts"]["post"] > 0


def test_unenrolling_keeps_what_is_stored_or_erases_it_with_a_receipt(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    vaults = {a["username"]: a["vault"] for a in document("status", *config)["accounts"]}
    name = next(name for name in vaults if name != "ada")
    stored = files(pod, vaults[name])
    (kept,) = document("unenroll", name, *config)["vaults"]
    assert not kept["erased_at"]
    assert files(pod, vaults[name]) == stored
    assert len(document("status", *config)["accounts"]) == len(vaults) - 1
    size = sum(path.stat().st_size for path in stored)
    place = pod / "vaults"
    place.rename(pod / "away")
    waiting = document("unenroll", name, "--erase", *config, code=6)
    assert not waiting["erased"]
    assert "vaults" in waiting["vaults"][0]["reason"]
    assert name in vaultd("status", *config).stdout
    (pod / "away").rename(place)
    document("backup", *config)
    assert files(pod, vaults[name]) == []
    receipt = document("unenroll", name, "--erase", *config)
    assert receipt["erased"]
    (one,) = receipt["vaults"]
    assert (one["objects"], one["bytes"]) == (len(stored), size)
    assert vaultd("unenroll", "nobody", *config).returncode == 2


def test_who_signed_up_is_enrolled_by_the_next_backup_or_the_lack_is_told(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    with sqlite3.connect(pod / "state" / "state.sqlite3") as database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM enrollment WHERE username = 'ada'")
    database.close()
    told = document("backup", *config, code=3)
    assert (told["enrolled"], told["not_enrolled"]) == ([], 1)
    assert "1 account of the pod is not backed up" in vaultd("status", *config).stdout
    assert document("status", *config)["not_enrolled"] == 1
    assert "(ada)" in vaultd("check", *config).stdout
    recipient = vaultd("keygen", "--out", str(pod / "podmin"), *config).stdout
    (pod / "state" / "recovery.recipient").write_text(recipient)
    told = document("backup", *config)
    assert (told["enrolled"], told["not_enrolled"]) == (["ada"], 0)
    assert "ada" in {account["username"] for account in told["accounts"] if account["records"]}
    assert document("status", *config)["not_enrolled"] == 0
    assert "not backed up" not in vaultd("status", *config).stdout


def test_enrolling_all_says_who_is_left_out(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    recipient = vaultd("keygen", "--out", str(pod / "podmin"), *config).stdout
    (pod / "state" / "recovery.recipient").write_text(recipient)
    document("unenroll", "ada", *config)
    told = vaultd("enroll", "--all", *config)
    assert told.returncode == 3  # one account of the demo is half-registered
    assert "unenrolled: ada" in told.stdout
    again = document("enroll", "--all", *config, code=3)
    assert (again["opted_out"], again["enrolled"]) == (["ada"], [])
    assert "ada" not in document("backup", *config)["enrolled"]
