"""Where a restore may write: for the owner only, and never over anybody's files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restore.account import account
from tests.restore.point import FakePoint
from vaultd.errors import UsageError
from vaultd.restore.html import write_html
from vaultd.restore.output.out_folder import MARK, prepare
from vaultd.restore.records_out import write_records

FILES = {"v/blob-1": b"picture one", "v/blob-2": b"picture two"}


@pytest.fixture(params=[0o000, 0o022, 0o777])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def _point() -> FakePoint:
    return FakePoint(account(), files=FILES)


@pytest.mark.usefixtures("_umask")
def test_everything_is_the_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    out = tmp_path / "pages"
    prepare(out)
    write_html(_point(), out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    found = list(out.rglob("*"))
    assert len(found) > 8
    for path in found:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_folder_with_somebodys_files_a_link_and_a_file_are_refused(tmp_path: Path) -> None:
    full, link, file = tmp_path / "full", tmp_path / "link", tmp_path / "file"
    full.mkdir()
    (full / "letter.txt").write_text("mine")
    (tmp_path / "real").mkdir()
    link.symlink_to(tmp_path / "real")
    file.write_text("mine")
    for place in (full, link, file):
        for force in (False, True):
            with pytest.raises(UsageError):
                prepare(place, force=force)
    assert (full / "letter.txt").read_text() == "mine"
    assert not list((tmp_path / "real").iterdir())


def test_an_empty_folder_of_ones_own_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "empty"
    out.mkdir(mode=0o755)
    prepare(out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


def test_force_replaces_what_vaultd_wrote_and_leaves_what_it_did_not(tmp_path: Path) -> None:
    out = tmp_path / "me"
    prepare(out)
    write_html(_point(), out)
    (out / "my notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        prepare(out)
    prepare(out, force=True)
    write_records(_point(), out)
    names = {path.name for path in out.iterdir()}
    assert names == {"my notes.txt", MARK, "records.jsonl", "summary.json"}


def test_a_forged_mark_removes_nothing_outside_the_folder(tmp_path: Path) -> None:
    out, outside = tmp_path / "me", tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("mine")
    prepare(out)
    (out / "photos").symlink_to(outside)
    (out / MARK).write_text("../outside/kept\n../outside/\nphotos/\n/etc/passwd\n..\n\n")
    prepare(out, force=True)
    assert (outside / "kept").read_text() == "mine"
    assert (out / "photos").is_symlink()
    with pytest.raises(UsageError, match="in the way"):
        write_html(_point(), out)
    assert [path.name for path in outside.iterdir()] == ["kept"]
