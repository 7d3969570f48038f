"""The podmin's words: no forged account, and of several vaults the newest sound point."""

from __future__ import annotations

import io

import msgspec
import pytest

from tests.vault import small_vault as small
from vaultd.errors import DamageError, ForgeryError, UsageError, WrongKeyError
from vaultd.keys import PodKey, Secrets
from vaultd.restore.opening.account_vault import open_account
from vaultd.restore.snapshot import Snapshot, Vault
from vaultd.vault.escrow import escrow_name, seal_secret
from vaultd.vault.writer import ArchiveWriter

PODMIN = Secrets.from_secret(b"the podmin's key")
POD = small.POD_KEY
PINNED = (POD.public,)
FORGER = PodKey(b"a forgers pod key, also 32 byte.")
GUID = "0123456789abcdef0123456789abcdef"
OLD, NEW, EVIL = b"the first secret", b"the second secre", b"a forger's words"


def escrow(
    objects: small.Objects,
    secret: bytes,
    account: str = "ada@pod.example",
    guid: str = GUID,
    folder: str = "",
) -> str:
    sealed = seal_secret(PODMIN.recipient, account, guid, secret)
    name = escrow_name(folder or Secrets.from_secret(secret).recipient.vault_id, sealed)
    objects.data[name] = sealed
    return name


def archive(
    objects: small.Objects,
    secret: bytes,
    time: str,
    *,
    pod: PodKey = POD,
    sequence: int = 1,
    username: str = "ada",
    guid: str = GUID,
) -> str:
    """Put an archive that stands alone; its one post is the time."""
    writer = ArchiveWriter(
        io.BytesIO(),
        Secrets.from_secret(secret).recipient,
        pod,
        sequence=sequence,
        previous=None,
        needs=(),
    )
    writer.add(*small.post("p1", time))
    packed = writer.finish(
        msgspec.structs.replace(
            small.manifest(sequence, (), {"post": 1}),
            time=time,
            account=f"{username}@pod.example",
            username=username,
            guid=guid,
        )
    )
    objects.data[packed.name] = packed.open().read()
    return packed.name


def flip(objects: small.Objects, name: str) -> None:
    data = bytearray(objects.data[name])
    data[-80] ^= 1
    objects.data[name] = bytes(data)


def restored(vault: Vault, when: str | None = None) -> str:
    snapshot = Snapshot(vault, vault.at(when))
    (record,) = snapshot.records()
    assert snapshot.damage == []
    data = (record.body or {})["entity_data"]
    assert isinstance(data, dict)
    return str(data["text"])


def honest() -> small.Objects:
    objects = small.Objects()
    escrow(objects, OLD)
    archive(objects, OLD, "2026-11-02T03:00:00Z")
    return objects


def test_a_user_name_or_a_diaspora_id_opens_the_vault_through_the_podmins_words() -> None:
    for account in ("ada", "ada@pod.example"):
        vault = open_account(honest(), PODMIN, PINNED, account=account)
        assert restored(vault) == "2026-11-02T03:00:00Z"
        assert vault.remarks == []
        assert vault.problems == []


def test_an_escrow_in_the_folder_of_another_vault_is_refused_by_name() -> None:
    objects = honest()
    name = escrow(objects, EVIL, folder=Secrets.from_secret(OLD).recipient.vault_id)
    archive(objects, EVIL, "2026-12-24T03:00:00Z", pod=FORGER)
    vault = open_account(objects, PODMIN, PINNED, account="ada")
    assert restored(vault) == "2026-11-02T03:00:00Z"
    assert [(p.code, p.object) for p in vault.problems] == [("forged", name)]


def test_a_forged_vault_is_refused_where_the_sheet_names_the_pod_key() -> None:
    objects = honest()
    escrow(objects, EVIL)
    archive(objects, EVIL, "2026-12-24T03:00:00Z", pod=FORGER)
    vault = open_account(objects, PODMIN, PINNED, account="ada")
    assert restored(vault) == "2026-11-02T03:00:00Z"
    (problem,) = vault.problems
    assert problem.code == "forged"
    assert "--pod-key" in problem.sentence


