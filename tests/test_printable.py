"""Names of others are shown as text: they steer no terminal and turn no line around."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.daemon.logs import set_up_logging
from vaultd.printable import printable, printable_json, trace_without_values

STEERING = (
    "\x1b[31m",
    "\x9b2J",
    "\r",
    "\n",
    "\x07",
    "\u202e",
    "\u2066",
    "\u2028",
    "\ud800",
    "\ufeff",
)


@pytest.mark.parametrize("steering", STEERING)
def test_what_steers_is_spelt_out(steering: str) -> None:
    shown = printable(f"ada{steering}x")
    assert steering[0] not in shown
    assert shown.startswith("ada\\")
    assert printable(shown) == shown


def test_what_people_write_stays() -> None:
    for text in ("grüß dich 🌻", "مرحبا", "👩‍💻", "日本語", "a\u0301", "\\"):
        assert printable(text) == text


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text())))
def test_a_document_holds_the_same_and_nothing_that_steers(document: dict[str, object]) -> None:
    text = printable_json(json.dumps(document, ensure_ascii=False, indent=2))
    assert json.loads(text) == document
    assert all(printable(line) == line for line in text.split("\n"))


def test_a_trace_has_the_way_and_not_the_words() -> None:
    def inner() -> None:
        raise KeyError("a private message")

    try:
        try:
            inner()
        except KeyError as error:
            raise RuntimeError("of ada") from error
    except RuntimeError as error:
        trace = trace_without_values(error)
    assert "inner" in trace
    assert "KeyError" in trace
    assert "RuntimeError" in trace
    assert "a private message\n" not in trace
    assert "of ada\n" not in trace


@pytest.mark.parametrize("style", ["text", "json"])
def test_log_lines_are_one_line_each_and_their_traces_hold_no_values(
    style: str, capfd: pytest.CaptureFixture[str]
) -> None:
    set_up_logging("info", style)
    log = logging.getLogger("vaultd.test")
    log.warning("%s failed", "ada\x1b[2J\nINFO: all is well \u202e")
    try:
        raise ValueError("what \x1b[1m somebody wrote")
    except ValueError:
        log.exception("a bug")
    err = capfd.readouterr().err
    assert "\x1b" not in err
    assert "\u202e" not in err
    assert not any(each.startswith("INFO") for each in err.splitlines())
    assert "ValueError" in err
    assert "somebody wrote\n" not in err
