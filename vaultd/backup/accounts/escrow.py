"""The sealed secret of an account, put beside its vault."""

from __future__ import annotations

import io

from vaultd.backends.base import Backend
from vaultd.errors import ObjectExists
from vaultd.vault.escrow import escrow_name


def store_escrow(backend: Backend, vault_id: str, sealed: bytes) -> None:
    """Put the sealed secret beside its vault; twice is the same as once. Raises PlaceError."""
    try:
        backend.create(escrow_name(vault_id, sealed), io.BytesIO(sealed), len(sealed))
    except ObjectExists:
        return  # the name is the content's hash: the same bytes are there
