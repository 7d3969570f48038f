"""Comments, likes and votes as diaspora*'s exporter writes them, within the importer's rules."""

from __future__ import annotations

from vaultd.fields import entity, flag, mapping, text, texts
from vaultd.records import Body, Json, StoredRecord
from vaultd.restore import importer_rules as rules
from vaultd.restore.archive.author_signature import fits
from vaultd.restore.archive.entities import Writing
from vaultd.restore.archive.report import Section

_NAMES = {"comment": "comments", "like": "likes", "poll_participation": "poll votes"}

_GUID = "{own} with a guid that diaspora* does not accept; it would stop the whole import."
_AUTHOR = "{own} whose author has no valid diaspora* ID; it would stop the whole import."
_ORPHAN = "{own} on something that is gone (a deleted post, for instance); there is no parent."
_EMPTY = "{own} without text; an empty comment would stop the whole import."
_LONG = "{own} longer than 65,535 characters; such a text would stop the whole import."
_ANSWER = "{own} without a valid answer; it would stop the whole import."
_TWICE = "{own} with a guid that another one of the archive has already."
_TYPE = "{own} of a type the archive format does not know."
_UNSIGNED = (
    "{own} by others without a signature of their author (the pod never had one, or lost it); "
    "the importer takes others' words only when they are signed."
)
_BROKEN_SIGNATURE = (
    "{own} by others with a NUL character in a signed text; it would stop the whole import, and "
    "without it the signature is wrong."
)
_PARENT_OUT = "{own} by others on posts that are not in the archive; the importer needs the post."
_ON_COMMENT_OTHERS = (
    "likes by others on comments (yours, or those on your posts); neither diaspora*'s exporter nor "
    "its importer handles them."
)
_ON_COMMENT = "your likes on comments; the importer looks for their parent among posts only."
_DATED_NOW = "comments of yours: the importer dates them by the moment of the import."
_OLD_POD = (
    "comments, likes and votes of yours on posts of the old pod itself. The importer asks only the "
    "old pod for them: if it is gone, those survive whose post the new pod knows already."
)
_THROUGH_OLD_POD = (
    "comments, likes and votes of yours on posts of other pods. The importer asks the old pod the "
    "way there: if it is gone, those survive whose post the new pod knows already."
)
_SIGNATURE = (
    "{own} by others whose signature does not fit the key the old pod had of their author; the "
    "importer refuses them one by one."
)
_BLOCKED = (
    "{own} in the archive by people you block. The importer takes them before it sets the "
    "blocks, but a second import would stop at them: undo the blocks before you repeat one."
)


def own(writing: Writing, record: StoredRecord) -> Body | None:
    """Return an own relayable of the archive; None when it is left out (the report says why)."""
    made = _relayable(writing, record, "your {name}")
    if made is None:
        return None
    body = record.body or {}
    data = entity(made)
    if record.kind == "comment":
        writing.report.add(Section.NOTE, _DATED_NOW)
    if data.get("parent_type") == "Comment":
        writing.report.add(Section.PASSED_OVER, _ON_COMMENT, f"like {record.id}")
    elif not _parent_kept(writing, made):
        author = text(mapping(body, "parent"), "author")
        local = author is not None and rules.host_of(author) == writing.host
        writing.report.add(Section.NOTE, _OLD_POD if local else _THROUGH_OLD_POD)
    return made


