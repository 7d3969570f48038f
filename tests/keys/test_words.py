"""The twelve words: BIP39's own English vectors, tolerant reading, named mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from vaultd.errors import UsageError, WrongKeyError
from vaultd.keys import from_words, generate_secret, to_words

OFFICIAL = {
    "00" * 16: "abandon " * 11 + "about",
    "7f" * 16: "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "80" * 16: "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    "ff" * 16: "zoo " * 11 + "wrong",
    "9e885d952ad362caeb4efe34a8e91bd2": "ozone drill grab fiber curtain grace pudding thank cruise elder eight picnic",
    "c0ba5a8e914111210f2bd131f3d5e08d": "scheme spot photo card baby mountain device kick cradle pact join borrow",
    "23db8160a31d3e0dca3688ed941adbf3": "cat swing flag economy stadium alone churn speed unique patch report train",
    "f30f8c1da665478f49b001d94c5fc452": "vessel ladder alter error federal sibling chat ability sun glass valve picture",
}
LEGAL = OFFICIAL["7f" * 16]
SECRETS = st.binary(min_size=16, max_size=16)


@pytest.mark.parametrize(("secret", "words"), OFFICIAL.items())
def test_the_official_vectors_hold_both_ways(secret: str, words: str) -> None:
    assert to_words(bytes.fromhex(secret)) == words.split()
    assert from_words(words) == bytes.fromhex(secret)


@pytest.mark.parametrize(
    "typed",
    [
        LEGAL.upper(),
        LEGAL.title().replace(" ", ",  "),
        "\n".join(LEGAL.split()),
        "\r\n".join(f"{n}. {w}" for n, w in enumerate(LEGAL.split(), 1)),
        " ".join(f"{n}) {w};" for n, w in enumerate(LEGAL.split(), 1)),
        " ".join(word[:4] for word in LEGAL.split()),
        " ".join(word[:5] for word in LEGAL.split()),
        f"\ufeff  {LEGAL}\u00a0\n\n",
        "".join(chr(ord(c) + 0xFEE0) if c != " " else "\u3000" for c in LEGAL),
    ],
)
def test_case_numbers_commas_breaks_and_short_forms_do_not_matter(typed: str) -> None:
    assert from_words(typed) == b"\x7f" * 16


def test_a_word_that_does_not_exist_is_named_with_its_place_and_a_suggestion() -> None:
    with pytest.raises(WrongKeyError, match=r"Word 3, 'thenk'.*did you mean 'then' or 'thank'"):
        from_words(LEGAL.replace("thank", "thenk", 1))


def test_a_word_nothing_resembles_is_named_without_a_suggestion() -> None:
    with pytest.raises(
        WrongKeyError, match=r"Word 1, 'qqqqqqqqqqqqqqqqqqqq', is not in the word list\."
    ):
        from_words("q" * 500 + " " + LEGAL)


def test_a_long_word_is_not_taken_for_the_one_it_begins_with() -> None:
    with pytest.raises(WrongKeyError, match="Word 1, 'legally'.*'legal'"):
        from_words(LEGAL.replace("legal", "legally", 1))


@pytest.mark.parametrize("count", [0, 1, 11, 13, 24])
def test_another_number_of_words_is_said(count: int) -> None:
    with pytest.raises(WrongKeyError, match=f"{count} came in"):
        from_words("zoo " * count)


@pytest.mark.parametrize(
    "typed",
    [
        "abandon " * 12,
        LEGAL.replace("legal winner", "winner legal", 1),
    ],
)
def test_words_that_exist_but_do_not_fit_together_are_a_checksum_error(typed: str) -> None:
    with pytest.raises(WrongKeyError, match="one of them is wrong, or two changed places"):
        from_words(typed)


def test_every_word_of_the_list_is_known_by_its_first_four_letters() -> None:
    words = Mnemonic("english").wordlist
    assert len({word[:4] for word in words}) == len(words) == 2048


def test_fresh_secrets_have_16_bytes_and_differ() -> None:
    made = {generate_secret() for _ in range(100)}
    assert len(made) == 100 and {len(secret) for secret in made} == {16}


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_secret_of_another_size_has_no_words(size: int) -> None:
    with pytest.raises(UsageError, match="16 bytes"):
        to_words(bytes(size))


@given(SECRETS)
def test_words_lead_back_to_the_secret(secret: bytes) -> None:
    assert from_words(" ".join(to_words(secret))) == secret


@given(st.text(max_size=400))
def test_any_text_gives_a_secret_or_a_wrong_key_error(text: str) -> None:
    try:
        assert len(from_words(text)) == 16
    except WrongKeyError as error:
        assert 10 < len(str(error)) < 300


@given(st.lists(st.sampled_from(Mnemonic("english").wordlist), min_size=12, max_size=12))
def test_any_twelve_words_of_the_list_give_themselves_back_or_a_checksum_error(
    words: list[str],
) -> None:
    try:
        secret = from_words(" ".join(words))
    except WrongKeyError as error:
        assert "together they are not a kit" in str(error)
    else:
        assert to_words(secret) == words


def test_endless_text_is_refused_before_it_is_looked_at() -> None:
    with pytest.raises(WrongKeyError, match="far too long"):
        from_words("zoo " * 100_000)
