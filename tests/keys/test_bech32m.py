"""Bech32m against the test strings of BIP 350, and round trips of our own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.keys import bech32m

HUMAN_PARTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("text", "human", "data"),
    [
        ("A1LQFN3A", "a", ""),
        ("a1lqfn3a", "a", ""),
        ("?1v759aa", "?", ""),
        (
            "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
            "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1",
            "",
        ),
        (
            "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
            "abcdef",
            "ffbbcdeb38bdab49ca307b9ac5a928398a418820",
        ),
        (
            "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
            "split",
            "c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d",
        ),
    ],
)
def test_valid_strings_of_bip350_decode_and_come_out_the_same(
    text: str, human: str, data: str
) -> None:
    assert bech32m.decode(text) == (human, bytes.fromhex(data))
    assert bech32m.encode(human, bytes.fromhex(data)) == text.lower()


def test_a_valid_checksum_over_data_that_is_no_whole_number_of_bytes_is_refused_for_that() -> None:
    with pytest.raises(ValueError, match="middle of a byte"):
        bech32m.decode("11" + "l" * 82 + "ludsr8")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\x201xj0phk", "never occur"),
        ("\x7f1g6xzxy", "never occur"),
        ("\x801vctc34", "never occur"),
        ("qyrz8wqd2c9m", "incomplete"),
        ("1qyrz8wqd2c9m", "incomplete"),
        ("16plkw9", "incomplete"),
        ("1p2gdwpf", "incomplete"),
        ("in1muywd", "incomplete"),
        ("y1b0jsk6g", "'b' never occurs"),
        ("lt1igcx5c0", "'i' never occurs"),
        ("mm1crxm3i", "'i' never occurs"),
        ("au1s5cgom", "'o' never occurs"),
        ("M1VUXWEZ", "checksum"),
        ("a1lqfN3A", "mixes upper and lower"),
        ("A1LQFN3\u212a", "never occur"),
        ("", "incomplete"),
        ("a1" + "q" * 2000, "far too long"),
    ],
)
def test_invalid_strings_are_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        bech32m.decode(text)


def test_the_checksum_of_bech32_before_bip350_is_refused() -> None:
    with pytest.raises(ValueError, match="checksum"):
        bech32m.decode("A12UEL5L")


@given(HUMAN_PARTS, st.binary(max_size=100))
def test_what_is_encoded_decodes(human: str, data: bytes) -> None:
    human = human.lower()
    assert bech32m.decode(bech32m.encode(human, data)) == (human, data)
    assert bech32m.decode(bech32m.encode(human, data).upper()) == (human, data)


@given(st.binary(min_size=64, max_size=64), st.data())
def test_any_one_wrong_character_is_found(data: bytes, draw: st.DataObject) -> None:
    text = bech32m.encode("vault", data)
    position = draw.draw(st.integers(0, len(text) - 1))
    other = draw.draw(st.characters(min_codepoint=33, max_codepoint=126))
    if other.lower() == text[position]:
        return
    with pytest.raises(ValueError):
        bech32m.decode(text[:position] + other + text[position + 1 :])


@given(st.text())
def test_any_text_decodes_or_raises_value_error(text: str) -> None:
    try:
        human, data = bech32m.decode(text)
    except ValueError:
        return
    assert bech32m.encode(human, data) == text.lower()
