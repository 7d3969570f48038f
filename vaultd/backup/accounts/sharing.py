"""One recipient, one account: what is said where several accounts share a vault."""

from __future__ import annotations

from collections.abc import Sequence


def shared_sentence(usernames: Sequence[str]) -> str:
    """Say which accounts share a vault, and how they are parted."""
    names = f"{', '.join(usernames[:-1])} and {usernames[-1]}"
    return (
        f"{names} are enrolled with one recipient and share a vault, so nothing is deleted in it. "
        f"Make a second kit with `vaultd keygen --out FILE`, then `vaultd enroll {usernames[-1]} "
        "--recipient vault1…`; what both have in the shared vault stays restorable with its kit."
    )
