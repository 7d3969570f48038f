from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vaultd.errors import DamageError
from vaultd.restore.output.paths import MAX_NAME_BYTES, inside

BASE = Path("/restore/here")


@pytest.mark.parametrize(
    "name",
    ["b1ff6eafdbb7bbf681cf.webp", "lucie.json.gz", "a b.png", "東京.png", "console.txt"],
)
def test_a_plain_name_lies_in_the_folder(name: str) -> None:
    assert inside(BASE, name) == BASE / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "..\\up",
        "C:stream",
        "C:\\x",
        "a\0b",
        "line\nbreak",
        "bell\x07",
        "x" * (MAX_NAME_BYTES + 1),
        "é" * (MAX_NAME_BYTES // 2 + 1),
        ".hidden",
        "-rf",
        "photo\u202egnp.exe",
        "zero\u200bwidth.png",
        "con",
        "CON.txt",
        "aux.tar.gz",
        "lpt1",
        "com¹.png",
        "nul .png",
        "dot.",
        "space ",
        " space",
        "half \ud800",
        "what?",
        "a*b",
    ],
)
def test_a_name_that_could_leave_the_folder_or_be_no_file_is_refused(name: str) -> None:
    with pytest.raises(DamageError):
        inside(BASE, name)


@given(st.text(max_size=300) | st.text(alphabet="./\\:~ \0acnoux", max_size=12))
@example("..")
@example("a/../../b")
def test_whatever_the_name_the_result_is_a_direct_child(name: str) -> None:
    try:
        path = inside(BASE, name)
    except DamageError:
        return
    assert path.parent == BASE
    assert path.name == name
    assert path.resolve().parent == BASE.resolve()
