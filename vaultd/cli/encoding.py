"""Where the output cannot take what vaultd prints: a substitute, never an error."""

from __future__ import annotations

import codecs
import io
import sys
from typing import Final

_HANDLER: Final = "vaultd_substitute"
_INSTEAD: Final = {
    "✓": "ok",
    "✗": "!!",
    "●": "*",
    "…": "...",
    "·": "-",
    "─": "-",
    "→": "->",
    "—": "-",
    "’": "'",
}  # fmt: skip


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_INSTEAD.get(each, "?") for each in text), error.end


def print_anywhere() -> None:
    """Have standard output and error replace what their encoding lacks (and lone surrogates)."""
    codecs.register_error(_HANDLER, _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def is_unicode(stream: object) -> bool:
    """Tell whether a stream can take every character."""
    encoding = getattr(stream, "encoding", None) or "ascii"
    return codecs.lookup(encoding).name.startswith("utf")
