"""Enrolment: to a user's own kit, or by policy with the secret in escrow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.backup.test_run import Watched
from tests.backup.world import World
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.accounts.enroll import enroll, enroll_all, load_recovery
from vaultd.errors import (
    AccountError,
    ConfigError,
    DamageError,
    PlaceError,
    UsageError,
    WrongKeyError,
)
from vaultd.keys import Secrets
from vaultd.vault.escrow import escrow_name, open_secret, seal_secret

RECOVERY = Secrets.from_secret(b"the podmin's key")
USER = Secrets.from_secret(b"a user's own kit")


def test_enrolling_twice_is_the_same_as_once(world: World) -> None:
    world.source.add("bob")
    first = enroll(world.state, world.source, "bob", USER.recipient)
    assert enroll(world.state, world.source, "bob", USER.recipient) == first
    assert first.vault_id == USER.recipient.vault_id


def test_a_new_recipient_starts_a_fresh_vault(world: World) -> None:
    world.run()
    enroll(world.state, world.source, "alice", USER.recipient)
    world.secrets["alice"] = USER
    assert world.run().changed
    assert world.snapshot().sequence == 1
    assert world.restored() == world.alice.content()


def test_unknown_and_half_registered_accounts_cannot_be_enrolled(world: World) -> None:
    world.source.add("half", "incomplete")
    with pytest.raises(UsageError, match="no account 'nobody'"):
        enroll(world.state, world.source, "nobody", USER.recipient)
    with pytest.raises(AccountError, match="half-registered"):
        enroll(world.state, world.source, "half", USER.recipient)


def test_enrolling_all_seals_a_new_secret_for_each_account(world: World) -> None:
    bob = world.source.add("bob")
    bob.put("post", "p1", {"text": "bob's"})
    world.source.add("half", "incomplete")
    world.targets["second"] = second = MemoryBackend()
    report = enroll_all(world.state, world.source, world.targets, RECOVERY.recipient)
    assert [e.username for e in report.enrolled] == ["bob"]
    assert report.already == ["alice"]
    assert list(report.failed) == ["half"]
    (enrolled,) = report.enrolled
    assert enrolled.escrow is not None
    name = escrow_name(enrolled.vault_id, enrolled.escrow)
    assert world.memory.objects[name] == second.objects[name] == enrolled.escrow
    found = open_secret(world.memory.objects[name], RECOVERY)
    assert (found.account, found.guid) == (bob.account.handle, bob.account.guid)
    assert found.secret not in (world.folder / "state.sqlite3").read_bytes()
    world.secrets["bob"] = Secrets.from_secret(found.secret)
    world.run()
    assert world.restored("bob") == bob.content()
    assert "secret" not in repr(found)
    again = enroll_all(world.state, world.source, world.targets, RECOVERY.recipient)
    assert again.enrolled == []


def test_a_target_that_was_away_gets_the_sealed_secret_with_the_first_archive(world: World) -> None:
    world.source.add("bob")
    away = Watched()
    away.error = PlaceError("The place is away.")
    world.targets["away"] = away
    report = enroll_all(world.state, world.source, world.targets, RECOVERY.recipient)
    assert report.notes == ["away: The place is away."]
    assert [e.username for e in report.enrolled] == ["bob"]
    away.error = None
    world.run()
    assert any("/escrow-" in name for name in away.objects)


def test_nobody_is_enrolled_while_no_target_takes_the_sealed_secret(world: World) -> None:
    world.source.add("bob")
    away = Watched()
    away.error = PlaceError("The place is away.")
    report = enroll_all(world.state, world.source, {"main": away}, RECOVERY.recipient)
    assert "on no target" in report.failed["bob"]
    assert [e.username for e in world.state.enrollments()] == ["alice"]


def test_a_sealed_secret_opens_with_the_right_key_only() -> None:
    sealed = seal_secret(RECOVERY.recipient, "bob@pod.example", "guid", b"sixteen byte key")
    assert open_secret(sealed, RECOVERY).secret == b"sixteen byte key"
    with pytest.raises(WrongKeyError):
        open_secret(sealed, USER)
    with pytest.raises(WrongKeyError):
        open_secret(sealed[:-1], RECOVERY)
    import nacl.public

    junk = nacl.public.SealedBox(nacl.public.PublicKey(RECOVERY.recipient.box)).encrypt(b"junk")
    with pytest.raises(DamageError):
        open_secret(junk, RECOVERY)


def test_the_recovery_recipient_is_read_from_the_state_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="vaultd init"):
        load_recovery(tmp_path)
    (tmp_path / "recovery.recipient").write_text(f"{RECOVERY.recipient}\n")
    assert load_recovery(tmp_path) == RECOVERY.recipient
