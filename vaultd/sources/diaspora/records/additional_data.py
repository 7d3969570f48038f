"""The YAML of `additional_data`: a map of texts, as Ruby writes what a signature covers as well.

Whatever is none of a flat map's lines is passed over: the column itself is kept whole in `row`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Final

_PAIR: Final = re.compile(r"(?:([\w.-]{1,200})|'([\w.-]{1,200})'|\"([\w.-]{1,200})\"):(?: (.*))?")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d+)? (?:Z|\+00:00)", re.ASCII)
_BLOCK: Final = re.compile(r"\|([1-9]?)([+-]?)")
_NOTHING: Final = frozenset(("", "~", "null"))
_ESCAPE: Final = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U(000[0-9A-Fa-f]{5}|0010[0-9A-Fa-f]{4})|(.))", re.S
)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_OPEN_END: Final = re.compile(r"(?<!\\)(?:\\\\)*\\\Z")
_SIGNS: Final = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r",
    "e": "\x1b", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


def pairs(yaml: str) -> Iterator[tuple[str, str]]:
    """Yield names and values as they are signed, a time as `2025-04-15T18:18:38Z`."""
    lines = yaml.removesuffix("\n").split("\n")
    for place, line in enumerate(lines):
        found = _PAIR.fullmatch(line)
        if found is None:
            continue
        name, raw = found[1] or found[2] or found[3], found[4] or ""
        more = list(takewhile(_goes_on, (lines[n] for n in range(place + 1, len(lines)))))
        block = _BLOCK.fullmatch(raw)
        value = _scalar(_folded(raw, more)) if block is None else _block(more, block)
        if value is not None:
            yield name, value


def _goes_on(line: str) -> bool:
    return not line or line[0] == " "


def _folded(raw: str, more: list[str]) -> str:
    """Return in one line what was broken at spaces; an empty line stands for a line's end."""
    if raw and raw[0] not in "'\"":
        more = more[: max((n for n, line in enumerate(more, 1) if line), default=0)]
    elif not raw and any(more):
        return "{"  # a map in the map
    quoted = raw[:1] == '"'
    parts, ends = [raw], 0
    for line in more:
        words = line.strip(" ")
        if not words:
            ends += 1
            continue
        if quoted and not ends and _OPEN_END.search(parts[-1]):
            parts[-1] = parts[-1][:-1]
            if words.startswith("\\ "):
                words = words[1:]
        else:
            # In double quotes a line's end is an escape.
            parts.append(("\\n" if quoted else "\n") * ends or " ")
        parts.append(words)
        ends = 0
    return "".join(parts)


def _scalar(raw: str) -> str | None:
    """Return the value that stands in one line, None where it is none or goes on in the next."""
    if raw in _NOTHING:
        return ""
    if raw[0] == "'":
        whole = len(raw) > 1 and raw[-1] == "'" and "'" not in raw[1:-1].replace("''", "")
        return raw[1:-1].replace("''", "'") if whole else None
    if raw[0] == '"':
        return _unescaped(raw[1:-1]) if _QUOTED.fullmatch(raw) else None
    if raw[0] in "&*!|>{[%@`":
        return None
    moment = _TIME.fullmatch(raw)
    return f"{moment[1]}T{moment[2]}Z" if moment else raw


def _unescaped(words: str) -> str:
    return _ESCAPE.sub(
        lambda e: _SIGNS.get(e[4], e[4]) if e[4] else chr(int(e[1] or e[2] or e[3], 16)), words
    )


def _block(body: list[str], how: re.Match[str]) -> str:
    """Return a text of several lines; they are indented, and the empty ones are not."""
    first = next((line for line in body if line), "")
    indent = int(how[1]) if how[1] else len(first) - len(first.lstrip(" "))
    words = "\n".join(line[indent:] for line in body)
    if how[2] == "+":
        return f"{words}\n" if body else ""
    words = words.rstrip("\n")
    return words if how[2] or not words else f"{words}\n"
