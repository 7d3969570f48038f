"""The podmin's recovery key: accounts enrolled by policy, before their users claimed a kit.

An escrow object lies in the vault itself: a sealed box to the podmin's recovery key with the
account's recovery secret, so that the storage and the podmin's paper are enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import nacl.exceptions
import nacl.public

from vaultd.errors import UsageError, WrongKeyError
from vaultd.keys import Secrets
from vaultd.vault.listing import open_vault, vault_ids
from vaultd.vault.place import Place

_MAX_ESCROW = 4096


class Escrow(msgspec.Struct, frozen=True):
    """What an escrow object holds: the account's diaspora ID, guid and 16-byte secret."""

    version: int
    account: str
    guid: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Escrow(account={self.account!r})"


def escrows(place: Place, podmin: Secrets) -> Iterator[Escrow]:
    """Yield every escrow in a place that the podmin's recovery key opens."""
    opener = nacl.public.SealedBox(podmin.box)
    for vault_id in vault_ids(place):
        for name in open_vault(place, vault_id, headers=False).escrows:
            try:
                plain = opener.decrypt(place.read(name, 0, _MAX_ESCROW))
                yield msgspec.msgpack.decode(plain, type=Escrow)
            except (nacl.exceptions.CryptoError, ValueError, msgspec.MsgspecError):
                continue  # sealed to another podmin, or damaged: it opens nothing for us


def secrets_for(place: Place, podmin: Secrets, account: str | None) -> Secrets:
    """Return the account's own secrets through the podmin's recovery key.

    `account` is a user name or diaspora ID. Raises WrongKeyError when the key opens no escrow
    here, UsageError when the account is not among them or none was named.
    """
    found = {escrow.account: escrow for escrow in escrows(place, podmin)}
    if not found:
        raise WrongKeyError(
            "There is no vault of this kit here, and the kit is not the podmin's recovery key of "
            "any vault here either.",
            hint="The words are valid, but belong to another vault or another place.",
        )
    for handle, escrow in found.items():
        if account is not None and account in (handle, handle.partition("@")[0]):
            return Secrets.from_secret(escrow.secret)
    known = ", ".join(sorted(found)[:10])
    raise UsageError(
        f"This podmin recovery key opens {len(found)} accounts here ({known}"
        f"{', …' if len(found) > 10 else ''}).",
        hint="Say which with --account USER.",
    )
