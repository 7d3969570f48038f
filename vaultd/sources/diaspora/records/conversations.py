"""Private messages: conversations the user sees, everybody in them, and all their messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from vaultd.records import Body, Json
from vaultd.sources.diaspora.batch import Batch
from vaultd.sources.diaspora.queries import conversations
from vaultd.sources.diaspora.records.packing import Item
from vaultd.sources.diaspora.records.values import exact, nulls, number, seconds, text

_KNOWN: Final = frozenset("id conversation_id author_id guid text created_at subject".split())


def read_conversations(batch: Batch) -> Iterator[Item]:
    """Yield conversations and messages of every account of the batch."""
    partners: dict[tuple[int, int], list[Json]] = defaultdict(list)
    for row in batch.ask(conversations.partners(batch.schema, batch.scope)):
        ties = batch.ties[batch.by_person[row["me"]].key]
        partners[row["me"], row["conversation_id"]].append(text(row["diaspora_handle"]))
        ties.people.add(row["person_id"])
        if row["person_id"] != row["me"]:
            ties.reasons["conversation"].add(row["person_id"])
    for row in batch.ask(conversations.conversations(batch.schema, batch.scope)):
        account = batch.by_person[row["me"]]
        batch.ties[account.key].people.add(row["author_id"])
        body: Body = {
            "entity_type": "conversation",
            "entity_data": {
                "author": text(row["diaspora_handle"]),
                "guid": text(row["guid"]),
                "subject": text(row["subject"]),
                "created_at": seconds(row["created_at"]),
                "participants": partners.get((row["me"], row["id"]), []),
            },
            "unread": number(row["unread"]),
            "updated_at": exact(row["updated_at"]),
            "row": {
                **batch.extra("conversations", row, _KNOWN),
                **nulls(row, ("subject",)),
                "created_at": exact(row["created_at"]),
            },
        }
        yield batch.record(account, "conversation", row["guid"], row["id"], body)
    for row in batch.ask(conversations.messages(batch.schema, batch.scope)):
        account = batch.by_person[row["me"]]
        batch.ties[account.key].people.add(row["author_id"])
        body = {
            "entity_type": "message",
            "entity_data": {
                "author": text(row["diaspora_handle"]),
                "guid": text(row["guid"]),
                "text": text(row["text"]),
                "created_at": seconds(row["created_at"]),
                "conversation_guid": text(row["conversation_guid"]),
            },
            "row": {
                **batch.extra("messages", row, _KNOWN),
                **nulls(row, ("text",)),
                "created_at": exact(row["created_at"]),
            },
        }
        yield batch.record(account, "message", row["guid"], row["id"], body)
