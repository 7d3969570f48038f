"""Writing the pages: posts by hundreds, comments, messages, contacts, and what is known of whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from vaultd.errors import DamageError, ObjectMissing
from vaultd.fields import flag, mapping, mappings, text, texts
from vaultd.records import Body
from vaultd.restore.html.gather import aspect_names, gather
from vaultd.restore.html.layout import page
from vaultd.restore.html.text import render
from vaultd.restore.paths import inside
from vaultd.restore.point import RestorePoint

PER_PAGE: Final = 100


@dataclass(slots=True)
class HtmlReport:
    """How many pages and pictures were written, and which pictures could not be."""

    pages: int = 0
    photos: int = 0
    missing: list[str] = field(default_factory=list)


def write_html(snapshot: RestorePoint, out: Path) -> HtmlReport:
    """Write `index.html`, the other pages and `photos/` into an existing folder.

    A missing or damaged picture becomes a placeholder and is listed. Raises PlaceError.
    """
    return _Pages(snapshot, out).write()


class _Pages:
    def __init__(self, snapshot: RestorePoint, out: Path) -> None:
        self._snapshot = snapshot
        self._out = out
        self._report = HtmlReport()
        self._found = gather(snapshot)
        for record in snapshot.records({"aspect"}):
            if record.body is not None:
                self._found.aspects[record.id] = text(record.body, "name") or record.id
        self._head = ""

    def write(self) -> HtmlReport:
        (self._out / "photos").mkdir(mode=0o700, exist_ok=True)
        self._head = self._header()
        self._posts()
        self._page("comments.html", "Comments", self._comments())
        self._page("conversations.html", "Messages", self._conversations())
        self._page("contacts.html", "Contacts", self._contacts())
        self._page("about.html", "About", self._about())
        return self._report

    def _page(self, name: str, title: str, parts: Iterator[str], *, here: str = "") -> None:
        account = self._snapshot.manifest.account
        html = page(
            title=f"{title} · {account}", head=self._head, here=here or name, body="\n".join(parts)
        )
        (self._out / name).write_text(html, encoding="utf-8")
        self._report.pages += 1

    def _header(self) -> str:
        profile, manifest = self._found.profile, self._snapshot.manifest
        name = f"{text(profile, 'first_name') or ''} {text(profile, 'last_name') or ''}".strip()
        name = name or manifest.username
        face = f'<div class="face" aria-hidden="true">{escape(name[:1].upper())}</div>'
        image = text(profile, "image_url") or ""
        for photo in self._found.loose_photos:
            own = text(mapping(photo, "entity_data"), "remote_photo_name")
            if own and image.endswith(own):
                path = self._photo(photo)
                face = f'<img class="face" src="{path}" alt="">' if path else face
        return (
            f'{face}<div><h1 dir="auto">{escape(name)}</h1><p>{escape(manifest.account)}</p>'
            f"<p>Backup of {escape(manifest.time)}</p></div>"
        )

    def _photo(self, body: Body) -> str | None:
        """Write a picture; return its escaped path, or None when it could not be restored."""
        name = text(mapping(body, "entity_data"), "remote_photo_name") or ""
        try:
            path = inside(self._out / "photos", name)
        except DamageError:
            self._report.missing.append(name)
            return None
        try:
            with path.open("wb") as file:
                for piece in self._snapshot.open_blob(body):
                    file.write(piece)
        except (DamageError, ObjectMissing):
            path.unlink()  # half a picture is no picture; a place that vanished is an error
            self._report.missing.append(name)
            return None
        self._report.photos += 1
        return f"photos/{escape(path.name)}"

    def _posts(self) -> None:
        posts = self._found.posts
        number = max(1, -(-len(posts) // PER_PAGE))
        names = ["index.html", *(f"posts-{n}.html" for n in range(2, number + 1))]
        for index, name in enumerate(names):
            part = posts[index * PER_PAGE : (index + 1) * PER_PAGE]
            self._page(name, "Posts", self._post_list(part, names, index), here="index.html")

    def _post_list(
        self, posts: list[tuple[str, Body]], names: list[str], index: int
    ) -> Iterator[str]:
        if index == 0:
            counts = self._snapshot.manifest.counts
            shown = [
                f"<strong>{counts[kind]:,}</strong> {label}"
                for kind, label in (
                    ("post", "posts"), ("photo", "photos"), ("comment", "comments"),
                    ("contact", "contacts"), ("message", "messages"),
                )
                if counts.get(kind)
            ]  # fmt: skip
            yield f"<section>{' · '.join(shown) or 'Nothing was written yet.'}</section>"
        for at, body in posts:
            yield self._post(at, body)
        newer = f'<a href="{names[index - 1]}">← newer</a>' if index else "<span></span>"
        older = f'<a href="{names[index + 1]}">older →</a>' if index + 1 < len(names) else ""
        yield f'<div class="pager">{newer}{older}</div>'

    def _post(self, at: str, body: Body) -> str:
        data, found = mapping(body, "entity_data"), self._found
        guid = text(data, "guid") or ""
        private = body.get("entity_type") == "status_message" and not flag(data, "public")
        parts = [f"<time>{escape(at.replace('T', ' ').removesuffix('Z'))}</time>"]
        if private:
            names = aspect_names(found, body)
            parts.append(
                f'<span class="private">🔒 Private{": " + escape(names) if names else ""}</span>'
            )
        place = mapping(mapping(data, "location"), "entity_data")
        if place:
            parts.append(f'<span dir="auto">📍 {escape(text(place, "address") or "")}</span>')
        html = [f'<div class="meta">{"".join(parts)}</div>']
        if body.get("entity_type") == "reshare":
            root = text(data, "root_author")
            html.append(
                f"<p>♻ Reshared a post by {escape(found.name(root))}.</p>"
                if root
                else "<p>♻ Reshared a post that was deleted.</p>"
            )
        else:
            html.append(f'<div dir="auto">{render(text(data, "text") or "")}</div>')
        html.append(self._pictures(guid))
        html.append(self._poll(mapping(mapping(data, "poll"), "entity_data")))
        for label, people in (("♥", found.likers[guid]), ("♻", found.reshares[guid])):
            if people:
                names = ", ".join(escape(found.name(p)) for p in people[:12])
                more = f" and {len(people) - 12} more" if len(people) > 12 else ""
                html.append(f'<footer dir="auto">{label} {names}{more}</footer>')
        html += [self._reply(when, reply) for when, reply in found.replies[guid]]
        return f"<article{' class=limited' if private else ''}>{''.join(html)}</article>"

    def _pictures(self, guid: str) -> str:
        html = []
        for body in self._found.photos.get(guid, []):
            path = self._photo(body)
            html.append(
                f'<img src="{path}" alt="" loading="lazy">'
                if path
                else '<div class="gone">This picture could not be restored.</div>'
            )
        return f'<div class="photos">{"".join(html)}</div>' if html else ""

    def _poll(self, poll: Body) -> str:
        if not poll:
            return ""
        html = [f'<p dir="auto"><strong>{escape(text(poll, "question") or "")}</strong></p>']
        for answer in mappings(poll, "poll_answers"):
            data = mapping(answer, "entity_data")
            votes = len(self._found.votes[text(data, "guid") or ""])
            html.append(
                f'<div class="vote"><span dir="auto">{escape(text(data, "answer") or "")}</span>'
                f"<span>{votes}</span></div>"
            )
        return "".join(html)

    def _reply(self, at: str, body: Body) -> str:
        data = mapping(body, "entity_data")
        author = self._found.name(text(data, "author") or "")
        return (
            f'<div class="reply"><div class="meta"><strong dir="auto">{escape(author)}</strong>'
            f"<time>{escape(at[:16].replace('T', ' '))}</time></div>"
            f'<div dir="auto">{render(text(data, "text") or "")}</div></div>'
        )

    def _comments(self) -> Iterator[str]:
        if not self._found.elsewhere:
            yield "<section>No comments on other people's posts.</section>"
        for at, body in self._found.elsewhere:
            owner = text(mapping(body, "parent"), "author")
            whose = (
                f"on a post by {escape(self._found.name(owner))}" if owner else "on a deleted post"
            )
            words = render(text(mapping(body, "entity_data"), "text") or "")
            yield (
                f'<article><div class="meta"><time>{escape(at[:16].replace("T", " "))}</time>'
                f'<span dir="auto">{whose}</span></div><div dir="auto">{words}</div></article>'
            )

    def _conversations(self) -> Iterator[str]:
        me = self._snapshot.manifest.account
        if not self._found.conversations:
            yield "<section>No conversations.</section>"
        for _, body in self._found.conversations:
            data = mapping(body, "entity_data")
            people = ", ".join(
                escape(self._found.name(p)) for p in texts(data, "participants") if p != me
            )
            bubbles = []
            for at, message in self._found.messages[text(data, "guid") or ""]:
                own = mapping(message, "entity_data")
                author = text(own, "author") or ""
                mine = " mine" if author == me else ""
                bubbles.append(
                    f'<div class="bubble{mine}"><div class="meta"><strong dir="auto">'
                    f"{escape(self._found.name(author) if author != me else 'You')}</strong>"
                    f"<time>{escape(at[:16].replace('T', ' '))}</time></div>"
                    f'<div dir="auto">{render(text(own, "text") or "")}</div></div>'
                )
            yield (
                f'<section><h3 dir="auto">{escape(text(data, "subject") or "")}</h3>'
                f'<p class="meta" dir="auto">with {people}</p>{"".join(bubbles)}</section>'
            )

    def _contacts(self) -> Iterator[str]:
        groups: dict[str, list[str]] = {name: [] for name in self._found.aspects.values()}
        for body in self._found.contacts:
            handle = text(body, "account_id") or ""
            both = flag(body, "sharing"), flag(body, "receiving")
            state = {(True, True): "mutual", (True, False): "follows you"}.get(both, "you follow")
            item = (
                f'<li dir="auto">{escape(self._found.name(handle))} '
                f"<small>{escape(handle)} · {state}</small></li>"
            )
            for aspect in texts(body, "aspects") or ["in no aspect"]:
                groups.setdefault(self._found.aspects.get(aspect, aspect), []).append(item)
        for name, items in groups.items():
            inner = "".join(items) or "<li>Nobody.</li>"
            yield (
                f'<section><h3 dir="auto">{escape(name)}</h3>'
                f'<ul class="list">{inner}</ul></section>'
            )

    def _about(self) -> Iterator[str]:
        found, profile = self._found, self._found.profile
        bio = text(profile, "bio")
        if bio:
            yield f'<section dir="auto">{render(bio)}</section>'
        settings = [
            ("e-mail", text(found.account, "email")),
            ("language", text(found.account, "language")),
            ("location", text(profile, "location")),
            ("birthday", text(profile, "birthday")),
            ("gender", text(profile, "gender")),
            ("profile tags", text(profile, "tag_string")),
            ("followed tags", " ".join(f"#{tag}" for tag in sorted(found.tags))),
            ("ignored people", ", ".join(found.blocks)),
            ("e-mails switched off", ", ".join(found.preferences)),
        ]
        rows = "".join(
            f'<tr><th>{label}</th><td dir="auto">{escape(value)}</td></tr>'
            for label, value in settings
            if value
        )
        yield f"<section><h3>Account</h3><table>{rows}</table></section>"
        servers = []
        for body in sorted(found.audience, key=lambda b: text(b, "host") or ""):
            why = ", ".join(
                f"{reason.replace('_', ' ')} ({count})"
                for reason, count in mapping(body, "why").items()
            )
            host = escape(text(body, "host") or "")
            servers.append(f"<tr><th>{host}</th><td><small>{escape(why)}</small></td></tr>")
        more = len(found.known_pods - {text(body, "host") for body in found.audience})
        others = f"<p>{more:,} others that the old server knew may, too.</p>" if more else ""
        yield (
            "<section><h3>Servers that know this account</h3>"
            f"<table>{''.join(servers)}</table>{others}</section>"
        )
