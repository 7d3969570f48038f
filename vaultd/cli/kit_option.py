"""`--kit`: a file, or `-` for twelve words from standard input or typed on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import click

from vaultd.errors import UsageError
from vaultd.keys import Kit, kit

_MAX_TYPED: Final = 64 * 1024
_HIDDEN: Final = "vaultd.hidden"
_F = TypeVar("_F", bound=Callable[..., object])


def kit_option(*, required: bool, help: str) -> Callable[[_F], _F]:
    """Return the options `--kit` and `--hidden`; a command gets `kit_source`."""

    def keep(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
        context.meta[_HIDDEN] = value

    hidden = click.option(
        "--hidden",
        is_flag=True,
        expose_value=False,
        callback=keep,
        help="With --kit -: do not show the words that are typed.",
    )
    named = click.option("--kit", "kit_source", required=required, metavar="KIT", help=help)

    def both(command: _F) -> _F:
        return named(hidden(command))

    return both


def read_kit(source: str) -> Kit:
    """Return the kit; raises UsageError (no such file) or WrongKeyError (words)."""
    if source != "-":
        return kit.read(Path(source))
    if sys.stdin.isatty():
        from vaultd.cli.word_prompt import ask_words

        context = click.get_current_context(silent=True)
        return kit.parse(ask_words(hidden=bool(context and context.meta.get(_HIDDEN))))
    text = sys.stdin.read(_MAX_TYPED)
    if not text.strip():
        raise UsageError("No words came in.", hint="Type or pipe the twelve words of the kit.")
    return kit.parse(text)
