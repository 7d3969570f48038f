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


def shown_age(seconds: float) -> str:
    """Return a time for people: `40 s`, `5 min`, `3 h`, `60 d`."""
    if seconds < 100:
        return f"{max(0, seconds):.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:,.0f} d"
