"""Failures on the way to an S3 place, as boto3 raises them, as PlaceErrors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Final

from vaultd.backends.s3.settings import S3Settings
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError, PlaceRefused

# OpenSSL's X509_V_ERR_* numbers, see x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _WRONG_HOST, _WRONG_ADDRESS = 9, 10, 62, 64
_UNKNOWN_ISSUER: Final = frozenset({2, 18, 19, 20, 21})


def from_library(error: Exception, settings: S3Settings) -> PlaceError:
    """Return the PlaceError of an exception that boto3 raised itself.

    None of its text is passed on: some of it quotes headers.
    """
    where = settings.where
    for cause in _causes(error):
        known = _beneath(cause, where)
        if known is not None:
            return known
    kind = type(error).__name__
    parents = {each.__name__ for each in type(error).__mro__}
    if kind in ("EndpointConnectionError", "ConnectTimeoutError"):
        return PlaceBusy(f"{where} cannot be reached.", hint="Is the network up?", unknown=False)
    if kind == "ProxyConnectionError":
        return PlaceBusy(f"The proxy on the way to {where} cannot be reached.", unknown=False)
    if kind == "ReadTimeoutError":
        return PlaceBusy(f"{where} did not answer in time.")
    if parents & {"ConnectionError", "HTTPClientError", "IncompleteReadError"}:
        return PlaceBusy(f"{where} broke off the connection.")
    if kind in ("NoCredentialsError", "PartialCredentialsError"):
        return PlaceClosed(
            f"There are no keys for {where}.",
            hint="Give access_key and secret_key, a profile, or AWS_* in the environment.",
        )
    if kind == "ProfileNotFound":
        return PlaceClosed(f"The profile for {where} is not in ~/.aws.", hint="Correct its name.")
    if kind in ("CredentialRetrievalError", "MetadataRetrievalError", "TokenRetrievalError"):
        return PlaceBusy(f"The keys for {where} cannot be fetched now.", unknown=False)
    return PlaceError(
        f"{where} does not answer as S3 does, or cannot be asked ({kind}).",
        hint="Is the endpoint right, and is there no login page in between?",
    )


def _beneath(cause: BaseException, where: str) -> PlaceError | None:
    """Return what a cause of the standard library says, None where it is none we know."""
    if isinstance(cause, PlaceError):
        return cause
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _certificate(cause, where)
    if type(cause).__name__ == "CertificateError":  # urllib3 compares names itself
        return _wrong_host(where)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return PlaceClosed(
            f"{where} does not speak TLS as vaultd does ({cause.reason or 'TLS error'}).",
            hint="Is it https, and is this the right port?",
        )
    if isinstance(cause, socket.gaierror):
        return PlaceBusy(
            f"The host name of {where} is not known.",
            hint="Check the endpoint and this machine's DNS.",
            unknown=False,
        )
    if isinstance(cause, ConnectionRefusedError):
        return PlaceBusy(
            f"{where} refuses the connection.",
            hint="Is the server running, and is this the right port?",
            unknown=False,
        )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what is beneath it; botocore keeps some of that in `kwargs`."""
    waiting, seen = [error], 0
    while waiting and seen < 20:
        found, seen = waiting.pop(0), seen + 1
        yield found
        kept = getattr(found, "kwargs", None)
        inner = kept.get("error") if isinstance(kept, dict) else None
        beneath = (inner, getattr(found, "reason", None), found.__cause__, found.__context__)
        waiting += [each for each in (*beneath, *found.args) if isinstance(each, BaseException)]


def _certificate(error: ssl.SSLCertVerificationError, where: str) -> PlaceRefused:
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
        return _wrong_host(where)
    if code in _UNKNOWN_ISSUER:
        return PlaceClosed(
            f"The certificate of {where} is from an authority this machine does not know.",
            hint="If it is your own, name its certificate in ca_file.",
        )
    return PlaceClosed(f"The certificate of {where} is not valid ({error.verify_message}).")


def _wrong_host(where: str) -> PlaceRefused:
    return PlaceClosed(
        f"The certificate of {where} is for another host name.",
        hint="Use the name that stands in the certificate.",
    )
