"""A place without a vault where one was asked for: what was looked at, and what it may be."""

from __future__ import annotations

import re
from typing import Final

from vaultd.errors import NothingHere
from vaultd.vault.place import Place

_INSIDE: Final = re.compile(r"\d{10}-[0-9a-f]{64}|(blob|escrow)-[0-9a-f]{64}")
_DEEPER: Final = re.compile(r"(.+)/[0-9a-f]{32}/.+")


def nothing_here(place: Place, where: str) -> NothingHere:
    """Return the error for a place that holds no vault. Raises PlaceError."""
    looked, hint = 0, "Is this the right place, and is its disk mounted?"
    for item in place.list():
        looked += 1
        if _INSIDE.fullmatch(item.name):
            hint = "This is the inside of a vault: name the folder above it."
        elif deeper := _DEEPER.fullmatch(item.name):
            hint = f"There are vaults in its folder {deeper[1][:80]}: name that one."
    what = (
        f"none of the {looked:,} objects in it belongs to a vault"
        if looked
        else "nothing in it was stored by vaultd"
    )
    return NothingHere(f"There is no vault in {where}: {what}.", hint=hint)
