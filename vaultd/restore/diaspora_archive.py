"""`--format diaspora`: an account archive that diaspora*'s own importer accepts.

The JSON is written piece by piece, reading the snapshot once per chapter; what chapters need of
each other is in the scratch index. So memory does not grow with the account.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from vaultd.errors import DamageError
from vaultd.fields import entity, flag, mapping, text, texts
from vaultd.records import Body, Json, StoredRecord
from vaultd.restore import diaspora_entities, diaspora_relayables, diaspora_user
from vaultd.restore.diaspora_entities import Writing
from vaultd.restore.diaspora_leftovers import leftovers, private_post
from vaultd.restore.index import JoinIndex, KnownPerson, scratch_index
from vaultd.restore.paths import inside
from vaultd.restore.photos_zip import write_photos
from vaultd.restore.point import RestorePoint
from vaultd.restore.private_file import private_file
from vaultd.restore.report import Report, Section

REPORT: Final = "restore-report.txt"
_FIRST_PASS: Final = frozenset(
    {"account", "profile", "aspect", "contact", "block", "photo", "person", "received_reshare"}
)
_DAMAGE: Final = "damaged places."
_Maker: TypeAlias = Callable[[Writing, StoredRecord], str | None]


def write_diaspora(snapshot: RestorePoint, out: Path) -> Report:
    """Write `<username>.json.gz`, `<username>_photos.zip` and the report into `out`.

    Raises OSError, and what the snapshot raises when its place is gone.
    """
    manifest = snapshot.manifest
    report = Report(manifest.account, manifest.time)
    stem = _stem(out, manifest.username)
    with scratch_index(out) as index:
        writing = Writing(
            handle=manifest.account,
            at=manifest.time,
            pod_url=manifest.pod_url.rstrip("/") + "/",
            index=index,
            report=report,
        )
        archive = _Archive(snapshot, writing)
        with (
            private_file(out, f"{stem}.json.gz") as file,
            gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
        ):
            for piece in archive.pieces():
                packed.write(piece.encode("utf-8", "replace"))
        archive.report_leftovers()
    report.written["pictures in the photos archive"] = write_photos(
        snapshot, out, f"{stem}_photos.zip", report
    )
    for sentence in snapshot.damage:
        report.add(Section.DAMAGE, _DAMAGE, sentence)
    with private_file(out, REPORT) as file:
        for line in report.lines():
            file.write(line.encode("utf-8", "replace") + b"\n")
    return report


def _stem(out: Path, username: str) -> str:
    try:
        inside(out, f"{username}_photos.zip")
        inside(out, f"{username}.json.gz")
    except DamageError:
        return "account"
    return username


class _Archive:
    """The pieces of one archive."""

    def __init__(self, snapshot: RestorePoint, writing: Writing) -> None:
        self._snapshot = snapshot
        self._writing = writing
        self._account: Body | None = None
        self._profile: Body | None = None
        self._blocked: frozenset[str] = frozenset()
        self._aspects: dict[str, str] = {}

    def pieces(self) -> Iterator[str]:
        """Yield the archive's JSON text."""
        writing = self._writing
        self._first_pass()
        username = self._snapshot.manifest.username
        settings = diaspora_user.head(writing, username, self._account, self._aspects)
        groups: list[Json] = [{"name": name} for name in self._aspects.values()]
        yield '{"version":"2.0","user":{'
        yield _json(settings)[1:-1]
        yield from self._array("blocks", self._each("block", diaspora_user.block))
        yield f',"profile":{_json(diaspora_user.profile(writing, self._profile))}'
        yield from self._array("contact_groups", groups, "aspects")
        yield from self._array("contacts", self._contacts(), "contacts")
        yield from self._array("posts", self._posts(), "posts")
        yield from self._array(
            "followed_tags", self._each("followed_tag", diaspora_user.followed_tag), "followed tags"
        )
        yield from self._array(
            "post_subscriptions",
            self._each("subscription", diaspora_user.subscription),
            "subscriptions to posts",
        )
        yield from self._array("relayables", self._own(), "own comments, likes and votes")
        yield '},"others_data":{'
        others = self._array("relayables", self._received(), "comments, likes and votes of others")
        yield from _without_comma(others)
        yield from self._array("non_contact_authors", self._authors())
        yield "}}\n"

    def report_leftovers(self) -> None:
        """Report what has no place in the archive; call after the pieces."""
        leftovers(self._writing, self._snapshot, self._account or {}, self._profile or {})

    def _first_pass(self) -> None:
        index, blocked = self._writing.index, []
        aspects: list[StoredRecord] = []
        for record in self._snapshot.records(_FIRST_PASS):
            body = record.body or {}
            if record.kind == "account":
                self._account = body
            elif record.kind == "profile":
                self._profile = body
            elif record.kind == "aspect":
                aspects.append(record)
            elif record.kind == "block":
                blocked.append(record.id)
            else:
                _index(index, record.kind, record.id, body)
        index.photo_order_ready()
        self._blocked = frozenset(blocked)
        self._aspects = diaspora_user.aspect_names(self._writing, aspects)

    def _contacts(self) -> Iterator[Json]:
        for record in self._snapshot.records({"contact"}):
            made = diaspora_user.contact(self._writing, record, self._aspects)
            if made is not None:
                yield made

    def _posts(self) -> Iterator[Json]:
        for record in self._snapshot.records({"post"}):
            made = diaspora_entities.post(self._writing, record)
            if made is not None:
                private_post(self._writing, made)
                yield made

    def _own(self) -> Iterator[Json]:
        for record in self._snapshot.records({"comment", "like", "poll_vote"}):
            made = diaspora_relayables.own(self._writing, record)
            if made is not None:
                yield made

    def _received(self) -> Iterator[Json]:
        kinds = {"received_comment", "received_like", "received_poll_vote"}
        for record in self._snapshot.records(kinds):
            made = diaspora_relayables.received(self._writing, record, self._blocked)
            if made is not None:
                yield made

    def _authors(self) -> Iterator[Json]:
        for handle, guid, key in self._writing.index.other_authors():
            yield {"account_id": handle, "guid": guid, "public_key": key}

    def _each(self, kind: str, make: _Maker) -> Iterator[Json]:
        for record in self._snapshot.records({kind}):
            made = make(self._writing, record)
            if made is not None:
                yield made

    def _array(self, name: str, items: Iterable[Json], what: str = "") -> Iterator[str]:
        yield f',"{name}":['
        comma = ""
        for item in items:
            yield comma + _json(item)
            comma = ","
            if what:
                self._writing.report.written[what] += 1
        yield "]"


def _index(index: JoinIndex, kind: str, record_id: str, body: Body) -> None:
    if kind == "photo":
        data = entity(body)
        post = text(data, "status_message_guid")
        index.add_photo(record_id, post, text(data, "created_at") or "", body)
    elif kind == "contact":
        index.add_contact(text(body, "account_id") or record_id, texts(body, "aspects"))
    elif kind == "received_reshare":
        author, root = text(entity(body), "author"), text(entity(body), "root_guid")
        if author and root:
            index.add_tie(root, author)
    elif kind == "person":
        person = KnownPerson(
            guid=text(body, "guid"),
            public_key=text(body, "public_key"),
            name=text(body, "name"),
            closed=flag(body, "closed"),
        )
        index.add_person(record_id, person, text(body, "pod"))
        ties = mapping(body, "ties")
        for post in (*texts(ties, "subscribed_to"), *texts(ties, "recipient_of")):
            index.add_tie(post, record_id)


def _without_comma(pieces: Iterator[str]) -> Iterator[str]:
    yield next(pieces).removeprefix(",")
    yield from pieces


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
