"""`--kit`: a file, or `-` for twelve words from standard input or typed without echo."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from vaultd.errors import UsageError
from vaultd.keys import Kit, kit

_MAX_TYPED = 64 * 1024


def read_kit(source: str) -> Kit:
    """Return the kit; raises UsageError (no such file) or WrongKeyError (words)."""
    if source != "-":
        return kit.read(Path(source))
    if sys.stdin.isatty():
        text = click.prompt("The twelve words of the kit", hide_input=True, err=True)
    else:
        text = sys.stdin.read(_MAX_TYPED)
    if not text.strip():
        raise UsageError("No words came in.", hint="Type or pipe the twelve words of the kit.")
    return kit.parse(text)
