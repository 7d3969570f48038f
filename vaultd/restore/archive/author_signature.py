"""Whether the signature of somebody's comment, like or vote fits, as diaspora* checks it."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from vaultd.records import Body, Json


def fits(data: Body, order: list[str], signature: str, public_key: str) -> bool | None:
    """Whether `signature` (base64) over the fields of `data` in `order` is by `public_key`.

    None when the key cannot be read, so that nothing can be said.
    """
    key = _key(public_key)
    if key is None:
        return None
    signed = ";".join(_text(data.get(name)) for name in order).encode("utf-8", "replace")
    try:
        key.verify(base64.b64decode(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):  # not base64, or not even ASCII
        return False
    return True


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


@lru_cache(maxsize=256)
def _key(pem: str) -> rsa.RSAPublicKey | None:
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None
