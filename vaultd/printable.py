"""Texts of others as they may be shown: what steers a terminal or turns text is spelt out."""

from __future__ import annotations

import re
import traceback
from typing import Final

# Controls (C0, DEL, C1), marks that change the direction of text, line separators, soft hyphens and
# characters without width that hide in a name, tags, halves of characters. The joiner of emoji
# (U+200D) stays.
_CLASS: Final = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
)
_STEERING: Final = re.compile(f"[{_CLASS}]")


def printable(text: str) -> str:
    """Return one line of text with each steering character as `\\x1b`, `\\u202e`, …"""
    return _STEERING.sub(_spelt, text)


def _spelt(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def printable_json(document: str) -> str:
    """Return a JSON document that holds the same, with steering characters as `\\uXXXX`."""
    lines = document.split("\n")
    return "\n".join(_STEERING.sub(_json_escape, line) for line in lines)


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def trace_without_values(error: BaseException) -> str:
    """Return where an error came from, and its causes: types and lines of code, never its words,
    which may hold what people wrote."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(
            "".join(traceback.format_tb(current.__traceback__)) + f"{_name(type(current))}\n"
        )
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return "which came from:\n".join(parts)


def _name(kind: type[BaseException]) -> str:
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
