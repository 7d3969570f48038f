"""What diaspora*'s importer accepts, as far as breaking a rule stops or spoils an import.

The importer checks every entity with the federation library's validators and does not catch
what they raise: one bad entity ends the whole run half-way.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Final

from vaultd.records import Json

MAX_TEXT: Final = 65_535
MAX_LINE: Final = 255
MAX_ASPECT_NAME: Final = 20
MAX_PERSON_NAME: Final = 32
MAX_PROFILE_TAGS: Final = 5
MIN_POLL_ANSWERS: Final = 2
MIN_SIGNATURE: Final = 30

_GUID: Final = re.compile(r"[0-9A-Za-z\-_@.:]{15,254}[0-9A-Za-z]")
_HANDLE: Final = re.compile(
    r"[a-zA-Z0-9\-_.]+@"
    r"(?:[a-zA-Z0-9\-]+(?:\.[a-zA-Z0-9\-]*)*|\[(?:[a-fA-F0-9]{0,4}:){0,7}[a-fA-F0-9]{1,4}\])"
    r"(?::[0-9]+)?"
)
_BIRTHDAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")  # Devise's own rule
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:[-_][A-Za-z]{2,8})?")
_LONG_TAG: Final = re.compile(r"(?:^|\s)#[\w\u055b\u055c\u055e\u058a-]{256}")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")

ORDERS: Final[dict[str, tuple[str, ...]]] = {
    "comment": ("author", "guid", "parent_guid", "text", "created_at"),
    "like": ("author", "guid", "parent_guid", "parent_type", "positive"),
    "poll_participation": ("author", "guid", "parent_guid", "poll_answer_guid"),
}


def is_guid(value: Json) -> bool:
    """Whether the importer takes this as a guid (16 to 255 plain characters)."""
    return isinstance(value, str) and _GUID.fullmatch(value) is not None


def is_handle(value: Json) -> bool:
    """Whether the importer takes this as a diaspora* ID."""
    return isinstance(value, str) and len(value) <= MAX_LINE and bool(_HANDLE.fullmatch(value))


def is_email(value: str) -> bool:
    """Whether diaspora* makes a user with this e-mail address."""
    return len(value) <= MAX_LINE and _EMAIL.fullmatch(value) is not None


def is_language(value: str) -> bool:
    """Whether this looks like one of diaspora*'s language codes, such as `de` or `pt-BR`."""
    return _LANGUAGE.fullmatch(value) is not None


def has_long_tag(value: str) -> bool:
    """Whether a text has a tag of more than 255 characters, which diaspora* refuses."""
    return _LONG_TAG.search(value) is not None


def is_time(value: Json) -> bool:
    """Whether this is a time as diaspora* writes it."""
    if not isinstance(value, str) or not _TIMESTAMP.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_birthday(value: str) -> bool:
    """Whether this is a date the importer can store (1004 is diaspora*'s "no year")."""
    if not _BIRTHDAY.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_storable(value: Json) -> bool:
    """Whether no text in here has a NUL (or half a character), which PostgreSQL refuses."""
    if isinstance(value, str):
        return _UNSTORABLE.search(value) is None
    if isinstance(value, list):
        return all(map(is_storable, value))
    if isinstance(value, dict):
        return all(is_storable(item) for item in value.values())
    return True


def storable(value: Json) -> Json:
    """Return a copy without NUL characters, halves of characters as U+FFFD."""
    if isinstance(value, str):
        whole = value.replace("\0", "")
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", whole)
    if isinstance(value, list):
        return [storable(item) for item in value]
    if isinstance(value, dict):
        return {key: storable(item) for key, item in value.items()}
    return value


def aspect_name(wanted: str, taken: set[str]) -> str:
    """Return the name an aspect gets: at most 20 characters, unique without regard to case.

    `taken` holds the case-folded names given so far and gets the new one.
    """
    base = wanted.strip()[:MAX_ASPECT_NAME].strip() or "aspect"
    name, number = base, 1
    while name.lower() in taken:
        number += 1
        ending = f" ({number})"
        name = base[: MAX_ASPECT_NAME - len(ending)].rstrip() + ending
    taken.add(name.lower())
    return name


def host_of(handle: str) -> str:
    """Return the host (with port) of a diaspora* ID."""
    return handle.rpartition("@")[2].lower()
