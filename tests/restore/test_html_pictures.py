"""Names of pictures come from a database that anybody may have filled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.restore.account import account, photo
from tests.restore.point import FakePoint
from vaultd.records import StoredRecord
from vaultd.restore.html import HtmlReport, write_html


def _write(out: Path, *names: str) -> HtmlReport:
    records: list[StoredRecord] = [*account()]
    files = {"v/blob-1": b"picture one", "v/blob-2": b"picture two"}
    for number, name in enumerate(names):
        blob = {"name": f"v/odd-{number}", "size": 3}
        records.append(photo(f"odd{number}", "pictured", name, blob=dict(blob)))
        files[str(blob["name"])] = b"odd"
    return write_html(FakePoint(records, files=files), out)


@pytest.mark.parametrize(
    "name", ["a.html", "a.svg", "a", "a.png.exe", "", "..", ".htaccess", "a.webp.html", "a\n.js"]
)
def test_what_is_no_picture_by_its_name_is_not_written(tmp_path: Path, name: str) -> None:
    report = _write(tmp_path, name)
    assert report.photos == 2
    assert report.missing == [name]
    assert {p.name for p in (tmp_path / "photos").iterdir()} == {"aaaa.webp", "face.webp"}
    assert "could not be restored" in (tmp_path / "index.html").read_text()
    assert "could not be restored" in (tmp_path / "about.html").read_text()


def test_odd_names_of_pictures_become_plain_ones(tmp_path: Path) -> None:
    odd = ["-rf.png", ".x.png", "a\u202egnp.png", "../../up.png", "Ünï cödé (1).JPG", "AAAA.webp"]
    report = _write(tmp_path, *odd)
    names = {path.name for path in (tmp_path / "photos").iterdir()}
    assert report.photos == 2 + len(odd)
    assert len(names) == report.photos
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name) for name in names)
    assert not (tmp_path.parent / "up.png").exists()
