"""A config that belongs to another pod is found before its first night."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.cli.conftest import demo, pod, vaultd
from vaultd.backup.checks.pod_signs import host_of, missing_pictures, wrong_url
from vaultd.sources.diaspora.signs import Signs

__all__ = ["demo", "pod"]


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://pod.example", "pod.example"),
        ("https://pod.example/", "pod.example"),
        ("https://www.pod.example", "pod.example"),
        ("https://pod.example:443", "pod.example"),
        ("http://localhost:3000", "localhost:3000"),
        ("https://Pod.Example", "pod.example"),
    ],
)
def test_the_host_of_handles_is_made_as_diaspora_makes_it(url: str, host: str) -> None:
    assert host_of(url) == host
    assert wrong_url(url, Signs(Counter({host: 5}), ())) == ""
    assert "end with @other" in wrong_url(url, Signs(Counter({"other": 5, host: 1}), ()))
    assert wrong_url(url, Signs(Counter(), ())) == ""


def test_a_few_missing_pictures_are_no_finding_and_all_of_them_are(tmp_path: Path) -> None:
    names = tuple(f"{number}.jpg" for number in range(10))
    for name in names[3:]:
        (tmp_path / name).write_bytes(b"x")
    assert missing_pictures(tmp_path, Signs(Counter(), names)) == ""
    (tmp_path / names[9]).unlink()
    assert missing_pictures(tmp_path, Signs(Counter(), names)).startswith("4 of the 10 newest")
    assert missing_pictures(tmp_path, Signs(Counter(), ("no.jpg",))).startswith("1 of the 1 newest")
    assert missing_pictures(tmp_path, Signs(Counter(), ())) == ""


def test_check_names_a_wrong_address_and_a_wrong_folder(pod: Path) -> None:
    config = pod / "config.toml"
    assert vaultd("init", "--config", str(config)).returncode == 0
    done = vaultd("check", "--config", str(config))
    assert done.returncode == 0, done.stdout
    other = pod / "other"
    (other / "images").mkdir(parents=True)
    more = {"VAULTD_POD_URL": "https://elsewhere.example", "VAULTD_POD_UPLOADS": str(other)}
    wrong = vaultd("check", "--json", "--config", str(config), more=more)
    assert wrong.returncode == 2
    bad = {c["what"]: c["sentence"] for c in json.loads(wrong.stdout)["checks"] if not c["fine"]}
    assert set(bad) == {"pod.url", "uploads"}
    assert "@elsewhere.example" in bad["pod.url"]
    assert "newest pictures" in bad["uploads"]
    shutil.rmtree(other)


def test_a_run_says_that_the_config_is_another_pods(pod: Path) -> None:
    config = ("--config", str(pod / "config.toml"))
    fine = vaultd("backup", *config)
    assert "Set pod." not in fine.stderr
    other = vaultd("backup", *config, more={"VAULTD_POD_URL": "https://other.example"})
    assert "Set pod.url" in other.stderr
    nowhere = vaultd("backup", *config, more={"VAULTD_POD_UPLOADS": str(pod / "nowhere")})
    assert "is not a folder" in nowhere.stderr
