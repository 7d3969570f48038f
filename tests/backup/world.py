"""A small pod in memory, its state and targets, and what a restore of a vault gives."""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from vaultd.backends.base import Backend
from vaultd.backends.memory import MemoryBackend
from vaultd.backup.report import RunReport
from vaultd.backup.run.run import run_backup
from vaultd.config import Config, Limits, Pod, Retention, StateSection, Target
from vaultd.errors import DamageError, DatabaseError
from vaultd.keys import PodKey, Secrets
from vaultd.records import Body, Record, Records, check_body, encode_record
from vaultd.restore.snapshot import Snapshot, open_with_kit
from vaultd.sources.base import ANY, Changes, SourceAccount, SourceInfo, Trouble
from vaultd.state.store import State

POD_KEY = PodKey(b"the pod key of tests, 32 bytes..")
Content = dict[tuple[str, str], Body]


def _encodes(record: Record) -> bool:
    try:
        encode_record(record.kind, record.id, record.body)
        check_body(record.body)
    except (ValueError, TypeError, OverflowError, RecursionError, DamageError):
        return False
    return True


@dataclass
class FakeAccount:
    """One account of the fake pod and everything it has."""

    account: SourceAccount
    records: dict[tuple[str, str], Record] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    broken: Exception | None = None

    def put(self, kind: str, record_id: str, body: Body, *, passive: bool = False) -> None:
        self.records[kind, record_id] = Record(kind, record_id, body, passive)

    def photo(self, record_id: str, file: str) -> None:
        self.records["photo", record_id] = Record("photo", record_id, {"name": file}, file=file)

    def content(self) -> Content:
        return {key: dict(record.body) for key, record in self.records.items()}


