"""Certificates of authorities that came as text: libraries want a file, and none is written."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path
from typing import Final

from vaultd.errors import UsageError

MOST: Final = 64 * 1024  # bytes, dozens of certificates


@cache
def as_file(pem: str) -> Path:
    """Return a path at which these certificates (PEM) can be read while this process lives.

    It leads to memory, not to a disk. Raises UsageError for what is no certificate.
    """
    data = pem.encode("utf-8", "replace")
    try:
        if len(data) > MOST:
            raise ValueError("too large")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=pem)
        if not context.cert_store_stats()["x509"]:
            raise ValueError("none")
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(
            "What was given as `ca` is no certificate.",
            hint="It is the PEM text of the authority that signed the server's certificate, "
            "-----BEGIN CERTIFICATE----- and so on.",
        ) from error
    fd = os.memfd_create("vaultd-ca", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(data)
    return Path(f"/proc/self/fd/{fd}")
