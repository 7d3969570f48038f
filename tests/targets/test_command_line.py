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
from vaultd.backup.checks.checks import open_source, open_targets
from vaultd.backup.run import run as run_module
from vaultd.backup.run.pool import open_pool
from vaultd.backup.run.run import run_backup
from vaultd.backup.user_targets.settings import list_own_targets, open_own_target, set_own_target
from vaultd.config import Config, load
from vaultd.keys import PodKey
from vaultd.state.store import State

__all__ = ["demo", "pod"]
SECRETS = ("Hunter2-s3", "Hunter2-dav", "Hunter2-ftp", "Hunter2-sftp", "Hunter2-dropbox")


def vaultd(
    *arguments: str, more: Mapping[str, str] | None = None, stdin: str | None = None
) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vaultd", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=stdin,
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


OWN_SECRET = "Hunter2-of-the-user"


def _with_own_targets(pod: Path, more: str = "") -> tuple[str, str]:
    key = pod / "targets.key"
    key.write_bytes(os.urandom(31) + b"\0")
    key.chmod(0o600)
    config = pod / "config.toml"
    config.write_text(
        f"""{config.read_text()}
[user_targets]
enabled = true
key = {{ file = "{key}" }}
permit = ["127.0.0.1/32"]
{more}
[metrics]
textfile = "{pod / "vaultd.prom"}"
"""
    )
    return ("--config", str(config))


