"""The kit: one sheet a person keeps, reads aloud, and types back."""

from __future__ import annotations

import codecs
import hmac
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vaultd.errors import UsageError, WrongKeyError
from vaultd.keys.derive import Secrets
from vaultd.keys.pod import parse_pod_key
from vaultd.keys.secret_file import write_new
from vaultd.keys.words import COUNT, from_words, to_words

_MAX_KIT: Final = 64 * 1024
_CHECK_LENGTH: Final = 16
_FIELD: Final = re.compile(r"(account|place|pod ?key|check|vault|recipient)\s*:(.*)", re.I)
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+")
_POD_KEY: Final = re.compile(r"pod1[a-z0-9]{20,}", re.I)
_LOOKALIKES: Final = str.maketrans("oil", "011")


@dataclass(frozen=True, slots=True)
class Kit:
    """The recovery secret (16 bytes), and where to look: trusted pod keys (`pod1…`), places
    (URLs), the account's diaspora ID; `check` as it was written on the sheet."""

    secret: bytes = field(repr=False)
    pod_keys: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    account: str = ""
    check: str = ""


def render(kit: Kit) -> str:
    """Return the kit as text for a file or a printer.

    Raises UsageError for a pod key that is none, or a field that would not fit on one line.
    """
    for text in (kit.account, *kit.places):
        if not text.isprintable() or text != text.strip():
            raise UsageError(f"{text!r} cannot be printed on one line of a kit.")
    for pod_key in kit.pod_keys:
        parse_pod_key(pod_key)
    words = to_words(kit.secret)
    secrets = Secrets.from_secret(kit.secret)
    rows = [
        "    " + "".join(f"{n + 1:>2}. {words[n]:<12}" for n in range(start, start + 4)).rstrip()
        for start in range(0, COUNT, 4)
    ]
    about = [f"Account: {kit.account}"] if kit.account else []
    about += [f"Place:   {place}" for place in kit.places]
    about += [f"Pod key: {pod_key}" for pod_key in kit.pod_keys]
    if not kit.pod_keys:
        about.append(
            "This sheet names no pod key. Ask your podmin for it (pod1…), and add it here."
        )
    return "\n".join(
        [
            "VAULTD RECOVERY KIT",
            "",
            "Whoever has these twelve words can read your backup and move your account.",
            "Keep this sheet where you keep your passport. Nobody can replace it.",
            "",
            *rows,
            "",
            f"Check:   {secrets.check.hex(' ', 2)}",
            *about,
            f"Vault:   {secrets.recipient.vault_id}",
            f"Recipient: {secrets.recipient}",
            "",
            "When your pod is gone:",
            "  1. Install vaultd on any computer, or ask the podmin of your new pod.",
            "  2. Run: vaultd restore --kit - --from PLACE --out my-account --format diaspora",
            "     and type the twelve words.",
            "  3. Hand the two files it writes to your new pod, or open them yourself with",
            "     --format html.",
            "",
        ]
    )


def parse(text: str) -> Kit:
    """Read a kit file, or just twelve words typed somehow.

    Raises WrongKeyError when the words are wrong or do not fit the check value on the sheet.
    """
    if len(text) > _MAX_KIT:
        raise WrongKeyError("This is far too long for a kit.")
    fields: defaultdict[str, list[str]] = defaultdict(list)
    words: dict[int, str] = {}
    free: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if match := _FIELD.fullmatch(line):
            if value := match[2].strip():
                fields[match[1].lower().replace(" ", "")].append(value)
            continue
        if _POD_KEY.fullmatch(line):  # added by hand
            fields["podkey"].append(line)
            continue
        free.append(line)
        for number, word in _numbered(line).items():
            words.setdefault(number, word)
    secret = from_words(_in_order(words) if 2 * len(words) >= COUNT else " ".join(free))
    check = _read_check(fields["check"])
    if check and not hmac.compare_digest(check, Secrets.from_secret(secret).check.hex()):
        raise WrongKeyError(
            "The words do not fit the check value on the same sheet.",
            hint="A word was changed, or words and check value come from two kits.",
        )
    return Kit(
        secret,
        tuple(fields["podkey"]),
        tuple(fields["place"]),
        "".join(fields["account"][:1]),
        check,
    )


def _numbered(line: str) -> dict[int, str]:
    """Return the words of a line that has nothing but numbers and a word behind each.

    So neither the three steps nor a date or a URL on the sheet is ever taken for words.
    """
    tokens = _TOKEN.findall(line)
    numbers, words = tokens[0::2], tokens[1::2]
    if len(numbers) != len(words) or not all(n.isdecimal() and len(n) <= 2 for n in numbers):
        return {}
    if any(word.isdecimal() for word in words):
        return {}
    pairs = {int(number): word for number, word in zip(numbers, words, strict=True)}
    return {number: word for number, word in pairs.items() if 1 <= number <= COUNT}


def _in_order(words: dict[int, str]) -> str:
    for number in range(1, COUNT + 1):
        if number not in words:
            raise WrongKeyError(
                f"Word {number} of the kit is missing.", hint="A kit has twelve numbered words."
            )
    return " ".join(words[number] for number in range(1, COUNT + 1))


def _read_check(written: list[str]) -> str:
    """Return the check value as 16 hex characters ("" if there is none), however it was typed."""
    if not written:
        return ""
    check = "".join(c for c in written[0].lower() if c.isalnum()).translate(_LOOKALIKES)
    if len(check) != _CHECK_LENGTH or not all(c in "0123456789abcdef" for c in check):
        raise WrongKeyError(
            f"The check value on the sheet is not {_CHECK_LENGTH} characters of 0-9 and a-f.",
            hint="Compare that line with the kit, or leave it out; the words are what matters.",
        )
    return check


def write(path: Path, kit: Kit) -> None:
    """Write a new kit file with mode 0600; never replaces one. Raises UsageError."""
    text = render(kit)
    try:
        write_new(path, text)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists already, and a kit is never overwritten.",
            hint="Choose another name.",
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).") from error


def read(path: Path) -> Kit:
    """Read a kit file. Raises UsageError when it cannot be read, WrongKeyError when it is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_KIT + 1)
    except OSError as error:
        raise UsageError(f"The kit {path} cannot be read ({error.strerror}).") from error
    # Windows editors save text as UTF-16, and say so in the first two bytes.
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return parse(data.decode("utf-16" if wide else "utf-8-sig", "replace"))
