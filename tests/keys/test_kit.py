"""The kit: written once for its owner, read back however a person typed it."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.errors import UsageError, WrongKeyError
from vaultd.keys import Kit, PodKey, Secrets, kit, to_words

SECRET = bytes(range(16))
POD = PodKey(bytes(range(32))).fingerprint
FULL = Kit(SECRET, (POD,), ("file:///srv/vaults",), "ada@pod.example", "6552e0c8d3dc3b4b")
SHEET = """\
VAULTD RECOVERY KIT

Whoever has these twelve words can read your backup and move your account.
Keep this sheet where you keep your passport. Nobody can replace it.

     1. abandon      2. amount       3. liar         4. amount
     5. expire       6. adjust       7. cage         8. candy
     9. arch        10. gather      11. drum        12. buyer

Check:   6552 e0c8 d3dc 3b4b
Account: ada@pod.example
Place:   file:///srv/vaults
Pod key: pod1qwss00lnecgtu8tsm5vwwj7qn9n7f43snwjs6hcamjrxgyj4xxuqpvh8wx
Vault:   8df36888423106647e6f9f403a6a73f7
Recipient: vault1k4n4rnqwt8fl0hftd9njmyvdtsjxwwpk0xe4ad436velfp9gadxaylj63akp05qqr7suymcphdmvydve326mkjm845g5vzg0dpme6xszggd84

When your pod is gone:
  1. Install vaultd on any computer, or ask the podmin of your new pod.
  2. Run: vaultd restore --kit - --from PLACE --out my-account --format diaspora
     and type the twelve words.
  3. Hand the two files it writes to your new pod, or open them yourself with
     --format html.
