"""Columns that always load: what Python has no value for comes as the text that stands there.

A time beyond the year 9999, before Christ or at infinity, a broken text, a value of an unknown
type: none of them may keep the rows around it from being read.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Boolean,
    Date,
    DateTime,
    Dialect,
    Engine,
    Enum,
    Integer,
    LargeBinary,
    String,
    Text,
    event,
)
from sqlalchemy.dialects.mysql import SET, TINYINT
from sqlalchemy.types import NullType, TypeDecorator

if TYPE_CHECKING:
    from psycopg import Connection as Psycopg

# Rails writes booleans into SQLite as 1 and 0, and wrote t and f before its version 6.
_FLAGS: Final[dict[object, bool]] = {0: False, 1: True, "f": False, "t": True}
_TIMES: Final = ("timestamp", "timestamptz", "date", "time", "timetz")
_TEXTS: Final = ("text", "varchar", "bpchar", "name")
# Their texts say more than what Python would make of them: a month is no 30 days.
_AS_TEXT: Final = ("interval", "json", "jsonb")
_ANY_OTHER: Final = 0  # what psycopg calls a type that it does not know


class _AnyDate(TypeDecorator[Any]):
    """A date or a time of SQLite, or the text that stands where one should be."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: type[date]) -> None:
        super().__init__()
        self._kind = kind

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        if not isinstance(value, str):
            return value
        try:
            return self._kind.fromisoformat(value)
        except ValueError:
            return value


class _Flag(TypeDecorator[Any]):
    """A boolean of an engine without any, or the value that stands where one should be."""

    impl = Integer
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        return _FLAGS.get(value, value)


def reflect_leniently(metadata: object, engine: Engine) -> None:
    """Let tables reflected into this MetaData have columns whose values never raise."""
    name = engine.dialect.name

    def lenient(_inspector: object, _table: object, column: Any) -> None:
        column["type"] = _type_for(column["type"], name)

    event.listen(metadata, "column_reflect", lenient)


def _type_for(kind: Any, dialect: str) -> Any:
    if dialect != "postgresql" and isinstance(kind, Boolean):
        return _Flag()
    if isinstance(kind, TINYINT) and kind.display_width == 1:
        return _Flag()
    if isinstance(kind, DateTime | Date):
        if dialect != "sqlite":
            return kind
        return _AnyDate(datetime if isinstance(kind, DateTime) else date)
    if isinstance(kind, Enum | SET):
        return NullType()
    if isinstance(kind, Integer | Boolean | String | LargeBinary):
        return kind
    # SQLAlchemy would convert the others, and raise where it cannot; the driver's value is enough.
    return NullType()


def load_leniently(connection: Psycopg[Any]) -> None:
    """Let a new connection to PostgreSQL load every value, whatever the database's encoding."""
    from psycopg import Error
    from psycopg.adapt import Buffer, Loader

    class Time(Loader):
        """A time as Python has it, else its text."""

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._exactly = exact[oid](oid, context).load

        def load(self, data: Buffer) -> Any:
            try:
                return self._exactly(data)
            except (Error, ValueError, ArithmeticError):
                return bytes(data).decode("ascii", "replace")

    class Words(Loader):
        """A text; bytes that do not belong to the encoding become U+FFFD."""

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            # A database of no encoding; diaspora* has never written anything but UTF-8.
            self._encoding = "utf-8" if plain else connection.info.encoding

        def load(self, data: Buffer) -> str:
            return bytes(data).decode(self._encoding, "replace")

    adapters = connection.adapters
    exact: dict[int, type[Any]] = {}
    for name in _TIMES:
        oid = adapters.types[name].oid
        exact[oid] = _loader(adapters, oid)
    for oid in exact:
        adapters.register_loader(oid, Time)
    encoding = connection.pgconn.parameter_status(b"server_encoding") or b"UTF8"
    plain = encoding == b"SQL_ASCII"
    # Converting is left to Python: the server refuses a whole portion for one bad character.
    connection.pgconn.exec_(b"SET client_encoding TO '%b'" % encoding)
    words = _loader(adapters, adapters.types["text"].oid)
    if encoding != b"UTF8":
        words = Words
        for text in (*_TEXTS, _ANY_OTHER):
            adapters.register_loader(text, words)
    for text in _AS_TEXT:
        adapters.register_loader(text, words)


def _loader(adapters: Any, oid: int) -> type[Any]:
    from psycopg.pq import Format

    found: type[Any] = adapters.get_loader(oid, Format.TEXT)
    return found
