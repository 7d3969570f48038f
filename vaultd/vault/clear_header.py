"""The clear header read from a place: is it the one that belongs under this name?"""

from __future__ import annotations

from vaultd.errors import DamageError, ForgeryError
from vaultd.vault.coding.object_stream import ObjectStream
from vaultd.vault.header import Header, decode_header
from vaultd.vault.layout import ARCHIVE_MAGIC, MAX_HEADER, parse_archive_name


def read_clear_header(stream: ObjectStream, name: str) -> tuple[Header, bytes]:
    """Consume an archive's header; return it with the clear bytes it came from.

    Raises DamageError when it is damaged or stands under a name that is not its own.
    """
    header, offset = decode_header(ARCHIVE_MAGIC, stream.peek(MAX_HEADER + 128), name)
    parts = parse_archive_name(name)
    if header.sequence < 1:
        raise DamageError(f"{name} has the sequence {header.sequence}; archives count from 1.")
    if parts is None or parts[0] != header.vault.hex() or parts[1] != header.sequence:
        raise DamageError(
            f"{name} is the archive {header.sequence} of vault {header.vault.hex()[:8]}… "
            "under another name; somebody moved it."
        )
    return header, stream.read_exact(offset)


def unknown_pod(name: str, pod: bytes) -> ForgeryError:
    """Return the error for an object that is signed by a pod key which nobody trusts."""
    from vaultd.keys import fingerprint

    return ForgeryError(
        f"{name} is signed by {fingerprint(pod)}, which is none of the pod keys of this kit: it is "
        "forged, or the pod got a new key since the kit was printed.",
        hint="Ask the podmin; if that is the pod's new key, name it with --pod-key.",
    )
