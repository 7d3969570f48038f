"""Hostile kits, words, recipients, pod keys, configs: a typed error or a valid value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.mutations import examples, hostile, peak, typed
from vaultd import config
from vaultd.keys import Kit, PodKey, Recipient, Secrets, from_words, kit, parse_pod_key, to_words

MIB = 2**20
SECRET = b"sixteen bytes..."
POD_KEY = PodKey(b"a seed that has thirty-two bytes")
SHEET = kit.render(
    Kit(SECRET, (POD_KEY.fingerprint,), ("s3://bucket/x", "file:///srv/v"), "ada@pod.example")
).encode()
WORDS = " ".join(to_words(SECRET)).encode()
RECIPIENT = str(Secrets.from_secret(SECRET).recipient).encode()
CONFIG = config.DEFAULT_TEXT.encode()
TOML = b"""a = 1e400
b = 0x%s
c = 1979-05-27T07:32:00.999999999-07:00
d = [[{x = {y = inf}}], [nan]]
[pod]
url = \"\"\"https://a
b\"\"\"
targets.main.url = '\xf0\x9f\x98\x80'
[[targets]]
"pod"."x y".z = true
""" % (b"f" * 40)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


@given(hostile(SHEET, SHEET.decode().encode("utf-16"), WORDS))
@examples(300)
def test_any_kit_file_is_a_kit_or_a_typed_error(data: bytes) -> None:
    path = Path(f"/dev/shm/vaultd-fuzz-{os.getpid()}")
    path = path if path.parent.is_dir() else Path(f"/tmp/{path.name}")
    path.write_bytes(data)
    try:
        found = typed(kit.read, path)
        if found is not None:
            assert len(found.secret) == 16
    finally:
        path.unlink()
    typed(kit.parse, _text(data))


@given(hostile(WORDS, SHEET))
@examples(300)
def test_any_words_are_a_secret_or_a_typed_error(data: bytes) -> None:
    found = typed(from_words, _text(data))
    assert found is None or from_words(" ".join(to_words(found))) == found


@given(hostile(RECIPIENT, RECIPIENT.upper(), POD_KEY.fingerprint.encode()))
@examples(400)
def test_any_recipient_and_pod_key_is_one_or_a_typed_error(data: bytes) -> None:
    found = typed(Recipient.parse, _text(data))
    assert found is None or Recipient.parse(str(found)) == found
    typed(parse_pod_key, _text(data))


@given(hostile(b"ab" * 32 + b"\n", RECIPIENT))
@settings(examples(200), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_pod_key_file_is_a_key_or_a_typed_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pod.key"
    path.write_bytes(data)
    typed(PodKey.load, path)


@given(hostile(CONFIG, TOML))
@settings(examples(400), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_config_is_one_or_a_typed_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    typed(config.load, path, {})
    typed(config.load, path, {"VAULTD_LIMITS_BATCH_ACCOUNTS": _text(data)})


@pytest.mark.parametrize(
    "data",
    [
        b"a = " + b"9" * 5000,
        CONFIG.replace(b"50", b"5" * 5000),
        b"a = " + b"[" * 50_000,
        b"a = 0x" + b"f" * 100_000,
        b"a" + b".a" * 500 + b" = 1",
        b"a = 1979-13-45",
        b"a = 1979-05-27T25:61:61",
        b"a = 07:32:00.9999999999999",
        b'[a]\n[a]\nx = "\\uD800"',
    ],
    ids=lambda data: data[:12].decode(),
)
def test_odd_toml_is_a_typed_error_in_bounded_memory(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    assert peak(lambda: config.load(path, {})) < 60 * MIB


def test_long_texts_take_bounded_memory() -> None:
    for data in (WORDS * 20_000, b"abandon " * 9000, b"1. a " * 13_000, b"vault1" + b"q" * 10**6):
        for parse in (kit.parse, from_words, Recipient.parse, parse_pod_key):
            assert peak(lambda parse=parse, data=data: parse(data.decode())) < 60 * MIB  # type: ignore[misc]
