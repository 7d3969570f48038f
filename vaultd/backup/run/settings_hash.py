"""The kind of a backup: what besides the source decides what is stored, and where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import vaultd

if TYPE_CHECKING:
    from vaultd.config import Config


def settings_hash(config: Config, targets: Iterable[str]) -> bytes:
    """Return 8 bytes that differ when the same account would be stored otherwise."""
    what = config.backup
    places = sorted((name, _url(config, name)) for name in targets)
    text = repr((places, what.photos, what.photo_bytes, vaultd.__version__))
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _url(config: Config, name: str) -> str:
    target = config.targets.get(name)
    return "" if target is None else target.url