def test_without_a_pod_key_two_signers_are_refused_and_one_is_told() -> None:
    objects = honest()
    vault = open_account(objects, PODMIN, (), account="ada")
    assert POD.fingerprint in vault.remarks[0]
    assert not vault.pinned
    escrow(objects, EVIL)
    archive(objects, EVIL, "2026-12-24T03:00:00Z", pod=FORGER)
    with pytest.raises(ForgeryError, match="--pod-key") as raised:
        open_account(objects, PODMIN, (), account="ada")
    assert POD.fingerprint in str(raised.value)
    assert FORGER.fingerprint in str(raised.value)


def test_a_vault_forged_in_the_podmins_own_folder_does_not_stand_before_the_accounts() -> None:
    objects = honest()
    archive(objects, b"the podmin's key", "2026-12-24T03:00:00Z", pod=FORGER)
    assert restored(open_account(objects, PODMIN, PINNED, account="ada")) == "2026-11-02T03:00:00Z"
    with pytest.raises(ForgeryError):
        open_account(objects, PODMIN, (), account="ada")


def test_a_user_cannot_have_their_own_vault_taken_for_somebody_elses() -> None:
    objects = small.Objects()
    escrow(objects, EVIL, account="ada@pod.example", guid="f" * 32)
    archive(objects, EVIL, "2026-12-24T03:00:00Z", username="mallory", guid="f" * 32)
    with pytest.raises(ForgeryError, match="mallory"):
        open_account(objects, PODMIN, PINNED, account="ada")


def test_of_two_vaults_of_an_account_the_newest_point_is_taken_and_both_are_told() -> None:
    for older, newer in ((OLD, NEW), (NEW, OLD)):
        objects = small.Objects()
        for secret, time in ((older, "2026-11-02T03:00:00Z"), (newer, "2026-11-09T03:00:00Z")):
            escrow(objects, secret)
            archive(objects, secret, time)
        vault = open_account(objects, PODMIN, PINNED, account="ada")
        assert restored(vault) == "2026-11-09T03:00:00Z"
        (remark,) = vault.remarks
        other = Secrets.from_secret(older).recipient.vault_id
        assert "2026-11-09T03:00:00Z" in remark
        assert other in remark
        chosen = open_account(objects, PODMIN, PINNED, account="ada", vault_id=other)
        assert restored(chosen) == "2026-11-02T03:00:00Z"
        past = open_account(objects, PODMIN, PINNED, account="ada", when="2026-11-05")
        assert restored(past, "2026-11-05") == "2026-11-02T03:00:00Z"


def test_a_damaged_newest_point_gives_way_to_the_newest_sound_one() -> None:
    objects = small.Objects()
    escrow(objects, OLD)
    archive(objects, OLD, "2026-11-02T03:00:00Z")
    escrow(objects, NEW)
    archive(objects, NEW, "2026-11-08T03:00:00Z")
    name = archive(objects, NEW, "2026-11-09T03:00:00Z", sequence=2)
    flip(objects, name)
    vault = open_account(objects, PODMIN, PINNED, account="ada")
    assert restored(vault) == "2026-11-08T03:00:00Z"
    assert [(p.code, p.object) for p in vault.problems] == [("damaged", name)]


def test_a_vault_without_any_archive_yet_does_not_hide_the_old_one() -> None:
    objects = honest()
    escrow(objects, NEW)
    assert restored(open_account(objects, PODMIN, PINNED, account="ada")) == "2026-11-02T03:00:00Z"


def test_unknown_accounts_and_foreign_words_are_told() -> None:
    with pytest.raises(UsageError, match="ada@pod.example"):
        open_account(honest(), PODMIN, PINNED, account="bob")
    with pytest.raises(UsageError, match="--account"):
        open_account(honest(), PODMIN, PINNED)
    with pytest.raises(WrongKeyError, match="no vault of this kit"):
        open_account(honest(), Secrets.from_secret(EVIL), PINNED, account="ada")
    objects = small.Objects()
    name = escrow(objects, EVIL, folder="0" * 32)
    with pytest.raises(DamageError, match=name):
        open_account(objects, PODMIN, PINNED, account="ada")


def test_a_users_kit_for_another_account_is_refused() -> None:
    objects = honest()
    user = Secrets.from_secret(OLD)
    assert restored(open_account(objects, user, PINNED)) == "2026-11-02T03:00:00Z"
    assert restored(open_account(objects, user, PINNED, account="ada")) == "2026-11-02T03:00:00Z"
    with pytest.raises(UsageError, match="kit of ada@pod.example"):
        open_account(objects, user, PINNED, account="bob")
