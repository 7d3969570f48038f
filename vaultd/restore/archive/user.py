"""The account itself in a diaspora* archive: settings, profile, aspects, contacts, lists."""

from __future__ import annotations

from vaultd.fields import entity, flag, text, texts
from vaultd.records import Body, Json, StoredRecord
from vaultd.restore import importer_rules as rules
from vaultd.restore.archive.entities import Writing
from vaultd.restore.archive.report import Section

_PROFILE_TEXTS = (
    "first_name",
    "last_name",
    "image_url",
    "image_url_medium",
    "image_url_small",
    "birthday",
    "gender",
    "bio",
    "location",
    "tag_string",
)
_PROFILE_FLAGS = ("searchable", "public", "nsfw")
_EMPTY_AS_TEXT = ("first_name", "last_name", "gender", "bio", "location")

_LOST_ACCOUNT = (
    "account record: user name from the manifest, no e-mail and no private key. Without the key "
    "diaspora* refuses the archive."
)
_NO_KEY = "private key is missing; diaspora* refuses an archive without it."
_NO_EMAIL = (
    "account has no e-mail; the importer can only fill an existing user with it, not make one."
)
_BAD_EMAIL = (
    "account has an e-mail address that diaspora* refuses; it would stop the import into a new "
    "account. Restore again with --email ADDRESS, or import into an existing user."
)
_LANGUAGE = "language is no code that diaspora* knows; the new pod's own is taken."
_EMPTY_FIELDS = "profile fields that are empty; the new pod stores an empty text in them."
_CLOSED = "account was closed when it was backed up; what its pod had deleted cannot come back."
_NAME = (
    "names in the profile had a semicolon or more than 32 characters, which would stop the import."
)
_SHORTENED = "profile fields were longer than diaspora* takes and are cut."
_BIRTHDAY = "birthday is not a date and is left out of the profile."
_TAGS = "tags of the profile beyond the first five are left out."
_ASPECT = (
    "aspects renamed: diaspora* takes at most 20 characters and no two names that differ only in "
    "case; their contacts stay together under the new name."
)
_CONTACT = "contacts whose diaspora* ID is not valid; it would stop the whole import."
_SELF = "contacts with the account itself; diaspora* allows none."
_FOLLOWER = (
    "contacts who only follow you; the importer takes those you share with. The followers' pods "
    "tell the new pod nothing of them by themselves."
)
_NOBODY = "contacts with sharing in neither direction; the importer skips them."
_CLOSED_CONTACT = "contacts whose account is closed; the importer drops them."
_BLOCK = "blocks of somebody without a valid diaspora* ID; it would stop the whole import."
_TAG = "followed tags that are empty or longer than 255 characters."
_SUBSCRIPTION = "subscriptions to something that is gone or has no valid guid."


def head(writing: Writing, username: str, account: Body | None, aspects: dict[str, str]) -> Body:
    """Return the settings at the start of the archive's `user`."""
    report = writing.report
    if account is None:
        report.add(Section.DAMAGE, _LOST_ACCOUNT)
        account = {}
    account = writing.storable(account, "account settings")
    key = text(account, "private_key") or ""
    if account and not key:
        report.add(Section.NOTE, _NO_KEY)
    email = text(account, "email") or "" if writing.email is None else writing.email
    if account and not email:
        report.add(Section.NOTE, _NO_EMAIL)
    elif account and not rules.is_email(email):
        report.obstacle(_BAD_EMAIL, repr(email[:80]))
    if text(account, "state") == "closed":
        report.add(Section.NOTE, _CLOSED)
    made: Body = {"username": text(account, "username") or username, "email": email}
    language = text(account, "language")
    if language and rules.is_language(language):
        made["language"] = language
    elif language:
        report.add(Section.CHANGED, _LANGUAGE, repr(language[:80]))
    made["private_key"] = key
    for name in ("disable_mail", "show_community_spotlight_in_stream", "auto_follow_back"):
        made[name] = flag(account, name)
    made["auto_follow_back_aspect"] = aspects.get(text(account, "auto_follow_back_aspect") or "")
    return made