def test_a_users_own_target_and_no_word_of_its_secret(
    pod: Path, webdav: FarPlace, s3: FarPlace, tmp_path: Path
) -> None:
    config = _with_own_targets(pod)
    printed: list[str] = []

    def say(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
        found, out, err = vaultd(*arguments, *config, stdin=stdin)
        assert found == code, out + err
        assert "Traceback" not in err
        printed.append(out + err)
        return out

    def set_ada(secret: str, *more: str, code: int = 0) -> str:
        keys = ("--key", f"username={webdav.near.username}", "--key", "insecure=true")
        return say("target", "set", "ada", webdav.near.url, *keys, *more, code=code, stdin=secret)

    set_ada(OWN_SECRET, code=6)  # not the password there
    set_ada("", code=2)
    say(
        "target",
        "set",
        "ada",
        webdav.near.url,
        "--key",
        f"password={OWN_SECRET}",
        code=2,
        stdin="x",
    )
    say("target", "set", "ada", f"webdavs://me:{OWN_SECRET}@h/x", code=2, stdin="x")
    set_ada(webdav.near.password + "\n")
    (secret_file := tmp_path / "secret").write_text(f"{OWN_SECRET}\n")
    say(
        "target", "set", "ada1", s3.near.url, "--secret-file", str(secret_file), "--only", "--key",
        f"endpoint={s3.near.endpoint}", "--key", "access_key=k", "--key", "path_style=true", "--key",
        "region=us-east-1", "--json",
    )  # fmt: skip
    told = json.loads(say("backup", "--json"))
    assert told["failed"] == 0
    accounts = {a["username"]: [t["target"] for t in a["targets"]] for a in told["accounts"]}
    assert accounts["ada1"] == ["own"]
    assert told["rooms"][0]["target"] == "main"
    listed = json.loads(say("target", "list", "--json"))["targets"]
    assert [(t["username"], t["only"], t["result"], t["trouble"]) for t in listed] == [
        ("ada", False, "", ""), ("ada1", True, "", ""),
    ]  # fmt: skip
    assert all(t["newest"] for t in listed)
    assert "ada: " in say("target", "list")
    found = json.loads(say("status", "--json"))
    (ada,) = [a for a in found["accounts"] if a["username"] == "ada"]
    assert set(ada["newest"]) == set(ada["age_seconds"]) == {"main", "own"}
    assert ada["newest"]["own"] == ada["newest"]["main"]
    assert found["targets"][0]["target"] == "main"
    assert found["targets"][0]["free"] > 0
    assert say("status", "--metrics") == (pod / "vaultd.prom").read_text()
    assert 'vaultd_target_requests_total{target="own",verb="create"}' in printed[-1]
    assert "ada" not in printed[-1]
    say("check", "--target", "ada@own")
    assert "as on " in say("check", "--target", "ada@own")
    say("check", "--target", "ada1@own", "--json")
    kit = str(pod / "kits" / "ada.txt")
    say("restore", "--kit", kit, "--from", "ada@own", "--out", str(tmp_path / "r"),
        "--format", "records")  # fmt: skip
    say("copy", "--from", "ada@own", "--to", (tmp_path / "copy").as_uri())
    say("scrub", "--share", "100%")
    say("forget")
    (pod / "targets.key").chmod(0o644)
    for command in (("backup",), ("target", "list"), ("scrub",), ("check", "--target", "ada@own")):
        code, out, err = vaultd(*command, *config)
        assert code in (0, 2, 3, 6), out + err
        assert "can be read by others" in out + err
        printed.append(out + err)
    (pod / "targets.key").chmod(0o600)
    say("target", "remove", "ada1")
    everything = "\n".join(printed)
    for secret in (OWN_SECRET, webdav.near.password):
        assert secret not in everything
        for file in [*(pod / "state").rglob("*"), pod / "vaultd.prom"]:
            if file.is_file():
                assert secret.encode() not in file.read_bytes(), file


def test_places_that_need_different_credentials_are_copied_by_their_urls(
    pod: Path, s3: FarPlace, webdav: FarPlace
) -> None:
    fill = {"VAULTD_TO_ACCESS_KEY": "a", "VAULTD_TO_SECRET_KEY": "b", "VAULTD_TO_REGION": "us-east-1",
            "VAULTD_TO_ENDPOINT": s3.near.endpoint, "VAULTD_TO_PATH_STYLE": "true"}  # fmt: skip
    code, out, err = vaultd(
        "copy", "--from", (pod / "vaults").as_uri(), "--to", s3.near.url, "--json", more=fill
    )
    assert code == 0, out + err
    both = {name.replace("_TO_", "_FROM_"): value for name, value in fill.items()} | {
        "VAULTD_TO_USERNAME": webdav.near.username, "VAULTD_TO_PASSWORD": str(webdav.near.password),
        "VAULTD_TO_INSECURE": "true",
    }  # fmt: skip
    code, out, err = vaultd(
        "copy", "--from", s3.near.url, "--to", webdav.near.url, "--json", more=both
    )
    assert code == 0, out + err
    assert json.loads(out)["vaults"] == 60
    assert json.loads(out)["problems"] == []


def with_two_workers(pod: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Allow users' targets, and workers for however few accounts."""
    config_file = Path(_with_own_targets(pod)[1])
    config_file.write_text(config_file.read_text() + "\n[limits]\nworkers = 2\n")
    monkeypatch.setattr(run_module, "_WORTH_A_POOL", 1)
    return load(config_file, {})


def test_workers_open_a_users_target_by_themselves(
    pod: Path, webdav: FarPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = with_two_workers(pod, monkeypatch)
    state = State(pod / "state")
    texts = {"username": webdav.near.username, "password": str(webdav.near.password),
             "insecure": "true"}  # fmt: skip
    for username in ("ada", "ada1"):
        set_own_target(config, state, username, f"{webdav.near.url}-{username}", texts)
    with open_pool(config) as pool:
        assert pool is not None
        report = run_backup(
            config, state, open_source(config), open_targets(config),
            PodKey.load(pod / "state" / "pod.key"), pool=pool,
        )  # fmt: skip
        assert pool._all  # they were at work
    assert not report.failed
    for username in ("ada", "ada1"):
        (vault,) = {
            item.name.partition("/")[0]
            for item in open_own_target(config, state, username)[1].list()
        }
        assert vault == state.enrollments([username])[0].vault_id
    assert state.tallies.all()["own"].counters.calls["create"] > 2
    assert [t.tried_at is not None for t in list_own_targets(config, state)] == [True, True]
