"""Comments, likes and votes as entities, with what relaying them again needs."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final, TypeAlias

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from vaultd.records import Body, Finish, Json
from vaultd.sources.diaspora.batch import Row
from vaultd.sources.diaspora.records.additional_data import pairs
from vaultd.sources.diaspora.records.values import exact, flag, given, text

Keys: TypeAlias = Callable[[int], rsa.RSAPrivateKey | None]

ORDERS: Final[dict[str, list[Json]]] = {
    "comment": ["author", "guid", "parent_guid", "text", "created_at"],
    "like": ["author", "guid", "parent_guid", "parent_type", "positive"],
    "poll_participation": ["author", "guid", "parent_guid", "poll_answer_guid"],
}
_LARGEST_KEY: Final = 16_384  # bits; diaspora* makes keys of 4096


def comment(
    author: str,
    parent_author: str | None,
    guid: object,
    words: object,
    moment: str | None,
    parent_kind: object,
    parent_guid: object,
) -> Body:
    """Return a comment; the moment is in seconds."""
    data: Body = {"author": author, "guid": text(guid)}
    parent = None if parent_guid is None else text(parent_guid)
    if parent is not None:
        data["parent_guid"] = parent
    data["text"] = text(words)
    if moment is not None:
        data["created_at"] = moment
    return {
        "entity_type": "comment",
        "entity_data": data,
        "property_order": ORDERS["comment"],
        "parent": {"type": text(parent_kind), "guid": parent, "author": parent_author},
    }


def like(
    author: str,
    parent_author: str | None,
    guid: object,
    positive: object,
    moment: str | None,
    parent_kind: str,
    parent_guid: object,
) -> Body:
    """Return a like; the moment is exact."""
    parent = None if parent_guid is None else text(parent_guid)
    data: Body = {"author": author}
    if guid is not None:
        data["guid"] = text(guid)
    if parent is not None:
        data["parent_guid"] = parent
    data["parent_type"] = parent_kind
    data["positive"] = positive is None or flag(positive)  # what diaspora* takes NULL for
    return {
        "entity_type": "like",
        "entity_data": data,
        "property_order": ORDERS["like"],
        "created_at": moment,
        "parent": {"type": parent_kind, "guid": parent, "author": parent_author},
    }


def like_of_comment(like: Body, post_guid: object, post_author: object) -> Body:
    """Return a like of a comment, with the post that the comment is on."""
    parent = like["parent"]
    where: Body = {"post_guid": given(post_guid), "post_author": given(post_author)}
    return {**like, "parent": {**parent, **where}} if isinstance(parent, dict) else like


def vote(row: Row, author: str, parent_author: str | None) -> Body:
    """Return a poll vote; `row` has the poll, its answer and its post."""
    data: Body = {"author": author}
    for name, column in (
        ("guid", "guid"), ("parent_guid", "poll_guid"), ("poll_answer_guid", "answer_guid"),
    ):  # fmt: skip
        if row[column] is not None:
            data[name] = text(row[column])
    return {
        "entity_type": "poll_participation",
        "entity_data": data,
        "property_order": [*ORDERS["poll_participation"]],
        "created_at": exact(row["created_at"]),
        "parent": {
            "type": "Poll",
            "guid": given(row["poll_guid"]),
            "author": parent_author,
            "post_guid": given(row["post_guid"]),
        },
    }


@lru_cache(256)
def _split(order: str) -> list[Json]:
    return [*order.split(" ")]


def with_signature(
    body: Body, keys: Keys, row_body: Body, owner: int | None, stored: tuple[object, ...]
) -> Finish | None:
    """Add a stored signature to a body, or return how to make it with a local author's key.

    `stored` are author_signature, the order of what is signed, and additional_data.
    """
    signature, order, additional = stored
    data = body["entity_data"]
    if not isinstance(data, dict):
        return None
    if signature is not None:
        data["author_signature"] = text(signature)
        if order is not None:
            body["property_order"] = _split(text(order))
        if additional is not None:
            row_body["additional_data"] = text(additional)
            _add_signed(data, body["property_order"], additional)
        return None
    if owner is None:
        return None
    return partial(_sign, keys, owner)


def _add_signed(data: Body, order: Json, additional: object) -> None:
    """Add what an author signed besides the usual; others choose how much of it there is."""
    signed = {str(name) for name in order} if isinstance(order, list) else set()
    signed -= data.keys()
    for name, value in pairs(text(additional)):
        if name in signed:
            data[name] = value


def _sign(keys: Keys, owner: int, body: Body) -> Body:
    key, data, order = keys(owner), body["entity_data"], body["property_order"]
    if key is None or not isinstance(data, dict) or not isinstance(order, list):
        return {}
    signature = sign(key, data, order)
    return {} if signature is None else {"entity_data": {"author_signature": signature}}


def signed_text(data: dict[str, Json], order: list[Json]) -> str:
    """Return what a relayable's author signs: the values in order, joined by `;` (facts B2)."""
    values = []
    for name in order:
        value = data.get(str(name))
        values.append(str(value).lower() if isinstance(value, bool) else text(value))
    return ";".join(values)


def sign(key: rsa.RSAPrivateKey, data: dict[str, Json], order: list[Json]) -> str | None:
    """Sign as diaspora does: RSA PKCS#1 v1.5, SHA-256, strict base64; None with a broken key."""
    message = signed_text(data, order).encode()
    try:
        signature = key.sign(message, padding.PKCS1v15(), SHA256())
        # The key was loaded unchecked; this costs a twentieth of the signature.
        key.public_key().verify(signature, message, padding.PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature, InternalError):
        return None
    return base64.b64encode(signature).decode("ascii")


def load_key(pem: str) -> rsa.RSAPrivateKey | None:
    """Load an unencrypted RSA key, None when it is none.

    That its numbers belong together is left unchecked: it takes as long as 300 signatures.
    """
    try:
        key = load_pem_private_key(pem.encode(), None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) and key.key_size <= _LARGEST_KEY else None
