"""The photos archive: a flat zip of the full-size pictures, as diaspora*'s importer wants it."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from vaultd.clock import parse_rfc3339
from vaultd.errors import DamageError, ObjectMissing
from vaultd.fields import entity, text
from vaultd.records import Body
from vaultd.restore.archive.report import Report, Section
from vaultd.restore.output.paths import inside, picture_ending
from vaultd.restore.output.private_file import private_file
from vaultd.restore.point import RestorePoint

_ILLEGAL = "pictures with a file name that is not safe to write; the importer could not use it."
_TWICE = "pictures with a file name that another picture has already; the first one is kept."
_NO_FILE = (
    "pictures whose file was not on the pod when it was backed up; the post is there without it."
)
_DAMAGED = "pictures whose stored file is damaged or missing in the vault."


def write_photos(snapshot: RestorePoint, out: Path, name: str, report: Report) -> int:
    """Write the zip `out/name` and return the number of pictures; the rest goes to the report.

    Raises OSError, and PlaceError when the vault's place is gone.
    """
    moment = _zip_time(parse_rfc3339(snapshot.manifest.time))
    taken: set[str] = set()
    written = 0
    with (
        private_file(out, name) as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
    ):
        for record in snapshot.records({"photo"}):
            body = record.body or {}
            what = f"photo {record.id}"
            picture = text(entity(body), "remote_photo_name") or ""
            if (objection := _objection(out, picture)) is not None:
                report.add(Section.LEFT_OUT, _ILLEGAL, f"{what}: {objection}")
                continue
            # Case-folded: two such names are one file on Windows and macOS.
            if picture.casefold() in taken:
                report.add(Section.LEFT_OUT, _TWICE, f"{what}: {picture}")
                continue
            if not isinstance(body.get("blob"), dict):
                report.add(Section.LEFT_OUT, _NO_FILE, f"{what}: {picture}")
                continue
            info = zipfile.ZipInfo(picture, moment)
            with tempfile.TemporaryFile(dir=out) as whole:
                if not _fetch(snapshot, body, whole, picture, report):
                    continue
                _store(whole, archive, info)
            taken.add(picture.casefold())
            written += 1
    return written


def _objection(out: Path, picture: str) -> str | None:
    try:
        inside(out, picture)
    except DamageError as error:
        return error.message
    return None if picture_ending(picture) else f"{picture[:80]!r} is no name of a picture."


def _fetch(
    snapshot: RestorePoint, body: Body, whole: BinaryIO, picture: str, report: Report
) -> bool:
    # A picture that breaks off half-way must not lie half in the zip: it comes to a file first.
    try:
        whole.writelines(snapshot.open_blob(body))
    except (DamageError, ObjectMissing) as error:
        report.add(Section.DAMAGE, _DAMAGED, f"{picture}: {error}")
        return False
    return True


def _store(whole: BinaryIO, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    info.external_attr = 0o100600 << 16
    info.file_size = whole.tell()
    whole.seek(0)
    with archive.open(info, "w") as entry:
        shutil.copyfileobj(whole, entry, 1 << 20)


def _zip_time(moment: datetime) -> tuple[int, int, int, int, int, int]:
    year = min(max(moment.year, 1980), 2107)
    return (year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
