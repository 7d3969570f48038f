"""Dates as SQLite keeps them: texts of which some may be no dates."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, Dialect, Engine, Text, event
from sqlalchemy.types import TypeDecorator


class _AnyDate(TypeDecorator[Any]):
    """A date, a time, or the text that stands where one should be."""

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


def reflect_leniently(metadata: object, engine: Engine) -> None:
    """Let tables reflected from SQLite into this MetaData have dates that never raise."""
    if engine.dialect.name == "sqlite":
        event.listen(metadata, "column_reflect", _lenient)


def _lenient(_inspector: object, _table: object, column: Any) -> None:
    if isinstance(column["type"], DateTime | Date):
        column["type"] = _AnyDate(datetime if isinstance(column["type"], DateTime) else date)
