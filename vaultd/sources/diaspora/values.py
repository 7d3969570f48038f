"""Column values as records hold them: JSON-safe, times in UTC, broken text made whole."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from vaultd.records import Body, Json

_FOUR_DIGITS: Final = 1000  # strftime writes fewer for earlier years


def text(value: object) -> str:
    """Return a column's text; bytes that are not UTF-8 become U+FFFD."""
    if type(value) is str:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return "" if value is None else str(value)


def given(value: object) -> str | None:
    """Return a column's text, None where there is none."""
    return None if value is None else text(value)


def seconds(value: object) -> str | None:
    """Return a time as diaspora federates it: `2025-04-15T18:18:38Z`."""
    if type(value) is datetime and value.tzinfo is None and value.year >= _FOUR_DIGITS:
        return f"{value.isoformat()[:19]}Z"  # the same, several times as fast as strftime
    moment = _moment(value)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def exact(value: object) -> str | None:
    """Return a time with microseconds where it has any; a text that is no time as it is."""
    if type(value) is datetime and value.tzinfo is None and value.year >= _FOUR_DIGITS:
        return f"{value.isoformat()}Z"
    moment = _moment(value)
    if moment is None:
        return given(value)
    if not moment.microsecond:
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moments(value: object) -> tuple[str | None, str | None]:
    """Return `seconds` and `exact` of a time."""
    if type(value) is datetime and value.tzinfo is None and value.year >= _FOUR_DIGITS:
        iso = value.isoformat()
        return f"{iso[:19]}Z", f"{iso}Z"
    return seconds(value), exact(value)


def _moment(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str):  # SQLite, and columns of an odd type
        try:
            return datetime.fromisoformat(value.replace("Z", "").strip())
        except ValueError:
            return None
    return None


def json_safe(value: object) -> Json:
    """Return any column value as JSON can hold it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return exact(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(raw).decode("ascii")}
    return str(value)


def columns(names: Sequence[str], values: Sequence[object]) -> Body:
    """Return column values by name; mostly there are none."""
    return dict(zip(names, map(json_safe, values), strict=True)) if names else {}


def flag(value: object) -> bool:
    """Return a boolean column; MySQL and SQLite have 0 and 1."""
    return bool(value)


def number(value: object) -> int | None:
    """Return a whole number, None where there is none."""
    return int(value) if isinstance(value, int) else None
