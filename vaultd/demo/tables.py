"""The diaspora* schema as the project describes it, a line a table.

`name type[!][=default]`: `!` is NOT NULL; types: i integer, s string, s<N> string of N, t text,
b boolean, d datetime, D date. Releases: a column or table ending in `@0.7` exists there only,
`@<0.10` up to 0.9, `@0.9` from 0.9 on. `id` comes first in every table unless it starts with `-`.
"""

from __future__ import annotations

from typing import Final

TABLES: Final = """
users: username s! | serialized_private_key t | getting_started b!=1 | disable_mail b!=0 | language s | email s!='' | encrypted_password s!='' | reset_password_token s | remember_created_at d | sign_in_count i=0 | current_sign_in_at d | last_sign_in_at d | current_sign_in_ip s | last_sign_in_ip s | created_at d! | updated_at d! | invited_by_id i | authentication_token s30@0.7 | unconfirmed_email s | confirm_email_token s30 | locked_at d | show_community_spotlight_in_stream b!=1 | auto_follow_back b=0 | auto_follow_back_aspect_id i | hidden_shareables t | reset_password_sent_at d | last_seen d | remove_after d | export s | exported_at d | exporting b=0 | strip_exif b=1@0.7 | exported_photos_file s | exported_photos_at d | exporting_photos b=0 | color_theme s | post_default_public b=0 | consumed_timestep i | otp_required_for_login b | otp_backup_codes t | plain_otp_secret s
people: guid s! | diaspora_handle s! | serialized_public_key t! | owner_id i | created_at d! | updated_at d! | closed_account b=0 | fetch_status i=0 | pod_id i
profiles: diaspora_handle s | first_name s127 | last_name s127 | image_url s | image_url_small s | image_url_medium s | birthday D | gender s | bio t | searchable b!=1 | person_id i! | created_at d! | updated_at d! | location s | full_name s70 | nsfw b=0 | public_details b=0
contacts: user_id i! | person_id i! | created_at d! | updated_at d! | sharing b!=0 | receiving b!=0
aspects: name s! | user_id i! | created_at d! | updated_at d! | order_id i | chat_enabled b=0@0.7 | post_default b=1
aspect_memberships: aspect_id i! | contact_id i! | created_at d! | updated_at d!
aspect_visibilities: shareable_id i! | aspect_id i! | shareable_type s!='Post'
share_visibilities: shareable_id i! | hidden b!=0 | shareable_type s60!='Post' | user_id i!
posts: author_id i! | public b!=0 | guid s! | type s40! | text t | created_at d! | updated_at d! | provider_display_name s | root_guid s | likes_count i=0 | comments_count i=0 | o_embed_cache_id i | reshares_count i=0 | interacted_at d | tweet_id s@<0.10 | open_graph_cache_id i | tumblr_ids t@<0.10
photos: author_id i! | public b!=0 | guid s! | pending b!=0 | text t | remote_photo_path t | remote_photo_name s | random_string s | processed_image s | created_at d | updated_at d | unprocessed_image s | status_message_guid s | comments_count i@0.7 | height i | width i
locations: address s | lat s | lng s | status_message_id i | created_at d! | updated_at d!
polls: question s! | status_message_id i! | status b | guid s | created_at d | updated_at d
poll_answers: answer s! | poll_id i! | guid s | vote_count i=0
poll_participations: poll_answer_id i! | author_id i! | poll_id i! | guid s | created_at d | updated_at d
poll_participation_signatures: - | poll_participation_id i! | author_signature t! | signature_order_id i! | additional_data t
comments: text t! | commentable_id i! | author_id i! | guid s! | created_at d! | updated_at d! | likes_count i!=0 | commentable_type s60!='Post'
comment_signatures: - | comment_id i! | author_signature t! | signature_order_id i! | additional_data t
likes: positive b=1 | target_id i | author_id i | guid s | created_at d! | updated_at d! | target_type s60!
like_signatures: - | like_id i! | author_signature t! | signature_order_id i! | additional_data t
signature_orders: order s!
participations: guid s | target_id i | target_type s60! | author_id i | created_at d! | updated_at d! | count i!=1
mentions: mentions_container_id i! | person_id i! | mentions_container_type s!
references: source_id i! | source_type s60! | target_id i! | target_type s60!
tags: name s | taggings_count i=0
taggings: tag_id i | taggable_id i | taggable_type s127 | tagger_id i | tagger_type s127 | context s127 | created_at d
tag_followings: tag_id i! | user_id i! | created_at d! | updated_at d!
blocks: user_id i | person_id i
conversations: subject s | guid s! | author_id i! | created_at d! | updated_at d!
conversation_visibilities: conversation_id i! | person_id i! | unread i!=0 | created_at d! | updated_at d!
messages: conversation_id i! | author_id i! | guid s! | text t! | created_at d! | updated_at d!
notifications: target_type s | target_id i | recipient_id i! | unread b!=1 | created_at d! | updated_at d! | type s | guid s!@0.9
notification_actors: notification_id i | person_id i | created_at d! | updated_at d!
roles: person_id i | name s | created_at d! | updated_at d!
user_preferences: email_type s | user_id i | created_at d! | updated_at d!
invitation_codes: token s | user_id i | count i | created_at d! | updated_at d!
services@<0.10: type s127! | user_id i! | uid s127 | access_token s | access_secret s | nickname s | created_at d! | updated_at d!
reports: item_id i! | item_type s! | reviewed b=0 | text t | created_at d | updated_at d | user_id i!
account_deletions: person_id i | completed_at d
account_migrations: old_person_id i! | new_person_id i! | completed_at d | signature t | remote_photo_path t
pods: host s! | ssl b | created_at d! | updated_at d! | status i=0 | checked_at d | offline_since d | response_time i=-1 | software s | error s | port i@0.7 | port i!=-1@0.9 | blocked b=0 | scheduled_check b!=0
o_embed_caches: url s1024! | data t!
open_graph_caches: title s | ob_type s | image t | url t | description t | video_url t
chat_contacts@0.7: user_id i! | jid s! | name s | ask s128 | subscription s128!
schema_migrations: - | version s!
ar_internal_metadata: - | key s! | value s | created_at d! | updated_at d!
"""

