"""Posts and photos as diaspora*'s exporter writes them, within the importer's rules."""

from __future__ import annotations

from dataclasses import dataclass

from vaultd.fields import entity, flag, mapping, mappings, number, text, texts
from vaultd.records import Body, Json, StoredRecord
from vaultd.restore import importer_rules as rules
from vaultd.restore.archive.report import Report, Section
from vaultd.restore.index import JoinIndex

_POST_GUID = (
    "posts with a guid that diaspora* does not accept (16 to 255 plain characters); "
    "it would stop the whole import."
)
_POST_TWICE = "posts with a guid that another post of the archive has already."
_POST_LONG = "posts longer than 65,535 characters; such a text would stop the whole import."
_POST_TYPE = "posts of a type the archive format does not know."
_NO_TEXT = (
    "posts without a text in the database; written with an empty text, as the format needs one."
)
_BLANK = (
    "posts with neither text nor picture; the importer refuses such a post and says so in its log."
)
_NO_ROOT = (
    "reshares whose original post is gone; the importer skips every reshare without an original."
)
_NO_TIME = "posts and photos without a usable time; written with the time of the backup."
_POLL = (
    "polls (or their posts' poll part) that break diaspora*'s rules: a question, at least two "
    "answers, none empty or over 255 characters; the post is there without the poll."
)
_LOCATION = "places without address, latitude or longitude; the post is there without the place."
_PHOTO = "photos of posts without a usable guid, path or file name; the post is there without them."
_LONG_TAG = (
    "posts with a tag of more than 255 characters; the importer refuses such a post and says so in "
    "its log."
)
_LAST_ACTIVITY = (
    "posts: the importer takes its own time for that of the last activity on them, so a stream "
    "sorted by activity begins with them."
)
_PRIVATE_MENTIONS = (
    "private posts that mention somebody; the importer leaves the names as plain text."
)
_NUL = (
    "texts with NUL characters (or halves of characters), which PostgreSQL cannot store and "
    "which would stop the whole import; written without them."
)
_MYSQL = (
    "texts longer than 65,535 bytes: they fit a pod on PostgreSQL, but not one on MySQL/MariaDB."
)


@dataclass(frozen=True, slots=True)
class Writing:
    """What every part of one archive's writing shares."""

    handle: str
    at: str
    pod_url: str
    index: JoinIndex
    report: Report
    email: str | None = None

    @property
    def host(self) -> str:
        """The host of the pod that was backed up."""
        return rules.host_of(self.handle)

    def author(self, data: Body) -> str:
        """Return the author of an own thing."""
        return text(data, "author") or self.handle

    def storable(self, body: Body, what: str) -> Body:
        """Return the entity with texts any database can hold; a change is reported."""
        if rules.is_storable(body):
            return body
        self.report.add(Section.CHANGED, _NUL, what)
        cleaned = rules.storable(body)
        return cleaned if isinstance(cleaned, dict) else {}

    def time(self, data: Body, what: str) -> str:
        """Return a `created_at` the importer can read."""
        value = text(data, "created_at")
        if value is not None and rules.is_time(value):
            return value
        self.report.add(Section.CHANGED, _NO_TIME, what)
        return self.at

    def note_long(self, value: str, what: str) -> None:
        """Report a text that MySQL would cut."""
        if len(value) > rules.MAX_TEXT // 4 and len(value.encode()) > rules.MAX_TEXT:
            self.report.add(Section.NOTE, _MYSQL, what)


def post(writing: Writing, record: StoredRecord) -> Body | None:
    """Return a post of the archive; None when it is left out (the report says why)."""
    body = record.body or {}
    data = entity(body)
    kind = text(body, "entity_type") or ""
    what = f"post {text(data, 'guid') or record.id} of {text(data, 'created_at') or 'no date'}"
    report = writing.report
    guid = data.get("guid")
    if not isinstance(guid, str) or not rules.is_guid(guid):
        report.add(Section.LEFT_OUT, _POST_GUID, what)
        return None
    if kind == "status_message":
        if len(text(data, "text") or "") > rules.MAX_TEXT:
            report.add(Section.LEFT_OUT, _POST_LONG, what)
            return None
    elif kind != "reshare":
        report.add(Section.LEFT_OUT, _POST_TYPE, f"{what}: {kind!r}")
        return None
    if not writing.index.keep("post", guid):
        report.add(Section.LEFT_OUT, _POST_TWICE, what)
        return None
    report.add(Section.NOTE, _LAST_ACTIVITY)
    if kind == "reshare":
        return _reshare(writing, body, guid, what)
    return _status_message(writing, body, guid, what)


def _reshare(writing: Writing, body: Body, guid: str, what: str) -> Body:
    data = entity(body)
    made: Body = {
        "author": writing.author(data),
        "guid": guid,
        "created_at": writing.time(data, what),
    }
    root_guid, root_author = data.get("root_guid"), data.get("root_author")
    if rules.is_guid(root_guid) and rules.is_handle(root_author):
        made["root_author"] = root_author
        made["root_guid"] = root_guid
    else:
        writing.report.add(Section.PASSED_OVER, _NO_ROOT, what)
    return {
        "subscribed_pods_uris": _pods(writing, body, guid),
        "entity_type": "reshare",
        "entity_data": made,
    }


