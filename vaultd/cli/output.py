"""How the command line talks: results to standard output, remarks and errors to standard error.

With `--json` exactly one JSON document goes to standard output, with the keys that
`docs/operations.md` lists; progress is shown on a terminal only. Whatever comes from a pod, a place
or a vault goes through `printable` here: a name cannot steer the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

import click

from vaultd.errors import VaultdError
from vaultd.printable import printable, printable_json
from vaultd.sizes import plural
from vaultd.sizes import shown_bytes as size

__all__ = [
    "complain",
    "emit_error",
    "emit_json",
    "is_live",
    "line",
    "plural",
    "remark",
    "say",
    "size",
    "styled",
]


def emit_json(document: Mapping[str, object]) -> None:
    """Print one JSON document; in plain ASCII where the output cannot take every character."""
    import json

    from vaultd.cli.encoding import is_unicode

    text = json.dumps(document, ensure_ascii=not is_unicode(sys.stdout), indent=2, default=str)
    click.echo(printable_json(text))


def emit_error(code: str, sentence: str) -> None:
    """Print the JSON document of a command that failed."""
    emit_json({"error": {"code": code, "sentence": sentence}})


def say(text: str = "", *, err: bool = False) -> None:
    """Print lines of text; what is between two line ends cannot steer the terminal."""
    click.echo("\n".join(map(printable, text.split("\n"))), err=err)


def line(mark: str, text: str, *, ok: bool = True) -> None:
    """Print one line with a mark in front, green or red on a terminal."""
    click.echo(f"{styled(mark, colour='green' if ok else 'red')} {printable(text)}")


def remark(text: str) -> None:
    """Print a remark on standard error."""
    say(f"vaultd: {printable(text)}", err=True)


def complain(error: VaultdError) -> None:
    """Print what went wrong and what to do, on standard error."""
    remark(error.message)
    if error.hint:
        say(f"        {printable(error.hint)}", err=True)


def styled(text: str, *, colour: str | None = None, bold: bool = False) -> str:
    """Return text in colour, where colour is wanted (NO_COLOR, TERM=dumb)."""
    text = printable(text)
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return click.style(text, fg=colour, bold=bold or None)


def is_live(stream: TextIO) -> bool:
    """Whether a line on it can be written over: a terminal that knows how."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"
