"""Column values as records hold them: JSON-safe, times in UTC, broken text made whole."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

from vaultd.records import Body, Json, Oversized

_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,18}")


def text(value: object) -> str:
    """Return a column's text; bytes that are not UTF-8 become U+FFFD."""
    if type(value) is str:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    if isinstance(value, Oversized):
        return value  # type: ignore[return-value]  # whoever encodes it says so
    return "" if value is None else str(value)


def given(value: object) -> str | None:
    """Return a column's text, None where there is none."""
    return None if value is None else text(value)


def seconds(value: object) -> str | None:
    """Return a time as diaspora federates it: `2025-04-15T18:18:38Z`."""
    if type(value) is datetime and value.tzinfo is None:
        return f"{value.isoformat()[:19]}Z"  # the same, several times as fast as strftime
    moment = _moment(value)
    return None if moment is None else f"{moment.isoformat()[:19]}Z"


def exact(value: object) -> str | None:
    """Return a time with microseconds where it has any; a text that is no time as it is."""
    if type(value) is datetime and value.tzinfo is None:
        return f"{value.isoformat()}Z"
    moment = _moment(value)
    if moment is None:
        return given(value)
    return f"{moment.isoformat()}Z"


def moments(value: object) -> tuple[str | None, str | None]:
    """Return `seconds` and `exact` of a time."""
    if type(value) is datetime and value.tzinfo is None:
        iso = value.isoformat()
        return f"{iso[:19]}Z", f"{iso}Z"
    return seconds(value), exact(value)


def _moment(value: object) -> datetime | None:
    """Return a time without a zone, in UTC; None for what is none."""
    moment = value
    if isinstance(value, str):  # SQLite, and columns of an odd type
        try:
            moment = datetime.fromisoformat(value.replace("Z", "").strip())
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    try:
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:  # its zone would put it before the year 1 or after the year 9999
        return None


def day(value: object) -> str | None:
    """Return a date as `2025-04-15`; a text that is none as it is."""
    if isinstance(value, date):
        return value.isoformat()[:10]
    moment = _moment(value)
    return given(value) if moment is None else moment.isoformat()[:10]


def json_safe(value: object) -> Json:
    """Return any column value as JSON can hold it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return exact(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [json_safe(each) for each in value]
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(raw).decode("ascii")}
    return text(value)


def columns(names: Sequence[str], values: Sequence[object]) -> Body:
    """Return column values by name; mostly there are none."""
    return dict(zip(names, map(json_safe, values), strict=True)) if names else {}


def nulls(row: Mapping[str, object], names: Iterable[str]) -> Body:
    """Return those columns that are NULL: where a body says '' or false, its `row` tells so."""
    return {name: None for name in names if name in row and row[name] is None}


def flag(value: object) -> bool:
    """Return a boolean column; MySQL and SQLite have 0 and 1."""
    return bool(value)


def number(value: object) -> Json:
    """Return a whole number; what is none, in SQLite, as it is."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return int(value)
    return int(value) if isinstance(value, int) else json_safe(value)
