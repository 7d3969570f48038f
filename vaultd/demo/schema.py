"""Building the diaspora* schema on SQLite, PostgreSQL and MariaDB, for the demo and the tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    func,
    insert,
    text,
    true,
)
from sqlalchemy.types import TypeEngine

from vaultd.demo import schema_links as links
from vaultd.demo.tables import INDEXES, TABLES, UNIQUE
from vaultd.errors import UsageError

Release: TypeAlias = Literal["0.7.16", "0.9", "0.10-dev"]
RELEASES: Final[tuple[Release, ...]] = get_args(Release)
_ORDER: Final = {"0.7.16": 7, "0.9": 9, "0.10-dev": 10}
_STRING: Final = 255
# MariaDB indexes at most 3072 bytes, 768 characters of utf8mb4; diaspora* takes 191 there.
_LONGEST_INDEXED: Final = 768
_PREFIX: Final = 191
_INSTALLED: Final = datetime(2024, 1, 1)  # noqa: DTZ001 - the database has no zones


def _in_release(mark: str, release: Release) -> bool:
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


def _column(table: str, described: str) -> Column[Any]:
    name, _, rest = described.partition(" ")
    code, given, shown = rest.partition("=")
    required, code = code.endswith("!"), code.rstrip("!")
    value: bool | int | str = shown.strip("'")
    server: Any = text(f"'{value}'")
    if code == "i" and given:
        value, server = int(shown), text(shown)
    elif code == "b":
        value, server = shown == "1", true() if shown == "1" else false()
    keys = [
        ForeignKey(f"{target}.id", ondelete=rule[0].upper() if rule else None)
        for column, target, *rule in (k.split() for k in links.FOREIGN_KEYS.get(table, ()))
        if column == name
    ]
    return Column(
        name,
        _type(code),
        *keys,
        primary_key=links.PRIMARY_KEYS.get(table) == name,
        nullable=not required,
        default=value if given else None,
        server_default=server if given else None,
    )


def _id_column(table: str) -> Column[Any]:
    # SQLite counts up only in a column that is exactly INTEGER.
    wide = BigInteger().with_variant(Integer(), "sqlite")
    return Column("id", wide if table in links.BIG_IDS else Integer(), primary_key=True)


def _described() -> Iterator[str]:
    yield from TABLES.strip().splitlines()
    yield from links.MORE_TABLES.strip().replace("\n    |", " |").splitlines()


def build_schema(release: Release) -> MetaData:
    """Return the tables of a release: `0.7.16`, `0.9` or `0.10-dev`. Raises UsageError."""
    if release not in RELEASES:
        raise UsageError(
            f"There is no description of the schema of {release!r}.",
            hint=f"There is one of {', '.join(RELEASES)}.",
        )
    metadata = MetaData()
    for line in _described():
        name, _, rest = line.partition(":")
        name, _, mark = name.partition("@")
        if not _in_release(mark, release):
            continue
        parts = [part.strip().partition("@") for part in rest.split("|")]
        wanted = [found for found, _, mark in parts if _in_release(mark, release) and found != "-"]
        columns = [_column(name, found) for found in wanted]
        if parts[0][0] != "-":
            columns.insert(0, _id_column(name))
        table = Table(
            name, metadata, *columns, mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
        )
        _add_indexes(table)
    # Since 0.9 tags differ in more than case; only PostgreSQL is told so.
    if release != "0.7.16":
        tags = metadata.tables["tags"]
        Index("ix_tags_lower_name", func.lower(tags.c.name), unique=True).ddl_if("postgresql")
    return metadata


def _add_indexes(table: Table) -> None:
    for unique, sources in (
        (True, (UNIQUE, links.MORE_UNIQUE)),
        (False, (INDEXES, links.MORE_INDEXES)),
    ):
        described = [names for source in sources for names in source.get(table.name, ())]
        for number, names in enumerate(described):
            columns = [table.c[name] for name in names.split() if name in table.c]
            if len(columns) < len(names.split()) or all(c.primary_key for c in columns):
                continue  # not in this release, or the primary key says it already
            long = {c.name: _PREFIX for c in columns if _length(c) > _LONGEST_INDEXED}
            Index(
                f"ix_{table.name}_{'u' if unique else 'i'}{number}",
                *columns,
                unique=unique,
                mysql_length=long,
            )


def _length(column: Column[Any]) -> int:
    return (column.type.length or 0) if isinstance(column.type, String) else 0


def create(engine: Engine, release: Release) -> MetaData:
    """Create the tables in an empty database and note the release's migrations in it."""
    metadata = build_schema(release)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            insert(metadata.tables["schema_migrations"]),
            [{"version": version} for version in links.MIGRATIONS[release]],
        )
        connection.execute(
            insert(metadata.tables["ar_internal_metadata"]),
            [{"key": "environment", "value": "production", "created_at": _INSTALLED,
              "updated_at": _INSTALLED}],
        )  # fmt: skip
    return metadata
