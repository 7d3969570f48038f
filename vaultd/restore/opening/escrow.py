"""The podmin's recovery key: accounts enrolled by policy, before their users claimed a kit.

An escrow object lies in the vault itself: a sealed box to the podmin's recovery key with the
account's recovery secret, so that the storage and the podmin's paper are enough. Anybody who
knows the public half can seal one, so it proves nothing by itself: its secret must be that of the
vault it lies in, and who wrote that vault is told by the pod's signature.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from vaultd.errors import DamageError, ForgeryError, ObjectMissing, UsageError, WrongKeyError
from vaultd.keys import Secrets
from vaultd.vault.escrow import MAX_ESCROW, escrow_name, open_secret
from vaultd.vault.layout import vault_of
from vaultd.vault.listing import Problem, describe
from vaultd.vault.place import Place


@dataclass(frozen=True, slots=True)
class Escrowed:
    """The secrets of one vault, and whose it is said to be: diaspora* ID and person guid."""

    vault_id: str
    account: str
    guid: str
    secrets: Secrets = field(repr=False)

    def named(self, account: str) -> bool:
        """Whether this is said to be the vault of `account`, a user name or diaspora* ID."""
        return account in (self.account, self.account.partition("@")[0])


@dataclass(slots=True)
class Escrows:
    """What the key opened, by vault; and objects that hold nothing usable or are forged.

    `vaults` tells whether the place holds any vault at all.
    """

    vaults: bool = False
    found: dict[str, Escrowed] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def escrows(place: Place, podmin: Secrets) -> Escrows:
    """Open every escrow in a place that is sealed to the podmin's recovery key.

    Those of other podmins are passed over (a sealed box does not tell damage from another key).
    Raises PlaceError.
    """
    opened = Escrows()
    names = []
    for item in place.list():
        opened.vaults = opened.vaults or vault_of(item.name) is not None
        if "/escrow-" in item.name:
            names.append(item.name)
    for name in names:
        vault_id = vault_of(name)
        if vault_id is None:
            continue
        try:
            opened.found[vault_id] = _open(place, name, vault_id, podmin)
        except WrongKeyError:
            continue
        except (DamageError, ObjectMissing) as error:
            opened.problems.append(describe(error, name))
    return opened


def _open(place: Place, name: str, vault_id: str, podmin: Secrets) -> Escrowed:
    sealed = place.read(name, 0, MAX_ESCROW)
    escrow = open_secret(sealed, podmin)
    try:
        secrets = Secrets.from_secret(escrow.secret)
    except UsageError as error:
        raise DamageError(f"{name} holds a secret of an impossible size.") from error
    if not hmac.compare_digest(secrets.recipient.vault_id, vault_id):
        raise ForgeryError(
            f"{name} holds the secret of another vault than the one it lies in; it is forged and "
            "passed over."
        )
    if name != escrow_name(vault_id, sealed):
        raise DamageError(f"{name} is another sealed secret than its name promises.")
    return Escrowed(vault_id, escrow.account, escrow.guid, secrets)
