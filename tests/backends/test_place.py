"""PLACE URLs."""

from __future__ import annotations

from pathlib import Path

import pytest

from vaultd.backends.folder import FolderBackend
from vaultd.backends.place import open_place
from vaultd.errors import PlaceError, UsageError


def root_of(url: str) -> Path:
    place = open_place(url)
    assert isinstance(place, FolderBackend)
    return place.root


def test_a_file_url_is_a_folder() -> None:
    assert root_of("file:///srv/vaults") == Path("/srv/vaults")
    assert root_of("file://localhost/srv/vaults/") == Path("/srv/vaults")


def test_percent_signs_stand_for_other_characters(tmp_path: Path) -> None:
    folder = tmp_path / "Sicherung älter #1? 100%"
    assert root_of(folder.as_uri()) == folder
    assert root_of("file:///srv/a%20b/%C3%A4") == Path("/srv/a b/ä")


def test_the_folder_is_made_only_when_asked(tmp_path: Path) -> None:
    url = (tmp_path / "a" / "b").as_uri()
    with pytest.raises(PlaceError, match="is not there"):
        list(open_place(url).list())
    assert list(open_place(url, create=True).list()) == []
    assert list(open_place(url).list()) == []


@pytest.mark.parametrize(
    "url", ["", "vaults", "/srv/vaults", "ftp://host/a", "s3://bucket", "C:\\a"]
)
def test_other_places_are_refused_with_those_that_exist(url: str) -> None:
    with pytest.raises(UsageError, match="file:///"):
        open_place(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:srv/vaults", "file://", "file://host/vaults", "file:///a?b", "file:///a#b",
        "file:///a%00b", "file:///a%zz", "file:///a%ff", "file://[/a",
    ],
)  # fmt: skip
def test_a_file_url_that_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_place(url)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(UsageError) as raised:
        open_place("ftp://me:hunter2@host/vaults")
    assert "hunter2" not in str(raised.value)
