"""The twelve words: BIP39 (English) for a 128-bit recovery secret, forgiving what people type."""

from __future__ import annotations

import os
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, Final

from vaultd.errors import UsageError, WrongKeyError

if TYPE_CHECKING:
    from mnemonic import Mnemonic

COUNT: Final = 12
_MAX_TEXT: Final = 64 * 1024
_SEPARATORS: Final = re.compile(r"[^a-z]+")


@cache
def _bip39() -> tuple[Mnemonic, frozenset[str], dict[str, str]]:
    from mnemonic import Mnemonic

    bip39 = Mnemonic("english")
    return bip39, frozenset(bip39.wordlist), {word[:4]: word for word in bip39.wordlist}


def generate_secret() -> bytes:
    """Return 16 fresh random bytes from the operating system."""
    return os.urandom(16)


def to_words(secret: bytes) -> list[str]:
    """Return the twelve words of a 16-byte secret; raises UsageError on another size."""
    if len(secret) != 16:
        raise UsageError(f"A recovery secret has 16 bytes, not {len(secret)}.")
    return _bip39()[0].to_mnemonic(secret).split(" ")


def split_words(text: str) -> list[str]:
    """Return the words in what somebody typed: in small letters, without numbers and commas."""
    if len(text) > _MAX_TEXT:
        raise WrongKeyError("This is far too long for twelve words.")
    return [w for w in _SEPARATORS.split(unicodedata.normalize("NFKD", text).lower()) if w]


def full_word(word: str, position: int) -> str:
    """Return the word of the list that somebody means; raises WrongKeyError naming it."""
    bip39, known, prefixes = _bip39()
    word = word.lower()
    full = word if word in known else prefixes.get(word[:4], "")
    if full and full.startswith(word):
        return full
    import difflib

    close = difflib.get_close_matches(word[:20], bip39.wordlist, 2, 0.6)
    raise WrongKeyError(
        f"Word {position}, {word[:20]!r}, is not in the word list"
        + (f"; did you mean {' or '.join(map(repr, close))}?" if close else "."),
        hint="Compare it with the kit letter by letter.",
    )


def from_words(text: str) -> bytes:
    """Return the 16-byte secret of twelve typed words.

    Case, numbering, commas and line breaks do not matter, and the first four letters of a word
    are enough. Raises WrongKeyError naming the word that is not in the list, the count, or the
    checksum.
    """
    bip39 = _bip39()[0]
    typed = split_words(text)
    words = [full_word(word, position) for position, word in enumerate(typed[: COUNT + 1], 1)]
    if len(typed) != COUNT:
        raise WrongKeyError(f"A kit has {COUNT} words; {len(typed)} came in.")
    if not bip39.check(" ".join(words)):
        raise WrongKeyError(
            "All twelve words exist, but together they are not a kit: one of them is wrong, or two "
            "changed places.",
            hint="Compare them with the kit in order.",
        )
    return bytes(bip39.to_entropy(words))
