"""The twelve words on a terminal: a real one, with a person's slips."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.cli.terminal import Terminal
from vaultd.keys import Secrets, to_words

SECRET = bytes(range(16))
WORDS = to_words(SECRET)
RECIPIENT = str(Secrets.from_secret(SECRET).recipient)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    found = Terminal("recipient", "--kit", "-")
    yield found
    found.close()


def test_one_a_line_numbered_and_shown(terminal: Terminal) -> None:
    for number, word in enumerate(WORDS, 1):
        terminal.say(f"Word {number}: ", word)
        if number == 1:
            terminal.await_text(word)
    assert terminal.result() == (0, RECIPIENT)


def test_several_a_line_with_numbers_capitals_and_four_letters(terminal: Terminal) -> None:
    terminal.say("Word 1: ", " ".join(f"{n}. {w.upper()}" for n, w in enumerate(WORDS[:5], 1)))
    terminal.say("Word 6: ", ", ".join(word[:4] for word in WORDS[5:]))
    assert terminal.result() == (0, RECIPIENT)


def test_a_wrong_word_is_found_at_once_and_the_last_can_be_taken_back(terminal: Terminal) -> None:
    terminal.say("Word 1: ", f"{WORDS[0]} abandno {WORDS[2]}")
    terminal.await_text("Word 2, 'abandno', is not in the word list; did you mean 'abandon'")
    terminal.say("Word 2: ", WORDS[5])
    terminal.say("Word 3: ", "")
    terminal.await_text("Word 2 is taken back.")
    terminal.say("Word 2: ", " ".join(WORDS[1:]))
    assert terminal.result() == (0, RECIPIENT)


def test_one_word_that_is_another_of_the_list_is_typed_again(terminal: Terminal) -> None:
    wrong = "zoo" if WORDS[6] != "zoo" else "zone"
    terminal.say("Word 1: ", " ".join([*WORDS[:6], wrong, *WORDS[7:]]))
    terminal.await_text(f" 7. {wrong}")
    terminal.say("gives up): ", "99")
    terminal.say("gives up): ", "7")
    terminal.say("Word 7: ", WORDS[6])
    assert terminal.result() == (0, RECIPIENT)


def test_giving_up_is_a_wrong_key(terminal: Terminal) -> None:
    terminal.say("Word 1: ", " ".join(["zoo"] * 12))
    terminal.say("gives up): ", "")
    assert terminal.result()[0] == 5


def test_ctrl_c_ends_quietly(terminal: Terminal) -> None:
    terminal.say("Word 1: ", WORDS[0])
    terminal.await_text("Word 2: ")
    # Python may miss a signal in the instant before it reads: a person presses again.
    for _ in range(10):
        os.write(terminal.near, b"\x03")
        with suppress(subprocess.TimeoutExpired):
            terminal.process.wait(3)
            break
    terminal.await_text("vaultd: stopped.")
    assert "Traceback" not in terminal.seen
    assert terminal.result()[0] == 130


def test_hidden_words_are_not_shown() -> None:
    hidden = Terminal("recipient", "--kit", "-", "--hidden")
    try:
        for number, word in enumerate(WORDS, 1):
            hidden.say(f"Word {number}: ", "nonsense" if number == 2 else word)
            if number == 2:
                hidden.await_text("Word 2 is not in the word list.")
                hidden.say("Word 2: ", word)
        assert hidden.result() == (0, RECIPIENT)
        assert not [word for word in (*WORDS, "nonsense") if word in hidden.seen]
    finally:
        hidden.close()
