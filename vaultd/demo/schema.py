"""Building the diaspora* schema on SQLite, PostgreSQL and MariaDB, for the demo and the tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
)
from sqlalchemy.types import TypeEngine

from vaultd.demo.tables import INDEXES, NEWEST, TABLES, UNIQUE
from vaultd.errors import UsageError

RELEASES: Final = tuple(NEWEST)
_ORDER: Final = {"0.7.16": 7, "0.9": 9, "0.10-dev": 10}
# MariaDB indexes at most 3072 bytes; diaspora uses prefixes of 191 characters there.
_STRING: Final = 255


def _in_release(mark: str, release: str) -> bool:
    number = _ORDER[release]
    return {"": True, "0.7": number == 7, "0.9": number >= 9, "<0.10": number < 10}[mark]


def _type(code: str) -> TypeEngine[Any]:
    if code[0] == "s":
        return String(int(code[1:] or _STRING))
    plain: dict[str, TypeEngine[Any]] = {
        "i": Integer(),
        "t": Text(),
        "b": Boolean(),
        "d": DateTime(),
        "D": Date(),
    }
    return plain[code]


def _column(text: str) -> Column[Any]:
    name, _, rest = text.partition(" ")
    code, given, default = rest.partition("=")
    required = code.endswith("!")
    value: object = default.strip("'")
    if given and code[0] in "ib":
        value = int(default) if code[0] == "i" else default == "1"
    return Column(
        name, _type(code.rstrip("!")), nullable=not required, default=value if given else None
    )


def build_schema(release: str) -> MetaData:
    """Return the tables of a release: `0.7.16`, `0.9` or `0.10-dev`. Raises UsageError."""
    if release not in RELEASES:
        raise UsageError(f"There is no description of the schema of {release!r}.")
    metadata = MetaData()
    for line in TABLES.strip().splitlines():
        name, _, rest = line.partition(":")
        name, _, mark = name.partition("@")
        if not _in_release(mark, release):
            continue
        parts = [part.strip().partition("@") for part in rest.split("|")]
        wanted = [text for text, _, mark in parts if _in_release(mark, release) and text != "-"]
        columns = [_column(text) for text in wanted]
        if parts[0][0] != "-":
            columns.insert(0, Column("id", Integer, primary_key=True))
        table = Table(name, metadata, *columns)
        for unique, found in ((True, UNIQUE), (False, INDEXES)):
            for number, names in enumerate(found.get(name, ())):
                own = [table.c[column] for column in names.split(" ")]
                Index(f"ix_{name}_{'u' if unique else 'i'}{number}", *own, unique=unique)
    return metadata


def create_schema(engine: Engine, release: str) -> MetaData:
    """Create the tables in an empty database and note the release's migrations in it."""
    metadata = build_schema(release)
    metadata.create_all(engine)
    with engine.begin() as connection:
        versions = [{"version": version} for version in NEWEST[release]]
        connection.execute(insert(metadata.tables["schema_migrations"]), versions)
        moment = datetime(2024, 1, 1, tzinfo=UTC).replace(tzinfo=None)
        connection.execute(
            insert(metadata.tables["ar_internal_metadata"]),
            [{"key": "environment", "value": "production", "created_at": moment,
              "updated_at": moment}],
        )  # fmt: skip
    return metadata
