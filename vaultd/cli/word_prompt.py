"""Typing the twelve words: one a line or more, each checked as it comes, the last taken back."""

from __future__ import annotations

import sys
import termios

import click

from vaultd.cli.output import say
from vaultd.errors import WrongKeyError
from vaultd.keys.words import COUNT, from_words, full_word, split_words

_HOW = (
    f"The {COUNT} words of the kit, one a line or several. Four letters of each are enough; Enter "
    "on an empty line takes the last word back."
)


def ask_words(*, hidden: bool) -> str:
    """Ask on the terminal until twelve words make a kit; `hidden` shows none of them.

    Raises WrongKeyError where somebody gives up, click.Abort at Ctrl-C.
    """
    say(_HOW, err=True)
    words: list[str] = []
    while True:
        try:
            _ask_missing(words, hidden=hidden)
        finally:
            # What was pasted beyond the words must not become commands of the shell.
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
        text = " ".join(words)
        try:
            from_words(text)
        except WrongKeyError as error:
            say(error.message, err=True)
            _replace_one(words, error, hidden=hidden)
        else:
            return text


def _ask_missing(words: list[str], *, hidden: bool) -> None:
    while len(words) < COUNT:
        line = _prompt(f"Word {len(words) + 1}", hidden=hidden)
        typed = split_words(line)
        if not typed and words:
            say(f"Word {len(words)} is taken back.", err=True)
            words.pop()
        for word in typed[: COUNT - len(words)]:
            try:
                words.append(full_word(word, len(words) + 1))
            except WrongKeyError as error:
                shown = (
                    f"Word {len(words) + 1} is not in the word list." if hidden else error.message
                )
                say(shown, err=True)
                break


def _replace_one(words: list[str], error: WrongKeyError, *, hidden: bool) -> None:
    if not hidden:
        for number, word in enumerate(words, 1):
            say(f"  {number:>2}. {word}", err=True)
    while True:
        text = _prompt("Number of the word to type again (Enter gives up)", hidden=False).strip()
        if not text:
            raise error
        if text.isdecimal() and 1 <= int(text[:3]) <= COUNT:
            break
    number = int(text[:3])
    while True:
        try:
            words[number - 1] = full_word(_prompt(f"Word {number}", hidden=hidden).strip(), number)
        except WrongKeyError as again:
            say(again.message if not hidden else "This is not in the word list.", err=True)
        else:
            return


def _prompt(text: str, *, hidden: bool) -> str:
    found: str = click.prompt(text, default="", show_default=False, hide_input=hidden, err=True)
    return found
