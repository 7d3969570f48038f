"""The vault of one account: by its user's own words, or by the podmin's recovery words.

The podmin's words may open several vaults of an account (the state was lost and everybody enrolled
anew), and whoever knows the public half of the recovery key can put forged ones beside them. So
only what the pod signed counts, and of several vaults the one with the newest sound point.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from vaultd.errors import (
    DamageError,
    ForgeryError,
    NoVaultError,
    ObjectMissing,
    UsageError,
    VaultdError,
    WrongKeyError,
)
from vaultd.keys import Secrets, fingerprint
from vaultd.restore.opening.escrow import Escrowed, escrows
from vaultd.restore.opening.nothing_here import nothing_here
from vaultd.restore.snapshot import Point, Vault, is_number, moment_of, open_with_kit
from vaultd.vault.integrity import check_archive
from vaultd.vault.layout import vault_of
from vaultd.vault.listing import Problem, describe
from vaultd.vault.place import Place

_SHOWN: Final = 10


def open_account(
    place: Place,
    secrets: Secrets,
    pods: Collection[bytes],
    where: str = "this place",
    *,
    account: str | None = None,
    when: str | None = None,
    vault_id: str | None = None,
) -> Vault:
    """Open the vault that these secrets are for, or that they open as the podmin's recovery key.

    `pods` are the pod keys to trust; without any, all that is found must be signed by one key, and
    the vault's remarks say which. `where` names the place in messages. `account` (user name or
    diaspora* ID) says whose vault is meant; `when` is what will be asked of `Vault.at`; `vault_id`
    takes that one of several vaults.

    Raises UsageError (no such account, or the kit is somebody else's), WrongKeyError,
    ForgeryError, DamageError, PlaceError.
    """
    own: Vault | None = None
    refused: VaultdError | None = None
    try:
        own = open_with_kit(place, secrets, pods)
    except (NoVaultError, ForgeryError) as error:
        refused = error
    if own is not None and account is None:
        _must_be_vault(own, vault_id)
        return _told(own)
    opened = escrows(place, secrets)
    if not opened.found:
        if own is not None and account is not None:
            return _told(_must_be_of(own, account))
        if opened.problems:
            raise DamageError(
                f"Nothing that is sealed to this key here can be used: "
                f"{opened.problems[0].sentence}",
                hint="Try another target, or the users' own kits.",
            )
        if isinstance(refused, ForgeryError):
            raise refused
        if not opened.vaults:
            raise nothing_here(place, where)
        raise NoVaultError(
            f"There is no vault of this kit in {where}, and the kit is not the podmin's "
            "recovery key of any vault here either.",
            hint="The words are valid, but belong to another vault or another place.",
        )
    chosen = [e for e in opened.found.values() if account is not None and e.named(account)]
    if vault_id is not None:
        chosen = [e for e in chosen if e.vault_id == vault_id]
    if account is None or not chosen:
        raise _say_which(opened.found.values(), account, vault_id)
    candidates = _Candidates(place, pods, own)
    for each in chosen:
        candidates.add(each)
    vault = candidates.newest(account, when)
    elsewhere: list[Problem] = []
    for problem in opened.problems:
        its = vault_of(problem.object) == vault.listing.vault_id
        (vault.problems if its else elsewhere).append(problem)
    if elsewhere:
        more = f" ({len(elsewhere) - 1} more are unusable.)" if len(elsewhere) > 1 else ""
        vault.remarks.append(elsewhere[0].sentence + more)
    return _told(vault)


def _must_be_of(vault: Vault, account: str) -> Vault:
    names = sorted({point.manifest.account for point in vault.points})
    if any(account not in (name, name.partition("@")[0]) for name in names):
        raise UsageError(
            f"This is the kit of {' and '.join(names)}, not of {account[:80]!r}.",
            hint="Leave --account out, or take the kit of that account.",
        )
    return vault


def _must_be_vault(vault: Vault, vault_id: str | None) -> None:
    if vault_id is not None and vault_id != vault.listing.vault_id:
        raise UsageError(
            f"This kit opens the vault {vault.listing.vault_id}, not {vault_id[:80]!r}.",
            hint="Leave --vault out.",
        )


def _say_which(
    found: Collection[Escrowed], account: str | None, vault_id: str | None
) -> UsageError:
    if account is not None and vault_id is not None:
        return UsageError(
            f"The podmin's recovery key opens no vault {vault_id[:80]!r} of that account here.",
            hint="`vaultd archives` with --account says which vaults there are.",
        )
    accounts = sorted({each.account for each in found})
    known = ", ".join(accounts[:_SHOWN]) + (", …" if len(accounts) > _SHOWN else "")
    count = "one account" if len(accounts) == 1 else f"{len(accounts)} accounts"
    if account is not None:
        return UsageError(
            f"The podmin's recovery key opens no vault of {account[:80]!r} here; it opens {count} "
            f"({known}).",
            hint="Users with a kit of their own open their vaults themselves.",
        )
    return UsageError(
        f"This is the podmin's recovery key, and it opens {count} here ({known}).",
        hint="Say which with --account USER.",
    )


def _told(vault: Vault) -> Vault:
    """Say in the remarks of a vault whose pod key nobody vouched for."""
    if not vault.pinned:
        names = " and ".join(sorted(fingerprint(pod) for pod in vault.pods))
        vault.remarks.append(
            f"No pod key was given, so nothing shows that your pod wrote this vault: it is signed "
            f"by {names}. Compare that with the pod's key if you have it written down somewhere, "
            "or say it with --pod-key."
        )
    return vault


class _Candidates:
    """The vaults that may be an account's; problems are of those that are not."""

    def __init__(self, place: Place, pods: Collection[bytes], own: Vault | None) -> None:
        self._place = place
        self._pods = pods
        self._vaults: list[Vault] = []
        self._empty: list[str] = []
        self._problems: list[Problem] = []
        # Nothing of the pod's lies in the folder of the recovery key itself.
        self._signers = own.pods if own is not None else frozenset()

    def add(self, escrowed: Escrowed) -> None:
        """Open one vault. Raises PlaceError."""
        try:
            vault = open_with_kit(self._place, escrowed.secrets, self._pods)
            if not vault.points:
                raise DamageError(
                    f"No archive of the vault {escrowed.vault_id} can be opened: "
                    f"{vault.problems[0].sentence}"
                )
            _same_account(vault, escrowed)
        except NoVaultError:
            self._empty.append(escrowed.vault_id)  # enrolled, and no run has come to it yet
        except (DamageError, WrongKeyError, ObjectMissing) as error:
            self._problems.append(describe(error, escrowed.vault_id))
        else:
            self._vaults.append(vault)

    def newest(self, account: str, when: str | None) -> Vault:
        """Return the vault with the newest sound point; what else there is goes into its remarks.

        Raises ForgeryError when nothing says whom to believe, DamageError when none is usable.
        """
        if not self._pods:
            self._one_signer()
        if not self._vaults:
            self._nothing(account)
        if len(self._vaults) == 1:
            (vault,) = self._vaults
        else:
            vault = self._choose(account, when)
        vault.problems += self._problems
        return vault

    def _one_signer(self) -> None:
        signers = self._signers.union(*(vault.pods for vault in self._vaults))
        if len(signers) > 1:
            names = " and ".join(sorted(fingerprint(pod) for pod in signers))
            raise ForgeryError(
                f"The vaults that these words open for this account are signed by more than one "
                f"pod key ({names}), and nothing says which is your pod's: somebody may have "
                "forged one.",
                hint="Say the key that you wrote down beside the words with --pod-key pod1….",
            )

    def _nothing(self, account: str) -> None:
        problem = next((p for p in self._problems if p.code == ForgeryError.code), None)
        if problem is not None:
            raise ForgeryError(problem.sentence)
        if self._problems:
            raise DamageError(self._problems[0].sentence, hint="Try another target.")
        raise NoVaultError(
            f"{account[:80]!r} is enrolled, but the vault {self._empty[0]} holds no archive yet.",
            hint="Try another target, or an older copy of this place.",
        )

    def _choose(self, account: str, when: str | None) -> Vault:
        found: list[tuple[datetime, Vault, Point]] = []
        for vault in self._vaults:
            point = _newest_sound(vault, when)
            if point is not None:
                found.append((moment_of(point), vault, point))
        if not found:
            raise DamageError(
                f"{account[:80]!r} has {len(self._vaults)} vaults here, and none has a sound point"
                f"{' like that' if when is not None else ''}.",
                hint="Say --vault ID to restore what is left of one: "
                + ", ".join(vault.listing.vault_id for vault in self._vaults),
            )
        if is_number(when) and len(found) > 1:
            raise UsageError(
                f"{account[:80]!r} has {len(found)} vaults here with an archive {when}.",
                hint="Say which with --vault ID: "
                + ", ".join(vault.listing.vault_id for _, vault, _ in found),
            )
        found.sort(key=lambda each: each[0])
        _, vault, point = found[-1]
        vault.chosen = point
        newest = {v.listing.vault_id: p for _, v, p in found}
        others = ", ".join(_of_other(v, newest) for v in self._vaults if v is not vault)
        vault.remarks.append(
            f"{account[:80]} has {len(self._vaults)} vaults here, as after a lost state. Taken is "
            f"the newest sound point, {point.manifest.time} in the vault "
            f"{vault.listing.vault_id}; --vault ID takes another: {others}."
        )
        return vault


def _of_other(vault: Vault, newest: dict[str, Point]) -> str:
    point = newest.get(vault.listing.vault_id)
    return f"{vault.listing.vault_id} ({point.manifest.time if point else 'nothing sound'})"


def _same_account(vault: Vault, escrowed: Escrowed) -> None:
    """Raise ForgeryError when the pod signed somebody else's account than the escrow says."""
    username = escrowed.account.partition("@")[0]
    for point in vault.points:
        manifest = point.manifest
        if manifest.username != username or manifest.guid != escrowed.guid:
            raise ForgeryError(
                f"The vault {escrowed.vault_id} is said to be that of {escrowed.account[:80]}, but "
                f"{point.entry.name} is an archive of {manifest.account[:80]}: the sealed secret "
                "in it is forged."
            )


def _newest_sound(vault: Vault, when: str | None) -> Point | None:
    """Return the newest whole point (as `when` asks) whose every byte is as it was signed."""
    sound: dict[str, bool] = {}
    sizes = {entry.name: entry.size for entry in vault.listing.entries}
    for point in reversed(vault.candidates(when)):
        names = [point.entry.name, *(ref.name for ref in point.manifest.archives)]
        if all(_is_sound(vault, name, sizes.get(name), sound) for name in names):
            return point
    return None


def _is_sound(vault: Vault, name: str, size: int | None, sound: dict[str, bool]) -> bool:
    if name not in sound:
        sound[name] = size is not None
        try:
            if size is not None and check_archive(vault.place, name, size).pod not in vault.pods:
                sound[name] = False
        except (DamageError, ObjectMissing) as error:
            sound[name] = False
            vault.problems.append(describe(error, name))
    return sound[name]