def _status_message(writing: Writing, body: Body, guid: str, what: str) -> Body:
    data = writing.storable(entity(body), what)
    public = flag(data, "public")
    written = text(data, "text")
    if written is None:
        writing.report.add(Section.CHANGED, _NO_TEXT, what)
        written = ""
    writing.note_long(written, what)
    if rules.has_long_tag(written):
        writing.report.add(Section.PASSED_OVER, _LONG_TAG, what)
    if not public and "@{" in written:
        writing.report.add(Section.NOTE, _PRIVATE_MENTIONS, what)
    photos = _photos(writing, guid)
    if not written.strip() and not photos:
        writing.report.add(Section.PASSED_OVER, _BLANK, what)
    made: Body = {
        "author": writing.author(data),
        "guid": guid,
        "created_at": writing.time(data, what),
        "public": public,
        "text": written,
        "photos": photos,
    }
    provider = text(data, "provider_display_name")
    if provider is not None:
        made["provider_display_name"] = provider
    location = _location(writing, mapping(data, "location"), what)
    if location:
        made["location"] = location
    poll = _poll(writing, mapping(data, "poll"), what)
    if poll:
        made["poll"] = poll
    out: Body = {}
    if public:
        out["subscribed_pods_uris"] = _pods(writing, body, guid)
    else:
        known = texts(mapping(body, "row"), "subscribed_users_ids")
        people = writing.index.people_of(guid, texts(body, "aspects"))
        readers = dict.fromkeys([*known, *people])
        out["subscribed_users_ids"] = [each for each in readers if rules.is_handle(each)]
    out["entity_type"] = "status_message"
    out["entity_data"] = made
    return out


def _pods(writing: Writing, body: Body, guid: str) -> list[Json]:
    known = texts(mapping(body, "row"), "subscribed_pods_uris")
    hosts = [*writing.index.contact_hosts(), *writing.index.hosts_tied_to(guid)]
    found = [*known, *(f"https://{host}" for host in hosts if host != writing.host)]
    found = [uri for uri in found if rules.is_storable(uri)]
    # diaspora* writes other pods without a slash at the end and itself, always, with one.
    return [*dict.fromkeys(uri for uri in found if uri != writing.pod_url), writing.pod_url]


def _location(writing: Writing, nested: Body, what: str) -> Body | None:
    if not nested:
        return None
    data = entity(nested)
    address, lat, lng = (text(data, key) for key in ("address", "lat", "lng"))
    if address is None or not lat or not lng:
        writing.report.add(Section.CHANGED, _LOCATION, what)
        return None
    place: Body = {"address": address, "lat": lat, "lng": lng}
    return {"entity_type": "location", "entity_data": place}


def _poll(writing: Writing, nested: Body, what: str) -> Body | None:
    if not nested:
        return None
    data = entity(nested)
    answers: list[Json] = []
    fine = True
    for item in mappings(data, "poll_answers"):
        guid, answer = entity(item).get("guid"), text(entity(item), "answer")
        fine = fine and rules.is_guid(guid) and bool(answer)
        fine = fine and len(answer or "") <= rules.MAX_LINE
        answers.append(
            {"entity_type": "poll_answer", "entity_data": {"guid": guid, "answer": answer}}
        )
    guid, question = text(data, "guid"), text(data, "question")
    fine = fine and len(answers) >= rules.MIN_POLL_ANSWERS
    if not fine or not guid or not rules.is_guid(guid) or not question:
        writing.report.add(Section.CHANGED, _POLL, what)
        return None
    if len(question) > rules.MAX_LINE or not writing.index.keep("poll", guid):
        writing.report.add(Section.CHANGED, _POLL, what)
        return None
    made: Body = {"guid": guid, "question": question, "poll_answers": answers}
    return {"entity_type": "poll", "entity_data": made}


def _photos(writing: Writing, post_guid: str) -> list[Json]:
    made: list[Json] = []
    for body in writing.index.photos(post_guid):
        data = entity(body)
        guid = data.get("guid")
        what = f"photo {guid} of post {post_guid}"
        data = writing.storable(data, what)
        path, name = text(data, "remote_photo_path"), text(data, "remote_photo_name")
        if not rules.is_guid(guid) or not path or not name:
            writing.report.add(Section.LEFT_OUT, _PHOTO, what)
            continue
        photo: Body = {
            "guid": guid,
            "author": writing.author(data),
            "public": flag(data, "public"),
            "created_at": writing.time(data, what),
            "remote_photo_path": path,
            "remote_photo_name": name,
        }
        caption = text(data, "text")
        if caption is not None:
            photo["text"] = caption
        photo["status_message_guid"] = post_guid
        for size in ("height", "width"):
            value = number(data, size)
            if value is not None:
                photo[size] = value
        made.append({"entity_type": "photo", "entity_data": photo})
    return made
