"""What `tables` leaves out: minor tables, foreign keys, more indexes, the migrations of a release.

Same notation as there. A foreign key is `column target` and, where the database itself deletes
the dependants, `cascade`; diaspora* has few of them, so orphans are possible everywhere else.
"""

from __future__ import annotations

from typing import Final

MORE_TABLES: Final = """
o_auth_applications: user_id i | client_id s | client_secret s | client_name s | redirect_uris t
    | response_types s | grant_types s | application_type s='web' | contacts s | logo_uri s
    | client_uri s | policy_uri s | tos_uri s | sector_identifier_uri s
    | token_endpoint_auth_method s | jwks t | jwks_uri s | ppid b=0 | created_at d! | updated_at d!
authorizations: user_id i | o_auth_application_id i | refresh_token s | code s | redirect_uri s
    | nonce s | scopes s@0.7 | scopes t@0.9 | code_used b=0 | created_at d! | updated_at d!
o_auth_access_tokens: authorization_id i | token s | expires_at d | created_at d! | updated_at d!
ppid: o_auth_application_id i | user_id i | guid s32 | identifier s
simple_captcha_data: key s40 | value s12 | created_at d | updated_at d
chat_fragments@0.7: user_id i! | root s256! | namespace s256! | xml t!
chat_offline_messages@0.7: from s! | to s! | message t! | created_at d!
"""

PRIMARY_KEYS: Final = {"schema_migrations": "version", "ar_internal_metadata": "key"}
BIG_IDS: Final = frozenset({"account_migrations", "references"})

FOREIGN_KEYS: Final = {
    "people": ("pod_id pods cascade",),
    "profiles": ("person_id people cascade",),
    "contacts": ("person_id people cascade",),
    "aspect_memberships": ("aspect_id aspects cascade", "contact_id contacts cascade"),
    "aspect_visibilities": ("aspect_id aspects cascade",),
    "share_visibilities": ("user_id users cascade",),
    "posts": ("author_id people cascade",),
    "comments": ("author_id people cascade",),
    "likes": ("author_id people cascade",),
    "comment_signatures": ("comment_id comments cascade", "signature_order_id signature_orders"),
    "like_signatures": ("like_id likes cascade", "signature_order_id signature_orders"),
    "poll_participation_signatures": (
        "poll_participation_id poll_participations cascade",
        "signature_order_id signature_orders",
    ),
    "conversations": ("author_id people cascade",),
    "conversation_visibilities": (
        "conversation_id conversations cascade",
        "person_id people cascade",
    ),
    "messages": ("conversation_id conversations cascade", "author_id people cascade"),
    "notification_actors": ("notification_id notifications cascade",),
    "services": ("user_id users cascade",),
    "account_migrations": ("old_person_id people", "new_person_id people"),
    "o_auth_applications": ("user_id users",),
    "authorizations": ("user_id users", "o_auth_application_id o_auth_applications"),
    "o_auth_access_tokens": ("authorization_id authorizations",),
    "ppid": ("o_auth_application_id o_auth_applications", "user_id users"),
}

MORE_UNIQUE: Final = {
    "users": ("authentication_token",),
    "account_deletions": ("person_id",),
    "account_migrations": ("old_person_id", "old_person_id new_person_id"),
    "comment_signatures": ("comment_id",),
    "like_signatures": ("like_id",),
    "poll_participation_signatures": ("poll_participation_id",),
    "notifications": ("guid",),
    "notification_actors": ("notification_id person_id",),
    "references": ("source_id source_type target_id target_type",),
    "o_auth_applications": ("client_id",),
    "o_auth_access_tokens": ("token",),
    "chat_contacts": ("user_id jid",),
    "chat_fragments": ("user_id root namespace",),
}

MORE_INDEXES: Final = {
    "posts": ("id type", "created_at id"),
    "profiles": ("full_name", "full_name searchable"),
    "aspect_memberships": ("aspect_id", "contact_id"),
    "aspect_visibilities": ("aspect_id", "shareable_id shareable_type"),
    "share_visibilities": ("shareable_id", "shareable_id shareable_type hidden user_id"),
    "participations": ("guid",),
    "conversations": ("author_id",),
    "conversation_visibilities": ("conversation_id",),
    "mentions": ("person_id",),
    "references": ("source_id source_type",),
    "taggings": ("created_at", "tag_id", "taggable_id taggable_type context"),
    "tag_followings": ("tag_id", "user_id"),
    "notifications": ("target_id", "target_type target_id"),
    "notification_actors": ("notification_id", "person_id"),
    "user_preferences": ("user_id email_type",),
    "services": ("type uid", "user_id"),
    "reports": ("item_id",),
    "pods": ("status", "checked_at", "offline_since"),
    "o_embed_caches": ("url",),
    "o_auth_applications": ("user_id",),
    "authorizations": ("user_id", "o_auth_application_id"),
    "o_auth_access_tokens": ("authorization_id",),
    "ppid": ("o_auth_application_id", "user_id"),
    "simple_captcha_data": ("key",),
}

# The landmarks among the migrations of each release. 0.9 slipped in some with older numbers than
# what 0.7.16 already had, which is why the highest number alone says too little.
_UNTIL_0_7_16: Final = (
    "20170813222333", "20171017221434", "20180406235521", "20180430134444", "20180603194914",
    "20181004003638", "20181227235201", "20190511150503", "20190703231700", "20211027230348",
)  # fmt: skip
_ONLY_0_9: Final = (
    "20181127012722", "20190426100618", "20190701234716", "20191018014242", "20201130142541",
    "20210213000000", "20220227215443", "20221030193943", "20230604015559",
)  # fmt: skip
MIGRATIONS: Final = {
    "0.7.16": _UNTIL_0_7_16,
    "0.9": (*_UNTIL_0_7_16, *_ONLY_0_9),
    "0.10-dev": (*_UNTIL_0_7_16, *_ONLY_0_9, "20260428000000"),
}
