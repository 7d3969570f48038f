"""`vaultd pull`: somebody whose pod has no vaultd keeps a vault all the same."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import vaultd


@pytest.fixture
def export(demo: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Return an account's archive and photos archive, as diaspora*'s exporter gives them."""
    out = tmp_path / "export"
    done = vaultd(
        "restore", "--kit", str(demo / "kits" / "bruno.txt"), "--from", str(demo / "vaults"),
        "--out", str(out), "--format", "diaspora",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out / "bruno.json.gz", out / "bruno_photos.zip"


def _pull(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    done = vaultd(
        "pull", *arguments, "--kit", str(tmp_path / "kit.txt"), "--to", str(tmp_path / "mine"),
        "--json", more={"XDG_STATE_HOME": str(tmp_path / "state")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_an_export_goes_into_a_vault_once_and_then_only_what_changed(
    export: tuple[Path, Path], tmp_path: Path
) -> None:
    file, photos = export
    assert vaultd("keygen", "--out", str(tmp_path / "kit.txt")).returncode == 0
    first = _pull(tmp_path, str(file), "--photos", str(photos))
    assert (first["changed"], first["archives"], first["failed"]) == (1, 1, 0)
    again = _pull(tmp_path, str(file), "--photos", str(photos))
    assert (again["changed"], again["archives"]) == (0, 0)

    content = json.loads(gzip.decompress(file.read_bytes()))
    post = next(p for p in content["user"]["posts"] if p["entity_type"] == "status_message")
    more = json.loads(json.dumps(post))
    more["entity_data"] |= {"guid": "pulled0000000000000001", "text": "later", "photos": []}
    content["user"]["posts"].append(more)
    file.write_bytes(gzip.compress(json.dumps(content).encode()))
    later = _pull(tmp_path, str(file), "--photos", str(photos))
    assert (later["changed"], later["archives"]) == (1, 1)
    assert later["bytes"] < first["bytes"] / 4

    out = tmp_path / "back"
    done = vaultd(
        "restore", "--kit", str(tmp_path / "kit.txt"), "--from", str(tmp_path / "mine"),
        "--out", str(out), "--format", "diaspora",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    back = json.loads(gzip.decompress((out / "bruno.json.gz").read_bytes()))
    guids = {p["entity_data"]["guid"] for p in content["user"]["posts"]}
    assert {p["entity_data"]["guid"] for p in back["user"]["posts"]} == guids
    assert back["user"]["private_key"] == content["user"]["private_key"]


def test_a_lost_state_costs_a_whole_archive_and_no_more(
    export: tuple[Path, Path], tmp_path: Path
) -> None:
    file, _ = export
    assert vaultd("keygen", "--out", str(tmp_path / "kit.txt")).returncode == 0
    first = _pull(tmp_path, str(file))
    shutil.rmtree(tmp_path / "state")
    second = _pull(tmp_path, str(file))
    assert second["archives"] == 1
    assert second["pod_key"] == first["pod_key"]
    kit, place = str(tmp_path / "kit.txt"), str(tmp_path / "mine")
    assert vaultd("verify", "--kit", kit, "--from", place).returncode == 0


def test_what_is_no_export_is_refused_with_a_sentence(tmp_path: Path) -> None:
    assert vaultd("keygen", "--out", str(tmp_path / "kit.txt")).returncode == 0
    (tmp_path / "letter.json").write_text("[]")
    for name in ("letter.json", "missing.json"):
        done = vaultd(
            "pull", str(tmp_path / name), "--kit", str(tmp_path / "kit.txt"),
            "--to", str(tmp_path / "mine"),
        )  # fmt: skip
        assert done.returncode == 4, done.stderr
        assert name in done.stderr
        assert "Traceback" not in done.stderr
