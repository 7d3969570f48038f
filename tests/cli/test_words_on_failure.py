"""What the command line says when it cannot: a sentence, a code, and a document with --json."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from array import array
from pathlib import Path

import pytest

from tests.cli.conftest import vaultd
from tests.vault import small_vault as small
from vaultd.backends.folder.backend import FolderBackend
from vaultd.keys import Kit, Secrets, kit


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "vaults"
    backend = FolderBackend(folder, create=True)
    _, _, packed, blob = small.build()
    for each in (*packed, blob):
        backend.create(each.name, each.open(), each.size)
    return folder


@pytest.fixture
def sheet(tmp_path: Path, place: Path) -> str:
    path = tmp_path / "kit.txt"
    kit.write(path, Kit(small.SECRET, (small.POD_KEY.fingerprint,), (place.as_uri(),)))
    return str(path)


def test_an_empty_or_wrong_folder_is_no_sound_place(
    tmp_path: Path, place: Path, sheet: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = vaultd("verify", "--from", str(empty))
    assert done.returncode == 6
    assert f"There is no vault in {empty}: nothing in it was stored by vaultd." in done.stderr
    assert "all sound" not in done.stdout
    done = vaultd("archives", "--kit", sheet, "--from", str(empty))
    assert done.returncode == 6
    inside = place / Secrets.from_secret(small.SECRET).recipient.vault_id
    done = vaultd("verify", "--from", str(inside))
    assert done.returncode == 6
    assert "name the folder above it" in done.stderr
    done = vaultd("verify", "--from", str(tmp_path))
    assert done.returncode == 6
    assert "its folder vaults" in done.stderr


def test_the_kits_own_place_is_looked_into_and_folders_are_places(
    tmp_path: Path, place: Path, sheet: str
) -> None:
    done = vaultd("archives", "--kit", sheet)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ada@pod.example: vault ")
    assert place.as_uri() in done.stderr
    for text in (str(place), f"{place}/", place.as_uri()):
        assert vaultd("archives", "--kit", sheet, "--from", text).returncode == 0
    done = vaultd("archives", "--kit", sheet, "--from", "nowhere")
    assert done.returncode == 2
    assert "vaultd init" not in done.stderr
    bare = tmp_path / "bare.txt"
    kit.write(bare, Kit(small.SECRET))
    done = vaultd("archives", "--kit", str(bare))
    assert done.returncode == 2
    assert "no Place line" in done.stderr


def test_what_cannot_be_meant_is_refused(tmp_path: Path, sheet: str) -> None:
    base = ("restore", "--kit", sheet, "--format", "records", "--out", str(tmp_path / "o"))
    for arguments, words in (
        (("--account", "bob"), "kit of ada@pod.example"),
        (("--vault", "0" * 32), "opens the vault"),
        (("--post", "nothere"), "no post 'nothere'"),
        (("--post", ""), "--post"),
        (("--since", "2026-02-01", "--until", "2026-01-01"), "not before"),
        (("--only", "pests"), "no kind of record"),
        (("--at", "²"), "neither a sequence number nor a time"),
        (("--at", "99"), "no readable archive 99"),
        (("--unpack-limit", "much"), "not a size"),
    ):
        done = vaultd(*base, *arguments, "--json")
        assert done.returncode == 2, (arguments, done.stderr)
        assert words in done.stderr
        error = json.loads(done.stdout)["error"]
        assert error["code"] in ("usage", "config")
        assert words in error["sentence"]
        assert not (tmp_path / "o" / "records.jsonl").exists()


def test_a_day_is_over_at_its_end(tmp_path: Path, sheet: str) -> None:
    base = ("restore", "--kit", sheet, "--format", "records", "--json")
    for when, sequence in (("2026-11-01", 1), ("2026-11-02", 2), ("2026-11-02T02:00:00Z", 1)):
        done = vaultd(*base, "--out", str(tmp_path / when.replace(":", "")), "--at", when)
        assert json.loads(done.stdout)["sequence"] == sequence


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("verify", "--from", "/nonexistent/place"), "place"),
        (("archives", "--kit", "/nonexistent/kit"), "usage"),
        (("status", "--config", "/nonexistent.toml"), "config"),
        (("restore", "--nonsense"), "usage"),
        (("nonsense",), "usage"),
        (("copy", "--from", "/nonexistent/a", "--to", "/nonexistent/b"), "place"),
    ],
)
def test_with_json_a_failure_is_one_document(arguments: tuple[str, ...], code: str) -> None:
    done = vaultd(*arguments, "--json")
    assert done.returncode != 0
    document = json.loads(done.stdout)
    assert document["error"]["code"] == code
    assert document["error"]["sentence"]
    assert done.stderr


def test_ctrl_c_is_130(sheet: str) -> None:
    reader, writer = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "vaultd", "archives", "--kit", "-", "--json"],
        stdin=reader, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    # It reads words until the pipe ends: once the first are gone from it, it waits for more.
    os.write(writer, b"abandon\n")
    while process.poll() is None and _left(reader):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    os.close(reader)
    os.close(writer)
    assert process.returncode == 130
    assert json.loads(out)["error"]["code"] == "stopped"
    assert "Traceback" not in err


def _left(pipe: int) -> int:
    """Return how many bytes are in a pipe."""
    count = array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def test_colours_only_on_a_terminal_that_wants_them(place: Path) -> None:
    for settings, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        ours, theirs = pty.openpty()
        subprocess.run(
            [sys.executable, "-m", "vaultd", "verify", "--from", str(place)],
            stdout=theirs, stderr=subprocess.PIPE, check=True,
            env={**{k: v for k, v in os.environ.items() if k != "NO_COLOR"},
                 "TERM": "xterm", **settings},
        )  # fmt: skip
        os.close(theirs)
        shown = os.read(ours, 4096)
        os.close(ours)
        assert (b"\x1b[" in shown) == coloured
        assert b"all sound" in shown


def test_a_copy_goes_into_a_folder_that_is_not_there_yet(tmp_path: Path, place: Path) -> None:
    target = tmp_path / "deep" / "er"
    done = vaultd("copy", "--from", str(place), "--to", str(target))
    assert done.returncode == 0, done.stderr
    assert vaultd("verify", "--from", str(target)).returncode == 0


def test_the_independent_reader_has_its_help_without_any_library() -> None:
    reader = Path(__file__).resolve().parents[2] / "tools" / "vault_reader.py"
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(reader), "--help"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "kit" in done.stdout
