"""Writing the pages: posts by hundreds, photos, comments, messages, contacts, and the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Final, TypeVar

from vaultd.fields import entity, flag, mapping, text, texts
from vaultd.records import Body, StoredRecord
from vaultd.restore.html.pictures import Pictures
from vaultd.restore.html.search import NAME, SearchPage
from vaultd.restore.html.spool import Spool, spooled
from vaultd.restore.html.templates import template
from vaultd.restore.html.text import render
from vaultd.restore.html.views import Views, shown
from vaultd.restore.output.faults import Faults
from vaultd.restore.output.private_file import private_file
from vaultd.restore.point import RestorePoint

PER_PAGE: Final = 100
_PIECES: Final = 500  # of a page, written together
_PHOTOS_PER_PAGE: Final = 200
_CONVERSATIONS_PER_PAGE: Final = 20
_COUNTED: Final = (
    ("post", "posts"),
    ("photo", "photos"),
    ("comment", "comments"),
    ("contact", "contacts"),
    ("message", "messages"),
)

_View = TypeVar("_View")


@dataclass(slots=True)
class HtmlReport:
    """How many pages and pictures were written, which pictures could not be, records by kind."""

    pages: int = 0
    photos: int = 0
    missing: list[str] = field(default_factory=list)
    counts: Mapping[str, int] = field(default_factory=dict)


def write_html(snapshot: RestorePoint, out: Path) -> HtmlReport:
    """Write `index.html`, the other pages and `photos/` into a folder (0600 each).

    A missing or damaged picture becomes a placeholder and is listed, and a record that cannot be
    shown is named in the snapshot's `damage`. Raises PlaceError, OSError.
    """
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    faults = Faults()
    with spooled(snapshot, out, faults) as spool:
        report = _Pages(snapshot, out, spool, faults).write()
        report.counts = spool.counts
        return report


class _Pages:
    def __init__(self, snapshot: RestorePoint, out: Path, spool: Spool, faults: Faults) -> None:
        self._snapshot, self._out, self._spool, self._faults = snapshot, out, spool, faults
        self._pictures = Pictures(snapshot, out)
        self._views = Views(spool, self._pictures, snapshot.manifest.account, faults)
        self._report = HtmlReport()
        self._who: dict[str, object] = {}

    def write(self) -> HtmlReport:
        self._who = self._header()
        with private_file(self._out, NAME, sync=False) as file:
            search = SearchPage(file, {"title": "Search", "here": NAME, "who": self._who})
            self._posts(search)
            self._comments(search)
            self._shared(search)
            self._conversations(search)
            search.end()
        self._report.pages += 1
        self._photos()
        self._page("contacts.html", "contacts.html", "Contacts", groups=self._contacts())
        self._snapshot.damage += self._faults.sentences()
        self._about()
        self._report.photos, self._report.missing = self._pictures.written, self._pictures.missing
        return self._report

    def _page(self, name: str, kind: str, title: str, **values: object) -> None:
        """Write the page `name` with the template `kind`, which the navigation shows it under."""
        here = "index.html" if kind == "posts.html" else kind
        html = template(kind).stream(title=title, here=here, who=self._who, **values)
        html.enable_buffering(_PIECES)
        with private_file(self._out, name, sync=False) as file:
            for piece in html:
                file.write(piece.encode("utf-8", "replace"))
        self._report.pages += 1

    def _header(self) -> dict[str, object]:
        profile, manifest = self._spool.small.profile, self._snapshot.manifest
        name = f"{text(profile, 'first_name') or ''} {text(profile, 'last_name') or ''}".strip()
        image, face = text(profile, "image_url") or "", None
        for photo in self._spool.loose_photos() if image else ():
            own = text(entity(photo), "remote_photo_name")
            if own and image.endswith(own):
                face = self._pictures.path(photo)
        return {
            "name": name or manifest.username,
            "account": manifest.account,
            "time": shown(manifest.time),
            "face": face,
            "part": self._snapshot.part,
            "damaged": bool(self._snapshot.damage or self._faults),
        }

    def _posts(self, search: SearchPage) -> None:
        counts = self._snapshot.manifest.counts
        held = [(label, counts[kind]) for kind, label in _COUNTED if counts.get(kind)]
        bodies = enumerate(self._spool.newest_first("post"))
        views = self._shown("post", bodies, self._views.post)
        names = _names("index.html", "posts", self._spool.count("post"), PER_PAGE)
        years = self._years("post", names, PER_PAGE)
        for place, (name, items) in enumerate(_paged(names, views, PER_PAGE)):
            for post in items:
                search.add(f"{name}#{post.anchor}", post.shown_at, "post", post.words)
                for reply in post.replies:
                    kind = f"comment by {reply.author}"
                    search.add(f"{name}#{post.anchor}", reply.shown_at, kind, reply.words)
            self._page(
                name, "posts.html", "Posts",
                items=items, years=years, counts=held, **_around(names, place),
            )  # fmt: skip

    def _comments(self, search: SearchPage) -> None:
        bodies = enumerate(self._spool.elsewhere())
        views = self._shown("comment", bodies, lambda _, at, body: self._views.comment(at, body))
        total = sum(1 for _ in self._spool.elsewhere())
        names = _names("comments.html", "comments", total, PER_PAGE)
        for place, (name, items) in enumerate(_paged(names, views, PER_PAGE)):
            for number, comment in enumerate(items):
                where = f"{name}#c{place * PER_PAGE + number}"
                search.add(where, comment.shown_at, "own comment", comment.words)
            self._page(
                name, "comments.html", "Comments",
                items=items, years=[], offset=place * PER_PAGE, **_around(names, place),
            )  # fmt: skip

    def _shared(self, search: SearchPage) -> None:
        bodies = enumerate(self._spool.newest_first("shared_post"))
        views = self._shown("shared_post", bodies, self._views.shared)
        names = _names("shared.html", "shared", self._spool.count("shared_post"), PER_PAGE)
        years = self._years("shared_post", names, PER_PAGE)
        for place, (name, items) in enumerate(_paged(names, views, PER_PAGE)):
            for post in items:
                link = f"{name}#{post.anchor}"
                search.add(link, post.shown_at, f"shared: {post.heading}", post.words)
            self._page(
                name, "shared.html", "Shared with you",
                items=items, years=years, **_around(names, place),
            )  # fmt: skip

    def _conversations(self, search: SearchPage) -> None:
        bodies = enumerate(self._spool.newest_first("conversation"))
        views = self._shown(
            "conversation", bodies, lambda _, at, body: self._views.conversation(at, body)
        )
        size = _CONVERSATIONS_PER_PAGE
        names = _names(
            "conversations.html", "conversations", self._spool.count("conversation"), size
        )
        for place, (name, items) in enumerate(_paged(names, views, size)):
            for number, conversation in enumerate(items):
                for message in conversation.messages:
                    where = f"{name}#t{place * size + number}"
                    search.add(where, message.shown_at, "message", message.words)
            self._page(
                name, "conversations.html", "Messages",
                items=items, offset=place * size, **_around(names, place),
            )  # fmt: skip

    def _photos(self) -> None:
        number_of = self._spool.post_numbers()
        shown_photos: list[tuple[str, str, str]] = []
        for at, body in self._spool.newest_first("photo"):
            path = self._pictures.path(body)
            number = number_of(text(entity(body), "status_message_guid") or "")
            link = (
                ""
                if number is None
                else f"{_page_of('index.html', 'posts', number, PER_PAGE)}#p{number}"
            )
            if path:
                shown_photos.append((path, link, shown(at)))
        names = _names("photos.html", "photos", len(shown_photos), _PHOTOS_PER_PAGE)
        for place, (name, items) in enumerate(_paged(names, iter(shown_photos), _PHOTOS_PER_PAGE)):
            self._page(name, "photos.html", "Photos", items=items, **_around(names, place))

    def _shown(
        self,
        kind: str,
        bodies: Iterator[tuple[int, tuple[str, Body]]],
        make: Callable[[int, str, Body], _View],
    ) -> Iterator[_View]:
        for number, (at, body) in bodies:
            record = StoredRecord(kind, text(entity(body), "guid") or "", body)
            view = self._faults.guard(record, make, number, at, body)
            if view is not None:
                yield view

    def _years(self, chapter: str, names: list[str], size: int) -> list[tuple[str, int, str]]:
        """Return `(year, count, link)` of a chapter whose pages hold `size` things each."""
        found, before = [], 0
        for year, count in self._spool.years(chapter):
            name = names[min(before // size, len(names) - 1)]
            found.append((year, count, f"{name}#y{year or 'undated'}"))
            before += count
        return found

    def _contacts(self) -> list[tuple[str, list[tuple[str, str, str]]]]:
        aspects = self._spool.small.aspects
        groups: dict[str, list[tuple[str, str, str]]] = {name: [] for name in aspects.values()}
        for _, body in self._spool.newest_first("contact"):
            handle = text(body, "account_id") or ""
            both = flag(body, "sharing"), flag(body, "receiving")
            state = {(True, True): "mutual", (True, False): "follows you"}.get(both, "you follow")
            for aspect in texts(body, "aspects") or ["in no aspect"]:
                group = groups.setdefault(aspects.get(aspect, aspect), [])
                group.append((self._spool.name(handle), handle, state))
        return [(name, sorted(people)) for name, people in groups.items()]

    def _about(self) -> None:
        small = self._spool.small
        profile = small.profile
        settings = [
            ("e-mail", text(small.account, "email")),
            ("language", text(small.account, "language")),
            ("location", text(profile, "location")),
            ("birthday", text(profile, "birthday")),
            ("gender", text(profile, "gender")),
            ("profile tags", text(profile, "tag_string")),
            ("followed tags", " ".join(f"#{tag}" for tag in sorted(small.tags))),
            ("ignored people", ", ".join(small.blocks)),
            ("e-mails switched off", ", ".join(small.preferences)),
        ]
        servers = [
            (
                text(body, "host") or "",
                ", ".join(
                    f"{reason.replace('_', ' ')} ({count})"
                    for reason, count in mapping(body, "why").items()
                ),
            )
            for _, body in self._spool.newest_first("audience")
        ]
        lost = [f"The picture {name!r} could not be restored." for name in self._pictures.missing]
        self._page(
            "about.html", "about.html", "About",
            bio=render(text(profile, "bio") or ""),
            settings=[(label, value) for label, value in settings if value],
            servers=sorted(servers),
            others=self._spool.other_hosts(),
            missing=list(chain(self._snapshot.damage, lost)),
        )  # fmt: skip


def _names(first: str, stem: str, count: int, size: int) -> list[str]:
    pages = max(1, -(-count // size))
    return [first, *(f"{stem}-{number}.html" for number in range(2, pages + 1))]


def _page_of(first: str, stem: str, number: int, size: int) -> str:
    return first if number < size else f"{stem}-{number // size + 1}.html"


def _paged(
    names: list[str], views: Iterator[_View], size: int
) -> Iterator[tuple[str, list[_View]]]:
    for name in names:
        yield name, list(islice(views, size))


def _around(names: list[str], place: int) -> dict[str, object]:
    """Return which pages are beside one."""
    return {
        "first": place == 0,
        "newer": names[place - 1] if place else "",
        "older": names[place + 1] if place + 1 < len(names) else "",
    }
