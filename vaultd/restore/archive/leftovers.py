"""What the vault holds and a diaspora* archive, or its importer, has no place for."""

from __future__ import annotations

from vaultd.fields import entity, flag, text, texts
from vaultd.records import Body, StoredRecord
from vaultd.restore.archive.entities import Writing
from vaultd.restore.archive.report import Section
from vaultd.restore.point import RestorePoint

_BY_KIND = {
    "conversation": "private conversations; they are in the vault and in the HTML pages.",
    "message": "private messages in those conversations.",
    "preference": "e-mail notifications you switched off; the new account sends them all again.",
    "role": "roles (administrator, moderator); a new pod gives its own.",
    "received_reshare": "reshares of your posts by others; they stay on the others' pods.",
    "subscriber": "people who follow your posts; the archive names only their pods.",
    "shared_post": "private posts that others shared with you; they are in the HTML pages.",
    "shared_photo": "photos that others shared with you (their names; the pictures are theirs).",
    "shared_comment": "comments by others on posts that were shared with you.",
    "shared_like": "likes by others on posts that were shared with you, and on comments there.",
    "shared_poll_vote": "votes by others in polls that were shared with you.",
    "audience": (
        "pods that know the account, and why; the importer tells only the pods of your contacts "
        "that you moved."
    ),
    "known_pods": "pods that the old pod knew, whether they know the account or not.",
}
_NAMED = frozenset({"preference", "role"})

_SETTINGS = (
    ("encrypted_password", 'password; the importer makes a random one, use "forgot password".'),
    ("otp_required_for_login", "two-factor login; switch it on again on the new pod."),
    ("color_theme", "choice of colours."),
    ("post_default_public", "default audience of new posts."),
    ("disable_mail", 'switch "no e-mails at all" (it is in the archive, the importer ignores it).'),
    ("hidden_posts", "posts you have hidden."),
    ("invited_by", "memory of who invited you."),
    ("invitation_codes", "invitation codes."),
    ("moved_from", "memory of the account that you moved from before."),
    ("services", "connections to other services."),
    ("reports", "reports you made to your administrator."),
)
_FRIENDS_LIST = (
    "private posts: the archive names their readers, but the importer does not restore who may "
    "read them, so later comments on them reach nobody."
)
_AVATAR = (
    "profile picture: the importer goes on pointing to the old pod's copy. When that is gone the "
    "picture is gone: set it again from the photos archive."
)
_LONE = "photos that belong to no post (profile pictures, old uploads): only their files are there."
_LOST_POST = "photos whose post is not in the archive: only their files are there."
_ORDER = "order of your aspects."


def leftovers(writing: Writing, snapshot: RestorePoint, account: Body, profile: Body) -> None:
    """Report everything of the point that the archive cannot carry."""
    report = writing.report
    for record in snapshot.records(_BY_KIND):
        item = _name(record) if record.kind in _NAMED else None
        count = len(texts(record.body or {}, "hosts")) if record.kind == "known_pods" else 1
        report.add(Section.NO_PLACE, _BY_KIND[record.kind], item, count)
    for key, sentence in _SETTINGS:
        value = account.get(key)
        if value:
            report.add(
                Section.NO_PLACE, sentence, count=len(value) if isinstance(value, list) else 1
            )
    # diaspora* gives the default picture as an address within the pod.
    if (text(entity(profile), "image_url") or "").startswith("http"):
        report.add(Section.NOTE, _AVATAR)
    report.add(Section.NO_PLACE, _ORDER, count=int(bool(report.written["aspects"])))
    for guid, has_post in writing.index.photos_without_kept_post():
        reason = _LOST_POST if has_post else _LONE
        report.add(Section.NO_PLACE, reason, f"photo {guid}")


def private_post(writing: Writing, made: Body) -> None:
    """Report what a private post loses."""
    if "subscribed_users_ids" in made and not flag(entity(made), "public"):
        writing.report.add(Section.NO_PLACE, _FRIENDS_LIST)


def _name(record: StoredRecord) -> str:
    body = record.body or {}
    return text(body, "name") or text(body, "email_type") or record.id
