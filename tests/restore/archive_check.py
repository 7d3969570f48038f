"""Whether a diaspora* archive would import: the project's own check, and diaspora*'s schemas."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "diaspora"
GUID = re.compile(r"[0-9A-Za-z\-_@.:]{15,254}[0-9A-Za-z]")


def schema_errors(archive: dict[str, Any]) -> list[str]:
    """Return what diaspora*'s two schemas say; skips where they are not to be had."""
    jsonschema = pytest.importorskip("jsonschema")
    referencing = pytest.importorskip("referencing")
    if not SHARED.is_dir():
        pytest.skip("the folder with diaspora*'s schemas (../shared/diaspora) is not here")
    from referencing.jsonschema import DRAFT4

    registry = referencing.Registry()
    for name in ("archive-format.json", "federation_entities.json"):
        content = json.loads((SHARED / name).read_text())
        registry = registry.with_resource(content["id"], DRAFT4.create_resource(content))
        if name == "archive-format.json":
            schema = content
    validator = jsonschema.Draft4Validator(schema, registry=registry)
    return [
        f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(archive)
    ]


def what_the_importer_refuses(archive: dict[str, Any]) -> list[str]:
    """Return every place where the archive breaks what facts B2 and B5 say beyond the schema."""
    return list(_problems(archive))


def _problems(archive: dict[str, Any]) -> Iterator[str]:
    if archive["version"] != "2.0":
        yield "version"
    if "\\u0000" in json.dumps(archive):
        yield "a NUL character"
    user = archive["user"]
    for key in ("username", "email", "private_key", "profile"):
        if not user[key]:
            yield key
    names = [group["name"] for group in user["contact_groups"]]
    if len({name.lower() for name in names}) != len(names) or max(map(len, names), default=0) > 20:
        yield "contact_groups"
    for contact in user["contacts"]:
        if not set(contact["contact_groups_membership"]) <= set(names):
            yield f"contact {contact['account_id']} is in an unknown group"
    posts, polls = set(), set()
    for item in user["posts"]:
        data = item["entity_data"]
        posts.add(data["guid"])
        if item["entity_type"] == "reshare":
            if "public" in data or ("root_guid" in data and not data["root_guid"]):
                yield f"reshare {data['guid']}"
            continue
        if not isinstance(data["photos"], list) or len(data["text"]) > 65_535:
            yield f"post {data['guid']}"
        if ("subscribed_pods_uris" in item) != data["public"]:
            yield f"subscription key of post {data['guid']}"
        if "poll" in data:
            polls.add(data["poll"]["entity_data"]["guid"])
            if len(data["poll"]["entity_data"]["poll_answers"]) < 2:
                yield f"poll of post {data['guid']}"
    for item in user["relayables"]:
        if "author_signature" in item["entity_data"]:
            yield f"signature of own {item['entity_data']['guid']}"
        yield from _relayable(item)
    for item in archive["others_data"]["relayables"]:
        data = item["entity_data"]
        known = polls if item["entity_type"] == "poll_participation" else posts
        if data["parent_guid"] not in known or len(data["author_signature"]) < 30:
            yield f"others' {data['guid']}"
        yield from _relayable(item)
    if any(value is None for value in _values([user["posts"], user["relayables"]])):
        yield "a null in an entity"


def _relayable(item: dict[str, Any]) -> Iterator[str]:
    data = item["entity_data"]
    if not GUID.fullmatch(data["guid"]) or not GUID.fullmatch(data["parent_guid"]):
        yield f"guid {data['guid']}"
    if not set(item["property_order"]) <= set(data):
        yield f"property_order of {data['guid']}"
    if item["entity_type"] == "comment" and not data["text"].strip():
        yield f"empty comment {data['guid']}"


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _values(item)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item)
    else:
        yield value
