"""The one function that decides where a restored file may lie, and what a picture may be called."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Final

from vaultd.errors import DamageError

MAX_NAME_BYTES: Final = 200

# Restored folders travel: what Windows cannot hold is refused everywhere.
_DEVICES: Final = [f"{name}{digit}" for name in ("com", "lpt") for digit in "0123456789¹²³"]
_RESERVED: Final = frozenset(("con", "prn", "aux", "nul", "conin$", "conout$", *_DEVICES))
# What diaspora* takes as an upload; never what a browser would run, such as .html or .svg.
_PICTURE: Final = re.compile(r"(?s:.+)(\.(?:jpe?g|png|gif|webp))", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FORBIDDEN: Final = frozenset('/\\:*?"<>|')


def inside(base: Path, name: str) -> Path:
    """Return `base/name`, always a direct child of `base`.

    Raises DamageError for anything but one plain, portable file name.
    """
    reason = _objection(name)
    if reason:
        raise DamageError(
            f"The file name {name[:80]!r} is refused: it {reason}.",
            hint="Nothing is written under that name.",
        )
    return base / name


def picture_ending(name: str) -> str:
    """Return the ending of a picture's file name, such as `.webp`; empty for any other name."""
    found = _PICTURE.fullmatch(name)
    return found[1].lower() if found else ""


def is_plain(name: str) -> bool:
    """Whether a file name has letters, digits, `_ . -` only, and needs no care anywhere."""
    return len(name) <= MAX_NAME_BYTES and _PLAIN.fullmatch(name) is not None


def _objection(name: str) -> str:
    if not name or name in (".", ".."):
        return "names no file"
    if any(character in _FORBIDDEN for character in name):
        return "has a separator or a character that not every system allows"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp") for character in name):
        return "has a control character or one that turns the order of letters"
    if name[0] in "-.":
        return "starts with a dash or a dot"
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "is not valid text"
    if size > MAX_NAME_BYTES:
        return f"is longer than {MAX_NAME_BYTES} bytes"
    if name[-1] in ". " or name[0] == " ":
        return "starts with a space or ends with a space or a dot"
    if name.split(".", 1)[0].rstrip(" ").casefold() in _RESERVED:
        return "is a device name on Windows"
    return ""
