"""Derivation and recipients: frozen values, refusals, and nothing secret in a repr."""

from __future__ import annotations

import dataclasses

import nacl.public
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.errors import UsageError
from vaultd.keys import Recipient, Secrets, bech32m

# Computed once on 2026-11-23; a change here orphans every vault ever written.
FROZEN = [
    (
        "00" * 16,
        "2cfe39a716b5728b55337f1fa5eebd0eab8721899f3c3f101a6b6bcb6f1c7f44",
        "3a635ecbd4a80d58e88bfc8cbf2b779409866f351d925089b716eddfa627d200",
        "a4e6c7e7a9529001",
        "d25015347ad7740e2eb5be9fab792d04",
        "vault12qd0kv4875anjgv9e5qw9agh5ery94dqte0hjkeurstae42q850qw05pq823qglcttz86ehd7ea7vdse5rr6jrqrz6vgz2nwefg0xnsr57a0q",
    ),
    (
        "000102030405060708090a0b0c0d0e0f",
        "f8d8be7233e439b4a2701f1c924cb737a2f932c5cefe9798490160a81d46fbe4",
        "2dbcd0d89128e3acf37bb8409a259ad24079712f94093a559043587d76422e91",
        "6552e0c8d3dc3b4b",
        "8df36888423106647e6f9f403a6a73f7",
        "vault1k4n4rnqwt8fl0hftd9njmyvdtsjxwwpk0xe4ad436velfp9gadxaylj63akp05qqr7suymcphdmvydve326mkjm845g5vzg0dpme6xszggd84",
    ),
    (
        "ff" * 16,
        "dcc2268bc2653140ad36eb963fa0b3b466ab5301193da963bd2e4eb91587faa0",
        "fb9a9b4f4a851b411ca381c87c8861ecb19ddf5d4c6199aa7da4a747988c0e63",
        "3e83c1281903afa5",
        "6323fb028fa83a3ce5fb69204433b413",
        "vault1q742vez8pgst3r6fhy7405k5fns5wf9ckw3vklvtvyvamffu09w94g75q2rqyg7xpqnzywgpam4z025sgd3l8n7cajc3ncg22apmrfgfse8qq",
    ),
]
SECRETS = st.binary(min_size=16, max_size=16)
ZERO = Secrets.from_secret(bytes(16)).recipient


@pytest.mark.parametrize(("secret", "box", "sign", "check", "vault_id", "recipient"), FROZEN)
def test_a_secret_always_gives_the_same_keys(
    secret: str, box: str, sign: str, check: str, vault_id: str, recipient: str
) -> None:
    found = Secrets.from_secret(bytes.fromhex(secret))
    assert bytes(found.box).hex() == box
    assert bytes(found.sign).hex() == sign
    assert found.check.hex() == check
    assert found.recipient.vault_id == vault_id
    assert str(found.recipient) == recipient
    assert Recipient.parse(recipient) == found.recipient


@given(SECRETS)
def test_a_recipient_reads_back_from_its_text_and_opens_what_is_sealed_to_it(secret: bytes) -> None:
    found = Secrets.from_secret(secret)
    again = Recipient.parse(str(found.recipient))
    assert again == found.recipient
    sealed = nacl.public.SealedBox(nacl.public.PublicKey(again.box)).encrypt(b"file key")
    assert nacl.public.SealedBox(found.box).decrypt(sealed) == b"file key"
    found.sign.verify_key.verify(found.sign.sign(b"mine"))
    assert bytes(found.sign.verify_key) == again.sign


@given(SECRETS, SECRETS)
def test_two_secrets_share_nothing(one: bytes, other: bytes) -> None:
    if one == other:
        return
    a, b = Secrets.from_secret(one), Secrets.from_secret(other)
    assert a.check != b.check
    assert a.recipient.vault_id != b.recipient.vault_id
    assert len({bytes(a.box), bytes(a.sign), bytes(b.box), bytes(b.sign)}) == 4


def test_a_recipient_may_be_shouted_or_broken_over_lines() -> None:
    text = str(ZERO)
    assert Recipient.parse(text.upper()) == ZERO
    assert Recipient.parse(f"  {text[:40]}\r\n   {text[40:80]} {text[80:]}\n") == ZERO


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (str(ZERO).replace("12qd0", "12qd9"), "checksum"),
        (str(ZERO)[:-1], "checksum"),
        ("", "incomplete"),
        ("vault1b", "incomplete"),
        (bech32m.encode("pod", bytes(32)), "'pod' string of 32 bytes, not a recipient"),
        (bech32m.encode("vault", bytes(63)), "of 63 bytes"),
        (bech32m.encode("age", bytes(64)), "'age' string"),
        (bech32m.encode("vault", bytes(64)), "no kit can have"),
        (bech32m.encode("vault", bytes(32) + ZERO.sign), "no kit can have"),
        (bech32m.encode("vault", b"\x01" + bytes(31) + ZERO.sign), "no kit can have"),
        (bech32m.encode("vault", ZERO.box + bytes(32)), "no kit can have"),
    ],
)
def test_what_is_not_a_recipient_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        Recipient.parse(text)
    assert "vaultd recipient --kit KIT" in str(caught.value)


@given(st.text(max_size=200) | st.binary(max_size=80).map(lambda b: bech32m.encode("vault", b)))
def test_any_text_is_a_recipient_or_a_usage_error(text: str) -> None:
    try:
        found = Recipient.parse(text)
    except UsageError as error:
        assert len(str(error)) < 300
    else:
        assert str(found) == "".join(text.split()).lower()


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_secret_of_another_size_gives_no_keys(size: int) -> None:
    with pytest.raises(UsageError, match="16 bytes"):
        Secrets.from_secret(bytes(size))


def test_secrets_do_not_show_in_a_repr() -> None:
    found = Secrets.from_secret(bytes(range(16)))
    shown = f"{found!r} {found}"
    for hidden in (bytes(found.box), bytes(found.sign)):
        assert repr(hidden) not in shown and hidden.hex() not in shown
    assert "box=PrivateKey" not in shown and "SigningKey" not in shown


def test_secrets_and_recipients_cannot_be_changed() -> None:
    found = Secrets.from_secret(bytes(16))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.check = b""
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.recipient.box = b""
