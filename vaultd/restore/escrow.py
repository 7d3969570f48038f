"""The podmin's recovery key: accounts enrolled by policy, before their users claimed a kit.

An escrow object lies in the vault itself: a sealed box to the podmin's recovery key with the
account's recovery secret, so that the storage and the podmin's paper are enough.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vaultd.errors import DamageError, UsageError, WrongKeyError
from vaultd.keys import Secrets
from vaultd.vault.escrow import MAX_ESCROW, open_secret
from vaultd.vault.listing import open_vault, vault_ids
from vaultd.vault.place import Place


@dataclass(slots=True)
class Escrows:
    """What the key opened, by diaspora ID; and the names of objects that hold nothing usable."""

    secrets: dict[str, Secrets] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)


def escrows(place: Place, podmin: Secrets) -> Escrows:
    """Open every escrow in a place that is sealed to the podmin's recovery key.

    Those of other podmins are passed over (a sealed box does not tell damage from another key).
    """
    found = Escrows()
    for vault_id in vault_ids(place):
        for name in open_vault(place, vault_id, headers=False).escrows:
            try:
                escrow = open_secret(place.read(name, 0, MAX_ESCROW), podmin)
                found.secrets[escrow.account] = Secrets.from_secret(escrow.secret)
            except WrongKeyError:
                continue
            except (DamageError, ValueError):
                found.damaged.append(name)
    return found


def secrets_for(place: Place, podmin: Secrets, account: str | None) -> Secrets:
    """Return the account's own secrets through the podmin's recovery key.

    `account` is a user name or diaspora ID. Raises WrongKeyError when the key opens no escrow
    here, UsageError when the account is not among them or none was named.
    """
    opened = escrows(place, podmin)
    found = opened.secrets
    if not found and opened.damaged:
        raise DamageError(
            f"The podmin's recovery key opens {len(opened.damaged)} escrow objects here, and none "
            f"holds a secret ({opened.damaged[0]}).",
            hint="Try another target, or the users' own kits.",
        )
    if not found:
        raise WrongKeyError(
            "There is no vault of this kit here, and the kit is not the podmin's recovery key of "
            "any vault here either.",
            hint="The words are valid, but belong to another vault or another place.",
        )
    for handle, secrets in found.items():
        if account is not None and account in (handle, handle.partition("@")[0]):
            return secrets
    known = ", ".join(sorted(found)[:10])
    raise UsageError(
        f"This podmin recovery key opens {len(found)} accounts here ({known}"
        f"{', …' if len(found) > 10 else ''}).",
        hint="Say which with --account USER.",
    )
