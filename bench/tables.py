"""Rows of the report's tables."""

from __future__ import annotations

Table = list[str]


def row(what: str, target: str, value: str, met: bool) -> str:
    """Return a figure beside its target, met or missed."""
    return f"| {what} | {target} | {value} | {'met' if met else '**missed**'} |"
