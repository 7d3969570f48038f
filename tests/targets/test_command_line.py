"""Far targets through the command line: backup, restore, copy, and no secret in what is printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import demo, pod
from tests.targets.conftest import FarPlace

__all__ = ["demo", "pod"]
pytestmark = pytest.mark.xdist_group("far places")

SECRETS = ("Hunter2-s3", "Hunter2-dav", "Hunter2-ftp", "Hunter2-sftp", "Hunter2-dropbox")


def vaultd(*arguments: str, more: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vaultd", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(more or {})},
    )
    return done.returncode, done.stdout, done.stderr


def _targets(config: Path, sections: str) -> None:
    text = config.read_text()
    head, _, rest = text.partition("[targets.main]")
    after = rest.partition("\n[")[2]
    config.write_text(f"{head}{sections}\n" + (f"[{after}" if after else ""))


def test_two_far_targets_and_the_way_back(
    pod: Path, s3: FarPlace, webdav: FarPlace, tmp_path: Path
) -> None:
    _targets(
        pod / "config.toml",
        f"""
[targets.cloud]
url = "{s3.near.url}"
endpoint = "{s3.near.endpoint}"
access_key = "a"
secret_key = "b"
path_style = true
region = "us-east-1"
[targets.home]
url = "{webdav.near.url}"
username = "{webdav.near.username}"
password = "{webdav.near.password}"
insecure = true
""",
    )
    config = ("--config", str(pod / "config.toml"))
    code, out, err = vaultd("init", *config)
    assert code == 0, err
    code, out, err = vaultd("check", *config, "--json")
    assert code == 0, out + err
    code, out, err = vaultd("backup", *config, "--json")
    assert code == 0, out + err
    assert json.loads(out)["changed"] == 60
    code, out, _ = vaultd("check", "--target", "home", *config)
    assert code == 0
    assert "other than on" not in out
    again = vaultd("backup", *config, "--json")[1]
    assert json.loads(again)["changed"] == 0

    keys = {"access_key": "a", "secret_key": "b", "path_style": "true", "region": "us-east-1",
            "endpoint": s3.near.endpoint}  # fmt: skip
    place = {f"VAULTD_PLACE_{key.upper()}": value for key, value in keys.items()}
    kit = ("--kit", str(pod / "kits" / "ada.txt"))
    for number, source in enumerate((("home", *config), (s3.near.url,))):
        code, out, err = vaultd(
            "restore", *kit, "--from", source[0], "--out", str(tmp_path / str(number)),
            "--format", "records", "--json", *source[1:], more=place if number else None,
        )  # fmt: skip
        assert code == 0, out + err
        assert json.loads(out)["damage"] == []
    copy = (tmp_path / "copy").as_uri()
    code, out, err = vaultd("copy", "--from", "cloud", "--to", copy, *config, "--json")
    assert code == 0, out + err
    assert json.loads(out)["vaults"] == 60
    code, out, _ = vaultd("verify", "--from", copy, "--json")
    assert code == 0
    assert json.loads(out)["vaults"] == 60
    first, second = (
        (tmp_path / str(number) / "records.jsonl").read_text().splitlines() for number in (0, 1)
    )
    assert sorted(first) == sorted(second)


def test_nothing_that_is_printed_holds_a_secret(pod: Path, s3: FarPlace, webdav: FarPlace) -> None:
    _targets(
        pod / "config.toml",
        f"""
[targets.s3]
url = "s3://no-such-bucket/x"
endpoint = "{s3.near.endpoint}"
access_key = "a"
secret_key = "Hunter2-s3"
region = "us-east-1"
tries = 1
[targets.dav]
url = "{webdav.near.url}"
username = "{webdav.near.username}"
password = "Hunter2-dav"
insecure = true
tries = 1
[targets.ftp]
url = "ftp://me@127.0.0.1:1/x"
password = "Hunter2-ftp"
tries = 1
[targets.sftp]
url = "sftp://me@127.0.0.1:1/x"
password = "Hunter2-sftp"
host_key = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
tries = 1
[targets.dropbox]
url = "dropbox:///x"
app_key = "k"
refresh_token = "Hunter2-dropbox"
endpoint = "http://127.0.0.1:1"
tries = 1
""",
    )
    config = ("--config", str(pod / "config.toml"))
    printed = []
    for command in (
        ("check", *config),
        ("check", *config, "--json"),
        ("backup", "ada", *config),
        ("backup", "ada", *config, "--json"),
        ("status", *config, "--json"),
        ("forget", *config),
        ("scrub", *config, "--json"),
        ("copy", "--from", "dav", "--to", (pod / "elsewhere").as_uri(), *config),
        ("verify", "--from", "s3", *config),
    ):
        code, out, err = vaultd(*command)
        assert code in (0, 3, 4, 6), out + err
        assert "Traceback" not in err
        printed.append(out + err)
    code, out, err = vaultd("verify", "--from", "webdavs://me:Hunter2-dav@host/x")
    assert code == 2
    printed.append(out + err)
    everything = "\n".join(printed)
    for target in ("s3", "dav", "ftp", "sftp", "dropbox"):
        assert f"target {target}" in everything
    for secret in SECRETS:
        assert secret not in everything
        for file in (pod / "state").rglob("*"):
            if file.is_file():
                assert secret.encode() not in file.read_bytes()
