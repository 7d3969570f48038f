"""What happens when somebody tampers with a vault or mistypes a word: the real messages."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vaultd.backends.opening import open_place
from vaultd.errors import DamageError, VaultdError
from vaultd.keys import kit, to_words
from vaultd.restore.verify import verify_place


@dataclass(frozen=True, slots=True)
class Shown:
    """One experiment: what was done, the message it gave, its exit code, whether it was found."""

    what: str
    message: str
    exit_code: int
    found: bool


def show_damage(place: Path, kit_path: Path, scratch: Path) -> list[Shown]:
    """Tamper with copies of the kit and of one vault; the originals stay as they are."""
    return [
        _wrong_word(kit_path),
        _tampered(place, scratch / "flipped", "a flipped bit", _flip),
        _tampered(place, scratch / "cut", "a truncated archive", _cut),
    ]


def _wrong_word(kit_path: Path) -> Shown:
    words = to_words(kit.read(kit_path).secret)
    words[4] = "zoo" if words[4] != "zoo" else "zebra"
    try:
        kit.parse(" ".join(words))
    except VaultdError as error:
        return Shown("a wrong word in the kit", error.message, error.exit_code, True)
    # One wrong word in sixteen keeps the checksum; then the vault is simply not there.
    return Shown("a wrong word in the kit", "the words are valid, but no such vault", 5, True)


def _tampered(place: Path, copy: Path, what: str, change: Callable[[bytes], bytes]) -> Shown:
    vault = sorted(p for p in place.iterdir() if p.is_dir())[0]
    shutil.copytree(vault, copy / vault.name)
    archive = sorted((copy / vault.name).glob("0*-*"))[-1]
    archive.write_bytes(change(archive.read_bytes()))
    problems = verify_place(open_place(copy.resolve().as_uri())).problems
    named = [p for p in problems if archive.name in p.sentence]
    message = named[0].sentence if named else "nothing was noticed!"
    message = message.replace(archive.name, archive.name[:16] + "…").replace(vault.name + "/", "")
    return Shown(what, message, DamageError.exit_code if named else 0, bool(named))


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]
