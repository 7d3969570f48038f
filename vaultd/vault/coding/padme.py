"""Padmé: object sizes that tell storage little about what is inside.

Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs",
PETS 2019, section 4: overhead at most 12 %, falling with size; leaks O(log log size) bits.
"""

from __future__ import annotations


def padme(size: int) -> int:
    """Return the padded size (bytes, ≥ `size`) for an object of `size` bytes."""
    if size < 2:
        return size
    exponent = size.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1
    return (size + mask) & ~mask
