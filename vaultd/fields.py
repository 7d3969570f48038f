"""Typed looks into record bodies, which come from a vault and may hold anything."""

from __future__ import annotations

from vaultd.records import Body


def text(body: Body, key: str) -> str | None:
    """Return a text field, None where it is absent or something else."""
    value = body.get(key)
    return value if isinstance(value, str) else None


def flag(body: Body, key: str) -> bool:
    """Return whether a field is true."""
    return body.get(key) is True


def number(body: Body, key: str) -> int | None:
    """Return a whole-number field, None where it is absent or something else."""
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def mapping(body: Body, key: str) -> Body:
    """Return a map field, empty where it is absent or something else."""
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def mappings(body: Body, key: str) -> list[Body]:
    """Return the maps of a list field."""
    value = body.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(body: Body, key: str) -> list[str]:
    """Return the texts of a list field."""
    value = body.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def entity(body: Body) -> Body:
    """Return the `entity_data` of a body."""
    return mapping(body, "entity_data")
