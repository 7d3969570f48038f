"""TLS: whom a place's connections trust, and what it means when a certificate is not accepted."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

from vaultd.errors import PlaceClosed, PlaceError

# OpenSSL's X509_V_ERR_* numbers, see x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _WRONG_HOST, _WRONG_ADDRESS = 9, 10, 62, 64
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})


def trust(ca_file: Path | str | None) -> ssl.SSLContext:
    """Return a context that trusts this file's authorities, or the machine's where there is none.

    Raises PlaceError for a file that cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:  # ssl.SSLError is one
        raise PlaceError(
            f"The certificate authority's file {ca_file} cannot be used "
            f"({error.strerror or 'not PEM'}).",
            hint="It holds one or more certificates as PEM text; correct `ca_file`.",
        ) from error


def is_unknown_issuer(error: ssl.SSLCertVerificationError) -> bool:
    """Tell whether the certificate was signed by nobody this machine trusts."""
    return error.verify_code in _UNKNOWN_ISSUER


def certificate_refused(error: ssl.SSLCertVerificationError, where: str) -> PlaceClosed:
    """Return the error for a certificate that was not accepted, by the reason OpenSSL gives."""
    code = error.verify_code
    if code == _EXPIRED:
        return PlaceClosed(
            f"The certificate of {where} has expired.",
            hint="Its owner must renew it (and is this machine's clock right?).",
        )
    if code == _NOT_YET_VALID:
        return PlaceClosed(
            f"The certificate of {where} is not valid yet.", hint="Is this machine's clock right?"
        )
    if code in (_WRONG_HOST, _WRONG_ADDRESS):
        return wrong_host(where)
    if is_unknown_issuer(error):
        return PlaceClosed(
            f"The certificate of {where} is signed by nobody this machine trusts.",
            hint="If it is your own authority, name its certificate as `ca_file`.",
        )
    return PlaceClosed(f"The certificate of {where} is not accepted (OpenSSL says {code}).")


def wrong_host(where: str) -> PlaceClosed:
    """Return the error for a certificate of another host."""
    return PlaceClosed(
        f"The certificate of {where} is for another host name.",
        hint="Use the name that is in the certificate.",
    )


def tls_failed(error: ssl.SSLError, where: str) -> PlaceClosed:
    """Return the error for a handshake that came to nothing."""
    return PlaceClosed(
        f"{where} does not speak TLS as vaultd does ({error.reason or 'TLS error'}).",
        hint="Is it https, and is this the right port?",
    )
