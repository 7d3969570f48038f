"""The pod key: one file, mode 0600, made once."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nacl.exceptions
import nacl.signing
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultd.errors import ConfigError, UsageError
from vaultd.keys import PodKey, bech32m, fingerprint, parse_pod_key

COUNTING = PodKey(bytes(range(32)))


def test_a_seed_always_gives_the_same_key_fingerprint_and_signature() -> None:
    assert (
        COUNTING.public.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    )
    assert COUNTING.fingerprint == "pod1qwss00lnecgtu8tsm5vwwj7qn9n7f43snwjs6hcamjrxgyj4xxuqpvh8wx"
    assert COUNTING.sign(b"vaultd").hex() == (
        "5076c9c5c60a9ee412a21e19f372589825448133e2e99f693789f5eaf1d71d83"
        "0bbe479d1580ccc3e009aad4d68e4119390bd764962dbd5765efe305ff731804"
    )


def test_a_signature_is_good_for_its_message_only() -> None:
    key = nacl.signing.VerifyKey(COUNTING.public)
    key.verify(b"message", COUNTING.sign(b"message"))
    with pytest.raises(nacl.exceptions.BadSignatureError):
        key.verify(b"massage", COUNTING.sign(b"message"))


def test_a_new_key_is_written_for_its_owner_only_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pod.key"
    mask = os.umask(0)
    try:
        made = PodKey.load_or_create(path)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) == 65
    assert PodKey.load_or_create(path).public == PodKey.load(path).public == made.public
    assert [p.name for p in tmp_path.iterdir()] == ["pod.key"]


def test_many_at_once_end_with_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        made = pool.map(lambda _: PodKey.load_or_create(tmp_path / "pod.key").public, range(64))
    assert len(set(made)) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["pod.key"]


@pytest.mark.parametrize(
    "content", ["", "ab" * 31, "ab" * 33, "no hex at all", "é" * 64, "\0" * 64]
)
def test_a_file_that_is_no_key_is_never_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pod.key"
    path.write_text(content, "utf-8")
    with pytest.raises(ConfigError, match="not a pod key"):
        PodKey.load_or_create(path)
    assert path.read_text("utf-8") == content


def test_a_missing_key_is_named_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pod.key cannot be read.*vaultd init"):
        PodKey.load(tmp_path / "pod.key")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere/pod.key cannot be made"):
        PodKey.load_or_create(tmp_path / "nowhere" / "pod.key")


def test_the_seed_does_not_show_in_a_repr() -> None:
    assert repr(COUNTING) == f"PodKey({COUNTING.fingerprint})"


def test_a_key_that_lives_in_memory_only_is_new_each_time() -> None:
    assert PodKey.generate().public != PodKey.generate().public


@given(st.binary(min_size=32, max_size=32))
def test_a_fingerprint_reads_back(public: bytes) -> None:
    text = fingerprint(public)
    assert (
        parse_pod_key(text)
        == parse_pod_key(f" {text[:20]}\n{text[20:].upper().lower()} ")
        == public
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "incomplete"),
        (COUNTING.fingerprint[:-1] + "q", "checksum"),
        (bech32m.encode("vault", bytes(64)), "'vault' string of 64 bytes"),
        (bech32m.encode("pod", bytes(31)), "of 31 bytes"),
    ],
)
def test_what_is_not_a_pod_key_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_pod_key(text)


@given(st.text(max_size=200))
def test_any_text_is_a_pod_key_or_a_usage_error(text: str) -> None:
    try:
        assert len(parse_pod_key(text)) == 32
    except UsageError as error:
        assert len(str(error)) < 300
