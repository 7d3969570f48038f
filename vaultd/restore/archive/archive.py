"""`--format diaspora`: an account archive that diaspora*'s own importer accepts.

The vault is read once, into a sealed scratch database; the JSON is written from it piece by
piece, and what chapters need of each other is in an index. Memory does not grow with the account.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from vaultd.errors import DamageError
from vaultd.fields import entity, flag, mapping, text, texts
from vaultd.printable import printable
from vaultd.records import Body, Json, StoredRecord
from vaultd.restore import importer_rules as rules
from vaultd.restore.archive import entities as diaspora_entities
from vaultd.restore.archive import relayables as diaspora_relayables
from vaultd.restore.archive import user as diaspora_user
from vaultd.restore.archive.entities import Writing
from vaultd.restore.archive.leftovers import leftovers, private_post
from vaultd.restore.archive.photos_zip import write_photos
from vaultd.restore.archive.report import Report, Section
from vaultd.restore.index import JoinIndex, KnownPerson, scratch_index
from vaultd.restore.output.faults import Faults
from vaultd.restore.output.paths import inside
from vaultd.restore.output.private_file import private_file
from vaultd.restore.point import RestorePoint
from vaultd.restore.read_once import read_once

REPORT: Final = "restore-report.txt"
_FIRST_PASS: Final = frozenset(
    "account profile aspect contact block photo person received_reshare subscriber".split()
)
_DAMAGE: Final = "damaged places."
_RECEIVED: Final = frozenset({"received_comment", "received_like", "received_poll_vote"})
_Maker: TypeAlias = "Callable[[Writing, StoredRecord], Body | str | None]"


def write_diaspora(snapshot: RestorePoint, out: Path, *, email: str | None = None) -> Report:
    """Write `<username>.json.gz`, `<username>_photos.zip` and the report into `out`.

    `email` takes the place of the account's own address, which the importer may refuse.
    Raises OSError, and what the snapshot raises when its place is gone.
    """
    with read_once(snapshot, out) as point:
        report = _write(point, out, email)
        report.counts = point.counts
    return report


def _write(snapshot: RestorePoint, out: Path, email: str | None) -> Report:
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
            email=email,
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
    snapshot.damage += archive.faults.sentences()
    for sentence in snapshot.damage:
        report.add(Section.DAMAGE, _DAMAGE, sentence)
    with private_file(out, REPORT) as file:
        for line in report.lines():
            file.write(printable(line).encode("utf-8", "replace") + b"\n")
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
        self.faults = Faults()

    def pieces(self) -> Iterator[str]:
        """Yield the archive's JSON text."""
        writing = self._writing
        self._first_pass()
        username = self._snapshot.manifest.username
        settings = diaspora_user.head(writing, username, self._account, self._aspects)
        groups = (_json({"name": name}) for name in self._aspects.values())
        yield '{"version":"2.0","user":{'
        yield _json(settings)[1:-1]
        yield from self._array("blocks", self._made({"block"}, diaspora_user.block))
        yield f',"profile":{_json(diaspora_user.profile(writing, self._profile))}'
        yield from self._array("contact_groups", groups, "aspects")
        yield from self._array("contacts", self._made({"contact"}, self._contact), "contacts")
        yield from self._array("posts", self._made({"post"}, _post), "posts")
        tags = self._made({"followed_tag"}, diaspora_user.followed_tag)
        yield from self._array("followed_tags", tags, "followed tags")
        subscriptions = self._made({"subscription"}, diaspora_user.subscription)
        yield from self._array("post_subscriptions", subscriptions, "subscriptions to posts")
        own = self._made({"comment", "like", "poll_vote"}, diaspora_relayables.own)
        yield from self._array("relayables", own, "own comments, likes and votes")
        yield '},"others_data":{'
        others = self._made(_RECEIVED, self._received)
        written = self._array("relayables", others, "comments, likes and votes of others")
        yield from _without_comma(written)
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
                self.faults.guard(record, _index, index, record.kind, record.id, body)
        index.photo_order_ready()
        self._blocked = frozenset(blocked)
        self._aspects = diaspora_user.aspect_names(self._writing, aspects)

    def _contact(self, writing: Writing, record: StoredRecord) -> Body | None:
        return diaspora_user.contact(writing, record, self._aspects)

    def _received(self, writing: Writing, record: StoredRecord) -> Body | None:
        return diaspora_relayables.received(writing, record, self._blocked)

    def _authors(self) -> Iterator[str]:
        for handle, guid, key in self._writing.index.other_authors():
            if rules.is_guid(guid) and rules.is_storable(key):
                yield _json({"account_id": handle, "guid": guid, "public_key": key})

    def _made(self, kinds: Collection[str], make: _Maker) -> Iterator[str]:
        """Yield the JSON of each record of these kinds that the archive takes."""
        for record in self._snapshot.records(kinds):
            made = self.faults.guard(record, self._item, make, record)
            if made:
                yield made

    def _item(self, make: _Maker, record: StoredRecord) -> str:
        try:
            made = make(self._writing, record)
            return "" if made is None else _json(made)
        except Exception:
            # It is not in the archive after all, so nothing may lean on it.
            body = record.body or {}
            kind = "post" if record.kind == "post" else text(body, "entity_type") or ""
            self._writing.index.unkeep(kind, text(entity(body), "guid") or "")
            raise

    def _array(self, name: str, items: Iterator[str], what: str = "") -> Iterator[str]:
        yield f',"{name}":['
        comma = ""
        for item in items:
            yield comma + item
            comma = ","
            if what:
                self._writing.report.written[what] += 1
        yield "]"


def _post(writing: Writing, record: StoredRecord) -> Body | None:
    made = diaspora_entities.post(writing, record)
    if made is not None:
        private_post(writing, made)
    return made


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
    elif kind == "subscriber":
        author, post = text(entity(body), "author"), text(entity(body), "parent_guid")
        if author and post:
            index.add_tie(post, author)
    elif kind == "person":
        person = KnownPerson(
            guid=text(body, "guid"),
            public_key=text(body, "public_key"),
            name=text(body, "name"),
            closed=flag(body, "closed"),
        )
        index.add_person(record_id, person, text(body, "pod"))
        ties = mapping(body, "ties")
        # `subscribed_to` is of older vaults, which have no `subscriber` records.
        for post in (*texts(ties, "subscribed_to"), *texts(ties, "recipient_of")):
            index.add_tie(post, record_id)


def _without_comma(pieces: Iterator[str]) -> Iterator[str]:
    yield next(pieces).removeprefix(",")
    yield from pieces


def _json(value: Json) -> str:
    """Return JSON; raises ValueError for a number that JSON cannot write."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