"""
WORDS = "abandon amount liar amount expire adjust cage candy arch gather drum buyer"


def test_the_sheet_is_this_text_and_reads_back() -> None:
    assert kit.render(FULL) == SHEET
    assert kit.parse(SHEET) == FULL


def test_a_kit_without_places_pods_or_account_reads_back() -> None:
    bare = kit.parse(kit.render(Kit(SECRET)))
    assert bare == Kit(SECRET, check="6552e0c8d3dc3b4b")


@pytest.mark.parametrize(
    "typed",
    [
        WORDS,
        WORDS.upper() + "\n",
        WORDS.replace(" ", "\n"),
        " ".join(word[:4] for word in WORDS.split()),
        "1 abandon 2 amount 3 liar 4 amount 5 expire 6 adjust\n7 cage 8 candy 9 arch 10 gather 11 drum 12 buyer",
        "1)Abandon 2)Amount 3)Liar 4)Amount\n5)Expire 6)Adjust 7)Cage 8)Candy\n9)Arch 10)Gather 11)Drum 12)Buyer",
        "1: abandon, 2: amount, 3: liar, 4: amount, 5: expire, 6: adjust, 7: cage, 8: candy, 9: arch, 10: gather, 11: drum, 12: buyer",
    ],
)
def test_bare_words_are_a_kit(typed: str) -> None:
    assert kit.parse(typed) == Kit(SECRET)


def test_words_read_down_the_columns_come_into_order_by_their_numbers() -> None:
    columns = "1. abandon 5. expire 9. arch\n2. amount 6. adjust 10. gather\n"
    columns += "3. liar 7. cage 11. drum\n4. amount 8. candy 12. buyer"
    assert kit.parse(columns).secret == SECRET


def test_a_sheet_typed_by_hand_in_a_hurry_is_read() -> None:
    typed = """\
    Ada's kit, found 23 November, box 4

    1 aban  2 AMOUNT  3-liar  4 amount
    5.expire 6.adjust 7.cage 8.candy,
    9) arch 10)gath 11)drum
    12) Buyer
    CHECK : 6552-EOC8 d3dc3b4b
    pod  key: unreadable
    Podkey:POD1QWSS00LNECGTU8TSM5VWWJ7QN9N7F43SNWJS6HCAMJRXGYJ4XXUQPVH8WX
    place: file:///srv/vaults
    Place:https://dav.example/a%20b/12.example:8443/
    """
    read = kit.parse(typed)
    assert read.secret == SECRET
    assert read.check == "6552e0c8d3dc3b4b"
    assert read.pod_keys == (POD.upper(),)
    assert read.places == ("file:///srv/vaults", "https://dav.example/a%20b/12.example:8443/")


def test_words_typed_without_numbers_keep_their_check_line() -> None:
    assert kit.parse(f"{WORDS}\ncheck: 6552e0c8d3dc3b4b").check == "6552e0c8d3dc3b4b"
    with pytest.raises(WrongKeyError, match="do not fit the check value"):
        kit.parse(f"{WORDS}\ncheck: 6552e0c8d3dc3b4c")


def test_fields_before_the_words_do_not_disturb_them() -> None:
    lines = SHEET.splitlines()
    turned = "\n".join([*lines[9:15], "Place: ftp://5.example/12.other", *lines[5:8], *lines[16:]])
    assert kit.parse(turned).secret == SECRET


@pytest.mark.parametrize("break_", ["\r\n", "\r", "\n\n"])
def test_other_line_breaks_do_not_matter(break_: str) -> None:
    assert kit.parse(SHEET.replace("\n", break_)) == FULL


def test_words_of_another_kit_do_not_fit_the_check_value() -> None:
    other = to_words(b"another kit 1234")
    sheet = SHEET
    for number, word in enumerate(WORDS.split(), 1):
        sheet = sheet.replace(f"{number}. {word} ", f"{number}. {other[number - 1]} ", 1)
        sheet = sheet.replace(f"{number}. {word}\n", f"{number}. {other[number - 1]}\n", 1)
    with pytest.raises(WrongKeyError) as caught:
        kit.parse(sheet)
    assert str(caught.value) == (
        "The words do not fit the check value on the same sheet. A word was changed, or words and "
        "check value come from two kits."
    )


@pytest.mark.parametrize("check", ["6552", "6552 e0c8 d3dc 3b4b 00", "6552 e0c8 d3dc 3bxx", "–"])
def test_a_check_value_that_is_none_is_said_so(check: str) -> None:
    with pytest.raises(WrongKeyError, match="check value on the sheet is not 16 characters"):
        kit.parse(SHEET.replace("6552 e0c8 d3dc 3b4b", check))


def test_an_empty_check_line_is_as_good_as_none() -> None:
    assert kit.parse(SHEET.replace("6552 e0c8 d3dc 3b4b", "")).check == ""


def test_a_missing_word_is_named_by_its_number() -> None:
    with pytest.raises(WrongKeyError, match=r"Word 7 of the kit is missing\."):
        kit.parse(SHEET.replace("7. cage", ""))


def test_a_wrong_word_is_named_by_its_number() -> None:
    with pytest.raises(WrongKeyError, match="Word 10, 'gahter'.*'gather'"):
        kit.parse(SHEET.replace("gather", "gahter"))


def test_a_kit_is_written_for_its_owner_only_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "kit.txt"
    mask = os.umask(0)
    try:
        kit.write(path, FULL)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text("utf-8") == SHEET
    assert kit.read(path) == FULL
    with pytest.raises(UsageError, match="exists already.*never overwritten"):
        kit.write(path, Kit(bytes(16)))
    assert kit.read(path) == FULL


def test_a_link_is_never_followed_when_a_kit_is_written(tmp_path: Path) -> None:
    (tmp_path / "kit.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="exists already"):
        kit.write(tmp_path / "kit.txt", FULL)
    assert not (tmp_path / "elsewhere").exists()


def test_a_full_disk_leaves_no_half_kit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UsageError, match="cannot be written .No space left on device"):
        kit.write(tmp_path / "kit.txt", FULL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_kit_saved_by_another_editor_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "kit.txt").write_text(SHEET.replace("\n", "\r\n"), encoding)
    assert kit.read(tmp_path / "kit.txt") == FULL


def test_a_kit_that_cannot_be_read_or_written_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read .No such file"):
        kit.read(tmp_path / "kit.txt")
    with pytest.raises(UsageError, match="cannot be read .Is a directory"):
        kit.read(tmp_path)
    with pytest.raises(UsageError, match="cannot be written .No such file"):
        kit.write(tmp_path / "nowhere" / "kit.txt", FULL)


@pytest.mark.parametrize(
    "wrong",
    [
        Kit(SECRET, ("pod1qqq",)),
        Kit(SECRET, (), ("file:///a\nPlace: file:///b",)),
        Kit(SECRET, (), (), "ada\u2028Check: 00"),
        Kit(SECRET, (), (" file:///a",)),
        Kit(bytes(15)),
    ],
)
def test_what_would_not_read_back_is_not_printed_and_leaves_no_file(
    tmp_path: Path, wrong: Kit
) -> None:
    with pytest.raises(UsageError):
        kit.write(tmp_path / "kit.txt", wrong)
    assert list(tmp_path.iterdir()) == []


def test_the_secret_does_not_show_in_a_repr() -> None:
    assert (
        repr(SECRET) not in repr(FULL)
        and "secret" not in repr(FULL)
        and "abandon" not in repr(FULL)
    )


@given(
    st.binary(min_size=16, max_size=16),
    st.lists(st.binary(min_size=32, max_size=32), max_size=3),
    st.lists(st.from_regex(r"[a-z]+://[!-~]{1,40}", fullmatch=True), max_size=3),
    st.from_regex(r"([a-z0-9_]{1,20}@[a-z0-9.:-]{1,30})?", fullmatch=True),
)
def test_every_kit_reads_back(
    secret: bytes, pods: list[bytes], places: list[str], account: str
) -> None:
    pod_keys = tuple(PodKey(seed).fingerprint for seed in pods)
    written = Kit(secret, pod_keys, tuple(places), account, Secrets.from_secret(secret).check.hex())
    assert kit.parse(kit.render(written)) == written


@given(st.text(max_size=500))
def test_any_text_is_a_kit_or_a_wrong_key_error(text: str) -> None:
    try:
        assert len(kit.parse(text).secret) == 16
    except WrongKeyError as error:
        assert 10 < len(str(error)) < 300


@given(st.data())
def test_a_sheet_with_a_piece_replaced_gives_the_secret_or_a_typed_error(
    data: st.DataObject,
) -> None:
    start = data.draw(st.integers(0, len(SHEET)))
    end = data.draw(st.integers(start, min(len(SHEET), start + 40)))
    piece = data.draw(st.text(max_size=10) | st.sampled_from(WORDS.split()))
    try:
        read = kit.parse(SHEET[:start] + piece + SHEET[end:])
    except WrongKeyError:
        return
    # A lost check line leaves 4 bits of BIP39 between a wrong word and a wrong secret.
    assert read.secret == SECRET or not read.check


@given(st.binary(max_size=400))
def test_any_file_is_a_kit_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "kit.txt"
    path.write_bytes(content)
    with pytest.raises((WrongKeyError, UsageError)):
        kit.read(path)


@pytest.mark.parametrize(
    "hostile",
    [
        "\n" * 65_000,
        " " * 65_000,
        "1 " * 32_000,
        "1a" * 32_000,
        "check" + " " * 65_000,
        "a " * 32_000,
    ],
)
def test_hostile_text_is_refused_quickly(hostile: str) -> None:
    started = time.monotonic()
    with pytest.raises(WrongKeyError):
        kit.parse(hostile)
    assert time.monotonic() - started < 2


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(WrongKeyError, match="far too long"):
        kit.read(Path("/dev/zero"))


def test_a_pod_key_added_by_hand_is_read_and_its_lack_is_told_on_the_sheet() -> None:
    bare = kit.render(Kit(SECRET))
    assert "names no pod key" in bare
    assert kit.parse(f"{bare}\n  {POD}\n").pod_keys == (POD,)
    assert kit.parse(f"{WORDS}\nPod key: {POD}\n").pod_keys == (POD,)
    assert kit.parse(f"{WORDS}\n{POD}\n").pod_keys == (POD,)
    assert "names no pod key" not in kit.render(FULL)
