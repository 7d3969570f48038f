"""A part of an account: some kinds of records, a span of time, one post with all that is on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from vaultd.clock import parse_rfc3339, rfc3339
from vaultd.errors import UsageError
from vaultd.fields import entity, mapping, text
from vaultd.records import KINDS, Body

ALWAYS: Final = frozenset(("account", "profile"))
_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "posts": ("post",),
    "photos": ("photo",),
    "contacts": ("contact", "aspect", "person"),
    "comments": ("comment", "received_comment"),
    "likes": ("like", "received_like"),
    "polls": ("poll_vote", "received_poll_vote"),
    "messages": ("conversation", "message"),
    "conversations": ("conversation", "message"),
    "reshares": ("received_reshare",),
    "tags": ("followed_tag",),
    "settings": ("preference", "block", "role", "subscription"),
    "shared": ("shared_post", "shared_photo", "shared_comment", "shared_like", "shared_poll_vote"),
}


@dataclass(frozen=True, slots=True)
class Selection:
    """`kinds` None is every kind; `since` is included, `until` is not; `post` is a GUID.

    Account and profile are always in it: without them nobody could tell whose part it is.
    """

    kinds: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    post: str = ""

    @property
    def part(self) -> bool:
        """Whether this is less than everything."""
        return self != EVERYTHING

    @property
    def sentence(self) -> str:
        """What is in it, for manifests and people; empty for everything."""
        words = []
        if self.kinds is not None:
            words.append("only " + ", ".join(sorted(self.kinds - ALWAYS)))
        if self.post:
            words.append(f"post {self.post}")
        if self.since is not None:
            words.append(f"since {rfc3339(self.since)}")
        if self.until is not None:
            words.append(f"until {rfc3339(self.until)}")
        return ", ".join(words)

    def takes(self, kind: str, record_id: str, body: Body) -> bool:
        """Tell whether a record is in the selection.

        Records that have no time of their own (contacts, aspects, people, …) are in every span.
        """
        if kind in ALWAYS:
            return True
        if self.kinds is not None and kind not in self.kinds:
            return False
        if self.post and not _of_post(self.post, kind, record_id, body):
            return False
        if self.since is None and self.until is None:
            return True
        at = _time(body)
        if at is None:
            return True
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


EVERYTHING: Final = Selection()


def select(
    only: Sequence[str] = (), since: str | None = None, until: str | None = None, post: str = ""
) -> Selection:
    """Make a selection from what a person wrote: kinds or words such as `posts`, RFC 3339 times.

    Raises UsageError naming what is not understood.
    """
    kinds: set[str] = set()
    for word in (part.strip() for option in only for part in option.split(",")):
        if word in KINDS:
            kinds.add(word)
        elif word in _WORDS:
            kinds.update(_WORDS[word])
        else:
            raise UsageError(
                f"{word[:40]!r} is no kind of record.",
                hint=f"Words: {', '.join(_WORDS)}; kinds: {', '.join(KINDS)}.",
            )
    first, end = _moment("--since", since), _moment("--until", until)
    if first is not None and end is not None and first >= end:
        raise UsageError(
            f"--since {rfc3339(first)} is not before --until {rfc3339(end)}: nothing lies between.",
            hint="--until is where it ends, and is itself left out.",
        )
    return Selection(frozenset(kinds) | ALWAYS if only else None, first, end, post)


def _moment(option: str, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_rfc3339(value)
    except ValueError as error:
        raise UsageError(
            f"{option}: {value[:40]!r} is no time like 2026-11-23 or 2026-11-23T20:46:00Z."
        ) from error


def _time(body: Body) -> datetime | None:
    for place in (entity(body), body, mapping(body, "row")):
        value = text(place, "created_at")
        if value is not None:
            try:
                return parse_rfc3339(value)
            except ValueError:
                continue
    return None


def _of_post(guid: str, kind: str, record_id: str, body: Body) -> bool:
    if kind in ("post", "shared_post"):
        return record_id == guid
    if kind == "person":
        return True
    data, parent = entity(body), mapping(body, "parent")
    return guid in (
        text(data, "status_message_guid"),
        text(data, "parent_guid"),
        text(data, "root_guid"),
        text(parent, "guid"),
        text(parent, "post_guid"),
    )