UNIQUE: Final = {
    "users": ("username", "email"),
    "people": ("diaspora_handle", "guid", "owner_id"),
    "contacts": ("user_id person_id",),
    "aspects": ("user_id name",),
    "aspect_memberships": ("aspect_id contact_id",),
    "aspect_visibilities": ("shareable_id shareable_type aspect_id",),
    "share_visibilities": ("shareable_id shareable_type user_id",),
    "posts": ("guid", "author_id root_guid"),
    "photos": ("guid",),
    "polls": ("guid",),
    "poll_answers": ("guid",),
    "poll_participations": ("guid", "poll_id author_id"),
    "comments": ("guid",),
    "likes": ("guid", "target_id author_id target_type"),
    "comment_signatures": ("comment_id",),
    "like_signatures": ("like_id",),
    "poll_participation_signatures": ("poll_participation_id",),
    "participations": ("target_id target_type author_id",),
    "references": ("source_id source_type target_id target_type",),
    "mentions": ("person_id mentions_container_id mentions_container_type",),
    "tags": ("name",),
    "taggings": ("taggable_id taggable_type tag_id",),
    "tag_followings": ("tag_id user_id",),
    "blocks": ("user_id person_id",),
    "conversations": ("guid",),
    "conversation_visibilities": ("conversation_id person_id",),
    "messages": ("guid",),
    "roles": ("person_id name",),
    "signature_orders": ("order",),
    "pods": ("host port",),
    "account_deletions": ("person_id",),
    "account_migrations": ("old_person_id",),
    "schema_migrations": ("version",),
}

INDEXES: Final = {
    "posts": ("author_id", "root_guid", "created_at id"),
    "comments": ("author_id", "commentable_id commentable_type"),
    "likes": ("author_id", "target_id"),
    "photos": ("author_id", "status_message_guid"),
    "participations": ("author_id",),
    "aspects": ("user_id",),
    "aspect_memberships": ("aspect_id", "contact_id"),
    "aspect_visibilities": ("aspect_id", "shareable_id shareable_type"),
    "contacts": ("person_id",),
    "messages": ("author_id", "conversation_id"),
    "conversations": ("author_id",),
    "conversation_visibilities": ("person_id", "conversation_id"),
    "share_visibilities": ("user_id", "shareable_id"),
    "tag_followings": ("user_id", "tag_id"),
    "taggings": ("tag_id",),
    "services": ("user_id",),
    "user_preferences": ("user_id email_type",),
    "reports": ("item_id",),
    "notifications": ("recipient_id",),
    "polls": ("status_message_id",),
    "poll_answers": ("poll_id",),
    "locations": ("status_message_id",),
    "profiles": ("person_id",),
    "mentions": ("mentions_container_id mentions_container_type", "person_id"),
    "references": ("source_id source_type",),
}

NEWEST: Final = {
    "0.7.16": ("20190703231700", "20211027230348"),
    "0.9": ("20181127012722", "20190426100618", "20190701234716", "20191018014242",
            "20201130142541", "20210213000000", "20211027230348", "20220227215443",
            "20221030193943", "20230604015559"),
    "0.10-dev": ("20211027230348", "20221030193943", "20230604015559", "20260428000000"),
}  # fmt: skip
