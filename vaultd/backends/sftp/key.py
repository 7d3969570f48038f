"""The private key to log in with, in each form that ssh takes."""

from __future__ import annotations

import io
import re
from typing import Final

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from vaultd.errors import PlaceClosed, PlaceRefused

# RFC 5958 in the text form of RFC 7468, as `openssl genpkey` and hosters' consoles give it.
_PKCS8: Final = re.compile(r"-----BEGIN (ENCRYPTED )?PRIVATE KEY-----")
_KINDS: Final = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)
_TAKEN: Final = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


def private_key(text: str, passphrase: str | None, what: str) -> paramiko.PKey:
    """Return the key in `text`: OpenSSH's own form, PEM, or PKCS #8, opened with `passphrase`.

    `what` names it in messages. Raises PlaceRefused.
    """
    if found := _PKCS8.search(text):
        text = _in_openssh_form(text[found.start() :], passphrase, what)
        passphrase = None
    for kind in _KINDS:
        try:
            return kind.from_private_key(io.StringIO(text), passphrase)
        except paramiko.PasswordRequiredException:
            raise _locked(what) from None
        except (paramiko.SSHException, ValueError):
            continue
    raise PlaceClosed(
        f"{what} cannot be opened.",
        hint="It is an Ed25519, ECDSA or RSA key in OpenSSH, PEM or PKCS #8 form; is the "
        "passphrase right?",
    )


def _in_openssh_form(text: str, passphrase: str | None, what: str) -> str:
    """Return a PKCS #8 key as OpenSSH writes it; it never leaves the memory."""
    secret = passphrase.encode() if passphrase and "ENCRYPTED" in text.partition("\n")[0] else None
    try:
        key = load_pem_private_key(text.encode(), secret)
    except TypeError:
        raise _locked(what) from None
    except (ValueError, UnsupportedAlgorithm):
        raise PlaceClosed(
            f"{what} is a PKCS #8 key and cannot be opened.",
            hint="Is the passphrase right? `ssh-keygen -p -m PEM -f FILE` gives it another form.",
        ) from None
    if not isinstance(key, _TAKEN):
        raise PlaceClosed(
            f"{what} is a PKCS #8 key of a kind that SSH does not use.",
            hint="Have an Ed25519, ECDSA or RSA key.",
        )
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")


def _locked(what: str) -> PlaceRefused:
    return PlaceClosed(f"{what} is locked by a passphrase.", hint="Give it as `passphrase`.")
