"""Failures on the way to an S3 place, as boto3 raises them, as PlaceErrors."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from vaultd.backends.s3.settings import S3Settings
from vaultd.backends.transport.tls import certificate_refused, tls_failed, wrong_host
from vaultd.errors import PlaceBusy, PlaceClosed, PlaceError


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
        return certificate_refused(cause, where)
    if type(cause).__name__ == "CertificateError":  # urllib3 compares names itself
        return wrong_host(where)
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return tls_failed(cause, where)
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
