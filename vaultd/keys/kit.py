"""The kit: one sheet a person keeps, reads aloud, and types back."""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vaultd.errors import UsageError, WrongKeyError
from vaultd.keys.derive import Secrets
from vaultd.keys.words import COUNT, from_words, to_words

_MAX_KIT: Final = 64 * 1024
_NUMBERED: Final = re.compile(r"\b(\d{1,2})\s*[.):]\s*([^\W\d_]+)")
_FIELD: Final = re.compile(r"^\s*(account|place|pod key|check)\s*:\s*(\S.*?)\s*$", re.I | re.M)


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
    """Return the kit as text for a file or a printer."""
    words = to_words(kit.secret)
    secrets = Secrets.from_secret(kit.secret)
    rows = [
        "    " + "".join(f"{n + 1:>2}. {words[n]:<12}" for n in range(start, start + 4)).rstrip()
        for start in range(0, COUNT, 4)
    ]
    about = [f"Account: {kit.account}"] if kit.account else []
    about += [f"Place:   {place}" for place in kit.places]
    about += [f"Pod key: {pod_key}" for pod_key in kit.pod_keys]
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
    numbered: dict[int, str] = {}
    for number, word in _NUMBERED.findall(text):
        numbered.setdefault(int(number), word)
    if all(n in numbered for n in range(1, COUNT + 1)):
        secret = from_words(" ".join(numbered[n] for n in range(1, COUNT + 1)))
    else:
        secret = from_words(text)
    fields: dict[str, list[str]] = {"account": [], "place": [], "pod key": [], "check": []}
    for key, value in _FIELD.findall(text):
        fields[key.lower()].append(value)
    check = "".join(fields["check"][:1]).replace(" ", "").lower()
    own = Secrets.from_secret(secret).check.hex()
    if check and not hmac.compare_digest(check.encode(), own.encode()):
        raise WrongKeyError(
            "The words do not fit the check value on the same sheet.",
            hint="A word was changed, or words and check value come from two kits.",
        )
    return Kit(
        secret,
        tuple(fields["pod key"]),
        tuple(fields["place"]),
        "".join(fields["account"][:1]),
        check,
    )


def write(path: Path, kit: Kit) -> None:
    """Write a new kit file with mode 0600; never replaces one. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise UsageError(
            f"{path} exists already, and a kit is never overwritten.",
            hint="Choose another name.",
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(render(kit))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> Kit:
    """Read a kit file. Raises UsageError when it cannot be read, WrongKeyError when it is wrong."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_KIT + 1)
    except OSError as error:
        raise UsageError(f"The kit {path} cannot be read ({error.strerror}).") from error
    return parse(data.decode("utf-8", "replace"))
