"""Gathering an account for its pages: small things in memory, posts and replies by date."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from vaultd.fields import mapping, text, texts
from vaultd.records import Body
from vaultd.restore.point import RestorePoint


@dataclass(slots=True)
class Gathered:
    """All that the pages show, by what they are looked up with."""

    account: Body = field(default_factory=dict)
    profile: Body = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    aspects: dict[str, str] = field(default_factory=dict)
    posts: list[tuple[str, Body]] = field(default_factory=list)
    photos: dict[str, list[Body]] = field(default_factory=lambda: defaultdict(list))
    loose_photos: list[Body] = field(default_factory=list)
    replies: dict[str, list[tuple[str, Body]]] = field(default_factory=lambda: defaultdict(list))
    likers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    reshares: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    votes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    elsewhere: list[tuple[str, Body]] = field(default_factory=list)
    contacts: list[Body] = field(default_factory=list)
    conversations: list[tuple[str, Body]] = field(default_factory=list)
    messages: dict[str, list[tuple[str, Body]]] = field(default_factory=lambda: defaultdict(list))
    tags: list[str] = field(default_factory=list)
    blocks: list[str] = field(default_factory=list)
    preferences: list[str] = field(default_factory=list)
    audience: list[Body] = field(default_factory=list)
    known_pods: set[str] = field(default_factory=set)

    def name(self, handle: str) -> str:
        """Return a person's name, or the diaspora ID."""
        return self.names.get(handle) or handle


def gather(snapshot: RestorePoint) -> Gathered:
    """Read the account once. Pages need dates in order, so posts and replies stay in memory."""
    found = Gathered()
    for record in snapshot.records():
        if record.body is not None:
            _take(found, record.kind, record.body)
    own = {text(mapping(b, "entity_data"), "guid") or "" for _, b in found.posts}
    _split_comments(found, own)
    for pairs in (found.posts, found.elsewhere, found.conversations):
        pairs.sort(key=lambda pair: pair[0], reverse=True)
    for by_date in (*found.replies.values(), *found.messages.values()):
        by_date.sort(key=lambda pair: pair[0])
    return found


def _split_comments(found: Gathered, own: set[str]) -> None:
    for at, body in found.elsewhere[:]:
        parent = text(mapping(body, "entity_data"), "parent_guid") or ""
        if parent in own:
            found.replies[parent].append((at, body))
            found.elsewhere.remove((at, body))


def _take(found: Gathered, kind: str, body: Body) -> None:
    data = mapping(body, "entity_data")
    at = text(data, "created_at") or text(body, "created_at") or ""
    parent, author = text(data, "parent_guid") or "", text(data, "author") or ""
    if kind == "account":
        found.account = body
    elif kind == "profile":
        found.profile = data
    elif kind == "person":
        found.names[text(body, "handle") or ""] = text(body, "name") or ""
    elif kind == "post":
        found.posts.append((at, body))
    elif kind == "photo":
        status = text(data, "status_message_guid")
        (found.photos[status] if status else found.loose_photos).append(body)
    elif kind == "comment":
        found.elsewhere.append((at, body))
    elif kind == "received_comment":
        found.replies[parent].append((at, body))
    elif kind == "received_like":
        found.likers[parent].append(author)
    elif kind == "received_reshare":
        found.reshares[text(data, "root_guid") or ""].append(author)
    elif kind in ("received_poll_vote", "poll_vote"):
        found.votes[text(data, "poll_answer_guid") or ""].append(author)
    elif kind == "contact":
        found.contacts.append(body)
    elif kind == "conversation":
        found.conversations.append((text(body, "updated_at") or at, body))
    elif kind == "message":
        found.messages[text(data, "conversation_guid") or ""].append((at, body))
    elif kind == "audience" and mapping(body, "why").keys() - {"known"}:
        found.audience.append(body)
    elif kind == "audience":  # of a pod that is merely known, as older vaults have them
        found.known_pods.add(text(body, "host") or "")
    elif kind == "known_pods":
        found.known_pods.update(texts(body, "hosts"))
    else:
        _take_small(found, kind, body)


def _take_small(found: Gathered, kind: str, body: Body) -> None:
    if kind == "followed_tag":
        found.tags.append(text(body, "name") or "")
    elif kind == "block":
        found.blocks.append(text(body, "account_id") or "")
    elif kind == "preference":
        found.preferences.append(text(body, "email_type") or "")


def aspect_names(found: Gathered, body: Body) -> str:
    """Return the names of the aspects that a private post or a contact belongs to."""
    return ", ".join(found.aspects.get(a, a) for a in texts(body, "aspects"))
