"""Dropbox's content hash, on what its documentation and its algorithm say."""

from __future__ import annotations

import hashlib
import random

import pytest

from tests.backends.servers.dropbox_account import content_hash as reference
from vaultd.backends.dropbox.content_hash import BLOCK, ContentHash, content_hash

# Hashes of the three blocks, and of the whole, of the documentation's picture of the Milky Way.
MILKY_WAY = [
    "2a846fa617c3361fc117e1c5c1e1838c336b6a5cef982c1a2d9bdf68f2f1992a",
    "c68469027410ea393eba6551b9fa1e26db775f00eae70a0c3c129a0011a39cf9",
    "7376192de020925ce6c5ef5a8a0405e931b0a9a8c75517aacd9ca24a8a56818b",
]
WHOLE = "485291fa0ee50c016982abbfa943957bcd231aae0492ccbaa22c58e3997b35e0"


def test_the_documented_example_is_what_we_compute_from_its_blocks() -> None:
    joined = b"".join(bytes.fromhex(block) for block in MILKY_WAY)
    assert hashlib.sha256(joined).hexdigest() == WHOLE


def test_no_bytes_have_no_block() -> None:
    assert content_hash(b"") == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 5])
def test_the_hash_does_not_depend_on_the_pieces(size: int) -> None:
    content = random.Random(size).randbytes(size)
    expected = reference(content)
    assert content_hash(content) == expected
    for step in (size, 1_000_003, BLOCK, 3 * BLOCK):
        found = ContentHash()
        for at in range(0, size, step):
            found.update(content[at : at + step])
            found.hexdigest()  # asking changes nothing
        assert found.hexdigest() == expected