def received(writing: Writing, record: StoredRecord, blocked: frozenset[str]) -> Body | None:
    """Return another's relayable on an own post; None when it is left out."""
    body = record.body or {}
    data = entity(body)
    report = writing.report
    if data.get("parent_type") == "Comment" or text(mapping(body, "parent"), "type") == "Comment":
        report.add(Section.LEFT_OUT, _ON_COMMENT_OTHERS, _describe(record, data))
        return None
    name = _NAMES.get(text(body, "entity_type") or "", "items")
    signature = text(data, "author_signature") or ""
    if len(signature) < rules.MIN_SIGNATURE:
        report.add(Section.LEFT_OUT, _UNSIGNED.format(own=name), _describe(record, data))
        return None
    if not rules.is_storable(data):
        report.add(Section.LEFT_OUT, _BROKEN_SIGNATURE.format(own=name), _describe(record, data))
        return None
    if not _parent_kept(writing, body) and rules.is_guid(data.get("parent_guid")):
        report.add(Section.LEFT_OUT, _PARENT_OUT.format(own=name), _describe(record, data))
        return None
    made = _relayable(writing, record, "{name} by others")
    if made is None:
        return None
    out = entity(made)
    out["author_signature"] = signature
    # What the author signed beyond the usual (an edit time, say) belongs to the signature.
    more = mapping(mapping(body, "row"), "additional_data")
    out |= {key: value for key, value in more.items() if key not in out}
    signed = [name for name in texts(made, "property_order") if name in data]
    out |= {name: data[name] for name in signed if name not in out}
    author = text(data, "author") or ""
    writing.index.add_author(author)
    known = writing.index.person(author).public_key
    if known and fits(out, texts(made, "property_order"), signature, known) is False:
        report.add(Section.PASSED_OVER, _SIGNATURE.format(own=name), _describe(record, data))
    if author in blocked:
        report.add(Section.NOTE, _BLOCKED.format(own=name), _describe(record, data))
    return made


def _relayable(writing: Writing, record: StoredRecord, whose: str) -> Body | None:
    body = record.body or {}
    kind = text(body, "entity_type") or ""
    data = entity(body)
    name = whose.format(name=_NAMES.get(kind, "items"))
    reason = _objection(kind, data)
    guid = text(data, "guid") or ""
    if not reason and not writing.index.keep(kind, guid):
        reason = _TWICE
    if reason:
        writing.report.add(Section.LEFT_OUT, reason.format(own=name), _describe(record, data))
        return None
    what = _describe(record, data)
    data = writing.storable(data, what)
    made: Body = {
        "author": data["author"],
        "guid": guid,
        "parent_guid": data["parent_guid"],
    }
    if kind == "comment":
        words = text(data, "text") or ""
        writing.note_long(words, what)
        made["text"] = words
        made["created_at"] = writing.time(data, what)
    elif kind == "like":
        made["parent_type"] = text(data, "parent_type") or "Post"
        made["positive"] = data.get("positive") is None or flag(data, "positive")
    else:
        made["poll_answer_guid"] = data["poll_answer_guid"]
    order: list[Json] = [*texts(body, "property_order")] or [*rules.ORDERS[kind]]
    return {"entity_type": kind, "entity_data": made, "property_order": order}


def _objection(kind: str, data: Body) -> str:
    if kind not in rules.ORDERS:
        return _TYPE
    if not rules.is_guid(data.get("guid")):
        return _GUID
    if not rules.is_handle(data.get("author")):
        return _AUTHOR
    if not rules.is_guid(data.get("parent_guid")):
        return _ORPHAN
    if kind == "comment":
        words = rules.storable(text(data, "text") or "")
        if not isinstance(words, str) or not words.strip():
            return _EMPTY
        if len(words) > rules.MAX_TEXT:
            return _LONG
    if kind == "like" and data.get("parent_type") not in (None, "Post", "Comment"):
        return _TYPE
    if kind == "poll_participation" and not rules.is_guid(data.get("poll_answer_guid")):
        return _ANSWER
    return ""


def _parent_kept(writing: Writing, body: Body) -> bool:
    kind = "poll" if text(body, "entity_type") == "poll_participation" else "post"
    return writing.index.is_kept(kind, text(entity(body), "parent_guid") or "")


def _describe(record: StoredRecord, data: Body) -> str:
    when = text(data, "created_at")
    parts = [f"{record.kind.removeprefix('received_')} {text(data, 'guid') or record.id}"]
    if record.kind.startswith("received_"):
        parts.append(f"by {text(data, 'author') or 'nobody'}")
    parts.append(f"on {text(data, 'parent_guid') or 'nothing'}")
    if when:
        parts.append(f"of {when}")
    return " ".join(parts)