def profile(writing: Writing, stored: Body | None) -> Body:
    """Return the archive's `profile`."""
    report = writing.report
    data = writing.storable(entity(stored or {}), "profile")
    made: Body = {"author": writing.handle}
    if rules.is_time(data.get("edited_at")):
        made["edited_at"] = data["edited_at"]
    for key in _PROFILE_TEXTS:
        value = text(data, key)
        if value is not None:
            made[key] = value
    for key in _PROFILE_FLAGS:
        if isinstance(data.get(key), bool):
            made[key] = data[key]
    empty = [name for name in _EMPTY_AS_TEXT if not text(made, name)]
    report.add(Section.NOTE, _EMPTY_FIELDS, ", ".join(empty), count=len(empty) if stored else 0)
    for name in ("first_name", "last_name"):
        value = text(made, name)
        if value is not None and (";" in value or len(value) > rules.MAX_PERSON_NAME):
            made[name] = value.replace(";", ",")[: rules.MAX_PERSON_NAME]
            report.add(Section.CHANGED, _NAME, f"{name}: {value!r} became {made[name]!r}")
    for name, limit in (("gender", 255), ("location", 255), ("bio", rules.MAX_TEXT)):
        value = text(made, name)
        if value is not None and len(value) > limit:
            made[name] = value[:limit]
            report.add(Section.CHANGED, _SHORTENED, f"{name}: cut to {limit} characters")
    birthday = text(made, "birthday")
    if birthday is not None and not rules.is_birthday(birthday):
        del made["birthday"]
        report.add(Section.CHANGED, _BIRTHDAY, birthday)
    tags = (text(made, "tag_string") or "").split()
    if len(tags) > rules.MAX_PROFILE_TAGS:
        made["tag_string"] = " ".join(tags[: rules.MAX_PROFILE_TAGS])
        for tag in tags[rules.MAX_PROFILE_TAGS :]:
            report.add(Section.CHANGED, _TAGS, tag)
    return {"entity_type": "profile", "entity_data": made}


def aspect_names(writing: Writing, aspects: list[StoredRecord]) -> dict[str, str]:
    """Return the archive's name of each aspect by its id, in the user's order."""

    def place(record: StoredRecord) -> tuple[int, str]:
        order = (record.body or {}).get("order_id")
        return (order if isinstance(order, int) else 1 << 31, record.id.rjust(20))

    names: dict[str, str] = {}
    taken: set[str] = set()
    for record in sorted(aspects, key=place):
        wanted = text(record.body or {}, "name") or ""
        name = rules.aspect_name(str(rules.storable(wanted)), taken)
        if name != wanted:
            writing.report.add(Section.CHANGED, _ASPECT, f"{wanted!r} became {name!r}")
        names[record.id] = name
    return names


def contact(writing: Writing, record: StoredRecord, aspects: dict[str, str]) -> Body | None:
    """Return a contact of the archive; None when it is left out (the report says why)."""
    body = record.body or {}
    report = writing.report
    handle = text(body, "account_id") or record.id
    if not rules.is_handle(handle):
        report.add(Section.LEFT_OUT, _CONTACT, handle)
        return None
    if handle == writing.handle:
        report.add(Section.LEFT_OUT, _SELF, handle)
        return None
    person = writing.index.person(handle)
    sharing, receiving = flag(body, "sharing"), flag(body, "receiving")
    if person.closed and receiving:
        report.add(Section.PASSED_OVER, _CLOSED_CONTACT, handle)
    elif not receiving:
        report.add(Section.PASSED_OVER, _FOLLOWER if sharing else _NOBODY, handle)
    groups = [aspects[key] for key in texts(body, "aspects") if key in aspects]
    made: Body = {
        "sharing": sharing,
        "receiving": receiving,
        "following": sharing,
        "followed": receiving,
    }
    guid = text(body, "person_guid") or person.guid
    if rules.is_guid(guid):
        made["person_guid"] = guid
    if person.name is not None:
        made["person_name"] = str(rules.storable(person.name))
    made["account_id"] = handle
    if person.public_key:
        made["public_key"] = person.public_key
    memberships: list[Json] = [*groups]
    made["contact_groups_membership"] = memberships
    return made


def block(writing: Writing, record: StoredRecord) -> str | None:
    """Return a blocked diaspora* ID; None when it is left out."""
    handle = text(record.body or {}, "account_id") or record.id
    if not rules.is_handle(handle):
        writing.report.add(Section.LEFT_OUT, _BLOCK, handle)
        return None
    return handle


def followed_tag(writing: Writing, record: StoredRecord) -> str | None:
    """Return a followed tag's name; None when it is left out."""
    name = str(rules.storable(text(record.body or {}, "name") or record.id))
    if not name.strip() or len(name) > rules.MAX_LINE:
        writing.report.add(Section.LEFT_OUT, _TAG, name)
        return None
    return name


def subscription(writing: Writing, record: StoredRecord) -> str | None:
    """Return the guid of a post the user follows; None when it is left out."""
    guid = text(entity(record.body or {}), "parent_guid")
    if guid is None or not rules.is_guid(guid):
        writing.report.add(Section.LEFT_OUT, _SUBSCRIPTION, f"subscription {record.id}")
        return None
    return guid
