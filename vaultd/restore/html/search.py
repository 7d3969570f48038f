"""The search page: one file that holds the texts to look through, written as the pages are."""

from __future__ import annotations

import json
from typing import BinaryIO, Final

from markupsafe import Markup

from vaultd.restore.html.templates import sha256, source, template

NAME: Final = "search.html"
_SNIPPET: Final = 600  # characters of each text that can be found
_HOLE: Final = "\0"  # no text of a page has one


class SearchPage:
    """Takes one text after the other; the file is complete after `end`."""

    def __init__(self, file: BinaryIO, values: dict[str, object]) -> None:
        self._file = file
        script = source("search.js")
        whole = template(NAME).render(
            **values,
            script=script,
            script_hash=sha256(script),
            texts=_HOLE,
        )
        start, _, self._end = whole.rpartition(_HOLE)
        self._comma = ""
        self._write(start + "[")

    def add(self, where: str, at: str, kind: str, words: Markup) -> None:
        """Add one text: `where` is the page with the anchor, `kind` what it is called."""
        plain = words.striptags()[:_SNIPPET]
        # Within a script element nothing may look like its end.
        packed = json.dumps([where, at, kind, plain], ensure_ascii=True).replace("<", "\\u003c")
        self._write(f"{self._comma}{packed}\n")
        self._comma = ","

    def end(self) -> None:
        """Write what comes behind the texts."""
        self._write("]" + self._end)

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "replace"))
