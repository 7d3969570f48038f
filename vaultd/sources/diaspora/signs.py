"""Signs by which a config is told from another pod's: hosts of handles, names of picture files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, select

from vaultd.sources.diaspora.database import fetch_all
from vaultd.sources.diaspora.records.values import text
from vaultd.sources.diaspora.schema import Schema

_PEOPLE: Final = 1000
_PICTURES: Final = 50


@dataclass(frozen=True, slots=True)
class Signs:
    """Of the newest local people: how many handles end with which host; and the file names of
    their newest pictures."""

    hosts: Counter[str]
    pictures: tuple[str, ...]


def signs(connection: Connection, schema: Schema) -> Signs:
    """Read the signs; a few rows."""
    people, photos = schema["people"], schema["photos"]
    local = people.c.owner_id.is_not(None)
    handles = select(people.c.diaspora_handle).where(local).order_by(people.c.id.desc())
    names = (
        select(photos.c.remote_photo_name)
        .where(photos.c.author_id.in_(select(people.c.id).where(local)))
        .where(photos.c.remote_photo_name.is_not(None))
        .order_by(photos.c.id.desc())
    )
    return Signs(
        Counter(
            text(row[0]).rpartition("@")[2]
            for row in fetch_all(connection, handles.limit(_PEOPLE))
            if row[0] is not None
        ),
        tuple(text(row[0]) for row in fetch_all(connection, names.limit(_PICTURES))),
    )
