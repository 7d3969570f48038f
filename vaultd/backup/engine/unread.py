"""Which kinds may be incomplete when the source could not read a table as it should.

Their missing records are no deletions: a tombstone would take them out of the vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS_OF_TABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "posts": ("post", "received_reshare", "shared_post"),
    "photos": ("photo", "shared_photo"),
    "comments": ("comment", "received_comment", "shared_comment"),
    "likes": ("like", "received_like", "shared_like"),
    "polls": ("poll_vote", "received_poll_vote", "shared_poll_vote"),
    "poll_participations": ("poll_vote", "received_poll_vote", "shared_poll_vote"),
    "participations": ("subscription", "subscriber"),
    "contacts": ("contact",),
    "aspects": ("aspect",),
    "tag_followings": ("followed_tag",),
    "blocks": ("block",),
    "user_preferences": ("preference",),
    "roles": ("role",),
    "conversations": ("conversation", "message"),
    "conversation_visibilities": ("conversation", "message"),
    "messages": ("message",),
    # A bad value here spoils a detail of a record, it never hides one.
    "users": (),
}