class FakeSource:
    """Records of all accounts come interleaved, person and audience last, as from a database."""

    def __init__(self) -> None:
        self.people: dict[str, FakeAccount] = {}
        self.files: dict[str, bytes] = {}
        self.batches: list[list[str]] = []
        self.opened: list[str] = []
        self.away = False
        self.looks = 0  # raise it to have every account looked at again

    def add(self, username: str, state: str = "active") -> FakeAccount:
        key = len(self.people) + 1
        account = SourceAccount(
            key, username, f"{username}@pod.example", f"{key:032x}", f"PEM {username}", state
        )
        person = FakeAccount(account)
        person.put("account", account.guid, {"username": username})
        self.people[username] = person
        return person

    def info(self) -> SourceInfo:
        return SourceInfo("memory", "1", "test", len(self.people))

    def accounts(self, usernames: Sequence[str] | None = None) -> list[SourceAccount]:
        if self.away:
            raise DatabaseError("The database is away.")
        return [p.account for n, p in self.people.items() if usernames is None or n in usernames]

    def open_accounts(self) -> dict[str, str]:
        if self.away:
            raise DatabaseError("The database is away.")
        people = [
            p.account for p in self.people.values() if p.account.state in ("active", "locked")
        ]
        return {account.guid: account.username for account in people}

    def read(
        self, accounts: Sequence[SourceAccount]
    ) -> Iterator[tuple[SourceAccount, Record | Records | Trouble]]:
        """Yield what there is; the first account's records of a kind come together, encoded, the second's not."""
        held: dict[tuple[int, str, bool], list[Record]] = {}
        for account, item in self._singly(accounts):
            together = account.key % 2 == 1 and isinstance(item, Record) and item.file is None
            if not together or not isinstance(item, Record) or not _encodes(item):
                yield account, item
            else:
                held.setdefault((account.key, item.kind, item.passive), []).append(item)
        of_key = {account.key: account for account in accounts}
        for (key, kind, passive), records in held.items():
            yield (
                of_key[key],
                Records(
                    kind,
                    [record.id for record in records],
                    [encode_record(kind, record.id, record.body) for record in records],
                    passive,
                    [record.finish for record in records],
                ),
            )

    def _singly(
        self, accounts: Sequence[SourceAccount]
    ) -> Iterator[tuple[SourceAccount, Record | Trouble]]:
        self.batches.append([account.username for account in accounts])
        if self.away:
            raise DatabaseError("The database is away.")
        queues = [
            (
                person,
                sorted(person.records.values(), key=lambda r: r.kind in ("person", "audience")),
            )
            for person in (self.people[account.username] for account in accounts)
        ]
        for person, _ in queues:
            for trouble in person.troubles:
                yield person.account, trouble
        for row in range(max((len(records) for _, records in queues), default=0)):
            for person, records in queues:
                if person.broken is not None:
                    raise person.broken
                if row < len(records):
                    yield person.account, copy.copy(records[row])

    def weights(self, accounts: Sequence[SourceAccount]) -> dict[int, int]:
        return {each.key: len(self.people[each.username].records) for each in accounts}

    def fingerprints(self, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        if self.away:
            raise DatabaseError("The database is away.")
        found = {}
        for account in accounts:
            person = self.people[account.username]
            seen = [
                self.looks,
                sorted((repr(r) for r in person.records.values() if not r.passive), key=str),
                [self.files.get(r.file) for r in person.records.values() if r.file],
                person.troubles,
                repr(person.broken),
                person.account,
            ]
            found[account.key] = hashlib.blake2b(
                repr(seen).encode("utf-8", "replace"), digest_size=16
            ).digest()
        return found

    def changes(self, since: bytes | None) -> Changes:
        return ANY

    def moment(self) -> bytes | None:
        return None

    def open_file(self, name: str) -> BinaryIO:
        self.opened.append(name)
        if name not in self.files:
            raise FileNotFoundError(2, "No such file", name)
        return io.BytesIO(self.files[name])


class World:
    """A pod with state and targets in a temporary folder; `alice` is there and enrolled."""

    def __init__(self, folder: Path, targets: dict[str, Backend] | None = None) -> None:
        self._open(folder, targets)
        self.enroll("alice")

    @classmethod
    def reopen(cls, folder: Path, targets: dict[str, Backend]) -> World:
        """The same world on the state that is there."""
        world = cls.__new__(cls)
        world._open(folder, targets)
        return world

    def _open(self, folder: Path, targets: dict[str, Backend] | None) -> None:
        self.folder = folder
        self.source = FakeSource()
        self.memory = MemoryBackend()
        self.targets: dict[str, Backend] = {"main": self.memory} if targets is None else targets
        self.secrets = {"alice": _secrets("alice")}
        self.config = Config(
            pod=Pod("https://pod.example", "sqlite:///none", "/none"),
            targets={name: Target(f"memory:{name}") for name in self.targets},
            state=StateSection(str(folder)),
            limits=Limits(batch_accounts=3),
            retention=Retention(enabled=False),
        )
        self.state = State(folder)
        self.alice = self._add("alice")

    def _add(self, username: str) -> FakeAccount:
        person = self.source.add(username)
        person.put("post", "p1", {"text": f"first of {username}"})
        return person

    def person(self, username: str) -> FakeAccount:
        person = self._add(username)
        self.enroll(username)
        return person

    def enroll(self, username: str) -> None:
        account = self.source.people[username].account
        self.secrets[username] = secrets = _secrets(username)
        self.state.enroll(
            username=username,
            guid=account.guid,
            handle=account.handle,
            recipient=str(secrets.recipient),
            vault_id=secrets.recipient.vault_id,
        )

    def run(self, *usernames: str) -> RunReport:
        return run_backup(
            self.config, self.state, self.source, self.targets, POD_KEY, usernames or None
        )

    def lose_state(self) -> None:
        self.state.close()
        for path in self.folder.glob("state.sqlite3*"):
            path.unlink()
        self.state = State(self.folder)
        for username in self.source.people:
            self.enroll(username)

    def snapshot(
        self, username: str = "alice", target: str = "main", at: str | None = None
    ) -> Snapshot:
        vault = open_with_kit(self.targets[target], self.secrets[username], [])
        return Snapshot(vault, vault.at(at))

    def restored(
        self, username: str = "alice", target: str = "main", at: str | None = None
    ) -> Content:
        """What a restore gives; a record that comes twice or damage fails the test."""
        snapshot = self.snapshot(username, target, at)
        content: Content = {}
        for record in snapshot.records():
            assert record.body is not None
            assert (record.kind, record.id) not in content
            content[record.kind, record.id] = record.body
        assert snapshot.damage == []
        counts: dict[str, int] = {}
        for kind, _ in content:
            counts[kind] = counts.get(kind, 0) + 1
        assert snapshot.manifest.counts == counts
        return content


def _secrets(username: str) -> Secrets:
    return Secrets.from_secret(username.encode().ljust(16, b".")[:16])
