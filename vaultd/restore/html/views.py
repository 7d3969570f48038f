"""What a template shows of a record: plain texts and safe HTML, so that no template can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from markupsafe import Markup

from vaultd.fields import entity, flag, mapping, mappings, text, texts
from vaultd.records import Body, StoredRecord
from vaultd.restore import importer_rules as rules
from vaultd.restore.html.pictures import Pictures
from vaultd.restore.html.spool import Spool
from vaultd.restore.html.text import render
from vaultd.restore.output.faults import Faults

_LIKERS_SHOWN: Final = 12
_QUOTED: Final = 200  # characters of what a comment answers
_FEW: Final = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """Somebody's words under something: who, when (as shown, and for machines), what."""

    author: str
    at: str
    shown_at: str
    words: Markup
    mine: bool = False


class Thread:
    """What stands under something. There may be any number of it, so of many things only the spool
    knows, and each time it is gone through they are made again. What cannot be shown is left out,
    and counted the first time."""

    def __init__(
        self,
        items: Callable[[], Iterator[tuple[str, Body]]],
        view: Callable[[str, Body], Reply],
        faults: Faults,
    ) -> None:
        self._items, self._view, self._faults = items, view, faults
        self._few: list[Reply] | None = None

    def __iter__(self) -> Iterator[Reply]:
        if self._few is not None:
            yield from self._few
            return
        faults, self._faults = self._faults, Faults()
        few: list[Reply] = []
        for at, body in self._items():
            record = StoredRecord("reply", text(entity(body), "guid") or "", body)
            view = faults.guard(record, self._view, at, body)
            if view is not None:
                if len(few) <= _FEW:
                    few.append(view)
                yield view
        if len(few) <= _FEW:
            self._few = few


@dataclass(frozen=True, slots=True)
class Post:
    """A post with all that is on it."""

    anchor: str
    at: str
    shown_at: str
    year: str
    private: str | None
    place: str
    heading: str
    words: Markup
    pictures: list[str | None] = field(default_factory=list)
    question: str = ""
    answers: list[tuple[str, int]] = field(default_factory=list)
    likes: str = ""
    reshares: str = ""
    replies: Iterable[Reply] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """An own comment on somebody's post: `link` leads to the post, where it can be told."""

    at: str
    shown_at: str
    year: str
    whose: str
    link: str
    quote: str
    words: Markup


@dataclass(frozen=True, slots=True)
class Conversation:
    """A private conversation with its messages."""

    subject: str
    people: str
    messages: Iterable[Reply]


@dataclass(frozen=True, slots=True)
class Views:
    """Makes the views of one account."""

    spool: Spool
    pictures: Pictures
    account: str
    faults: Faults

    def post(self, number: int, at: str, body: Body) -> Post:
        """Return a post; `number` makes its anchor."""
        data, spool = entity(body), self.spool
        guid = text(data, "guid") or ""
        reshare = text(body, "entity_type") == "reshare"
        poll = entity(mapping(data, "poll"))
        return Post(
            anchor=f"p{number}",
            at=at,
            shown_at=shown(at),
            year=at[:4],
            private=None if reshare or flag(data, "public") else self._aspects(body),
            place=text(entity(mapping(data, "location")), "address") or "",
            heading=self._reshared(data) if reshare else "",
            words=render(text(data, "text") or ""),
            pictures=[self.pictures.path(photo) for _, photo in spool.on(guid, "photo")],
            question=text(poll, "question") or "",
            answers=[self._answer(entity(each)) for each in mappings(poll, "poll_answers")],
            likes=self._names(spool.authors("like", guid)),
            reshares=self._names(spool.authors("reshare", guid)),
            replies=Thread(
                partial(spool.on, guid, "received_comment", "comment", "shared_comment"),
                self.reply,
                self.faults,
            ),
        )

    def shared(self, number: int, at: str, body: Body) -> Post:
        """Return another's private post; its pictures stayed with the author."""
        data = entity(body)
        name = self.spool.name(text(data, "author") or "")
        pictures = sum(1 for _ in self.spool.on(text(data, "guid") or "", "shared_photo"))
        with_them = f", with {pictures:,} picture{'s' if pictures > 1 else ''}" if pictures else ""
        return replace(self.post(number, at, body), heading=f"By {name}{with_them}.")

    def reply(self, at: str, body: Body) -> Reply:
        """Return a comment or a message."""
        data = entity(body)
        author = text(data, "author") or ""
        mine = author == self.account
        name = self.spool.name(author)
        return Reply(name, at, shown(at), render(text(data, "text") or ""), mine)

    def comment(self, at: str, body: Body) -> Comment:
        """Return an own comment with the way to what it answers."""
        data = entity(body)
        owner = text(mapping(body, "parent"), "author")
        guid = text(data, "parent_guid") or ""
        link = ""
        if owner and rules.is_handle(owner) and rules.is_guid(guid):
            link = f"https://{rules.host_of(owner)}/posts/{guid}"
        return Comment(
            at=at,
            shown_at=shown(at),
            year=at[:4],
            whose=f"on a post by {self.spool.name(owner)}" if owner else "on a deleted post",
            link=link,
            quote=_beginning(self.spool.shared_text(guid)),
            words=render(text(data, "text") or ""),
        )

    def conversation(self, _at: str, body: Body) -> Conversation:
        """Return a conversation with its messages, oldest first."""
        data = entity(body)
        people = [p for p in texts(data, "participants") if p != self.account]
        return Conversation(
            subject=text(data, "subject") or "",
            people=", ".join(map(self.spool.name, people)),
            messages=Thread(
                partial(self.spool.on, text(data, "guid") or "", "message"),
                self.reply,
                self.faults,
            ),
        )

    def _aspects(self, body: Body) -> str:
        names = self.spool.small.aspects
        return ", ".join(names.get(each, each) for each in texts(body, "aspects"))

    def _reshared(self, data: Body) -> str:
        root = text(data, "root_author")
        name = self.spool.name(root) if root else ""
        return f"Reshared a post by {name}." if root else "Reshared a post that was deleted."

    def _answer(self, data: Body) -> tuple[str, int]:
        votes = self.spool.authors("vote", text(data, "guid") or "")
        return text(data, "answer") or "", len(votes)

    def _names(self, people: list[str]) -> str:
        names = ", ".join(map(self.spool.name, people[:_LIKERS_SHOWN]))
        more = len(people) - _LIKERS_SHOWN
        return f"{names} and {more:,} more" if more > 0 else names


def _beginning(text: str) -> str:
    line = " ".join(text[: 4 * _QUOTED].split())
    return line if len(line) <= _QUOTED else line[:_QUOTED] + "…"


def shown(at: str) -> str:
    """Return an RFC 3339 time as it is read: `2026-11-23 20:46`, in UTC as the pages say."""
    return at[:16].replace("T", " ")
