"""Sizes and counts as people read them."""

from __future__ import annotations


def shown_bytes(count: int) -> str:
    """Return a byte count for people: `3.4 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def plural(count: int, noun: str) -> str:
    """Return `1 archive`, `2 archives`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
