"""A lost state, everybody enrolled anew, and the podmin's sheet: the newest account comes back."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

from tests.cli.conftest import vaultd


def test_the_newest_of_two_vaults_comes_back_with_the_words_and_the_pod_key(
    pod: Path, tmp_path: Path
) -> None:
    config, state = str(pod / "config.toml"), pod / "state"
    place = str(pod / "vaults")
    (state / "recovery.recipient").unlink(missing_ok=True)
    made = vaultd("init", "--config", config)
    sheet = made.stdout[made.stdout.index("1. ") :]
    assert (pod_key := re.search(r"Pod key: (pod1\w+)", sheet)) is not None
    for bio in ("of the first state", "after the state was lost"):
        for path in state.glob("state.sqlite3*"):
            path.unlink()
        with sqlite3.connect(pod / "pod.sqlite3") as database:
            database.execute("UPDATE profiles SET bio = ?", (bio,))
        # One account of the demo is half-registered.
        assert vaultd("enroll", "--all", "--config", config).returncode == 3
        assert vaultd("backup", "--config", config).returncode == 0
    for user in ("ada", "bruno"):
        out = tmp_path / user
        done = vaultd("restore", "--kit", "-", "--from", place, "--account", user, "--out",
                      str(out), "--format", "records", "--json", stdin=sheet)  # fmt: skip
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert document["pod_key_given"]
        assert document["account"] == f"{user}@pod.example"
        assert "2 vaults" in document["notes"][0]
        assert "after the state was lost" in (out / "records.jsonl").read_text()
    words = "\n".join(line for line in sheet.splitlines() if "Pod key:" not in line)
    bare = vaultd("archives", "--kit", "-", "--from", place, "--account", "ada", stdin=words)
    assert bare.returncode == 0
    assert pod_key[1] in bare.stderr
    assert "No pod key was given" in bare.stderr
    stranger = vaultd("archives", "--kit", "-", "--from", place, "--account", "nobody", stdin=words)
    assert stranger.returncode == 2
    assert "bruno@pod.example" in stranger.stderr
    assert "no vault of 'nobody'" in stranger.stderr
