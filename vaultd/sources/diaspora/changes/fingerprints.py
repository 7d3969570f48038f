"""Fingerprints: 16 bytes per account that change when a row behind its records does.

Every question of the readers becomes a branch of one statement, with the readers' joins and
conditions; the database hashes the rows and sends two short lines per account.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, Select, case, func, literal_column, select, union_all

import vaultd
from vaultd.sources.base import SourceAccount
from vaultd.sources.diaspora.batch import CHUNK
from vaultd.sources.diaspora.changes.hashing import READING, hasher_of
from vaultd.sources.diaspora.database import fetch_all
from vaultd.sources.diaspora.queries import Question, counted
from vaultd.sources.diaspora.records.account import hidden_ids
from vaultd.sources.diaspora.records.pods import of_one_name
from vaultd.sources.diaspora.records.values import text
from vaultd.sources.diaspora.schema import Schema
from vaultd.sources.diaspora.scope import JoinScope, is_dense, parameters

# For the planner: a branch joins up to ten tables, mostly through indexes that lie in memory.
_SETTINGS: Final = (
    ("join_collapse_limit", "12", 80000),
    ("from_collapse_limit", "12", 80000),
    ("random_page_cost", "1.1", 80000),
    ("work_mem", "32MB", 80000),
    ("plan_cache_mode", "force_custom_plan", 120000),
)


class Fingerprints:
    """The statements for one schema and engine, made once."""

    def __init__(self, schema: Schema, connection: Connection, pod_url: str) -> None:
        self._dialect = connection.dialect.name
        version: Any = getattr(connection.dialect, "server_version_info", None) or (0,)
        self._version = version[0] * 10000
        self._hasher = hasher_of(schema, connection)
        self.schema = schema
        self._seed = repr((vaultd.__version__, READING, pod_url)).encode()
        # The other one is made when it is first asked: some accounts far apart.
        self._statements = {True: self._statement(dense=True)}

    def of(self, connection: Connection, accounts: Sequence[SourceAccount]) -> dict[int, bytes]:
        """Return the fingerprints of some accounts; everything is seen at one moment."""
        if not accounts:
            return {}
        ids = [account.key for account in accounts]
        dense = is_dense(ids)
        if dense not in self._statements:
            self._statements[dense] = self._statement(dense=dense)
        statement, asked = self._statements[dense], parameters(ids, dense=dense)
        self._prepare(connection)
        people, hidden = self.schema["people"], self._hidden(connection, asked, dense=dense)
        scope = JoinScope(self.schema, self._dialect, dense=dense)
        query = select(people.c.owner_id, people.c.id).where(scope.users(people.c.owner_id))
        person_of: dict[int, int] = {row[0]: row[1] for row in fetch_all(connection, query, asked)}
        found: tuple[dict[int, bytes], dict[int, bytes]] = {}, {}
        if self._dialect == "postgresql":
            asked["persons"] = list(person_of.values())
        for by_person, owner, *hashes in fetch_all(connection, statement, asked):
            found[by_person][owner] = repr(hashes).encode()
        of_user, of_person = found
        seed = hashlib.blake2b(self._seed, digest_size=16)
        seed.update(repr(fetch_all(connection, self._twins())).encode())
        prints = {}
        for account in accounts:
            one = seed.copy()
            one.update(repr((account, hidden.get(account.key))).encode("utf-8", "replace"))
            one.update(of_user.get(account.key, b""))
            one.update(of_person.get(person_of.get(account.key, 0), b""))
            prints[account.key] = one.digest()
        return prints

    def _prepare(self, connection: Connection) -> None:
        if self._dialect == "postgresql":
            wanted = [func.set_config(n, v, True) for n, v, since in _SETTINGS
                      if self._version >= since]  # fmt: skip
            connection.execute(select(*wanted))

    def _statement(self, *, dense: bool) -> Select[Any]:
        """Return the statement: per side (users.id or people.id) and owner, all branches' sums."""
        questions = counted(self.schema, JoinScope(self.schema, self._dialect, dense=dense))
        branches = []
        for number, question in enumerate(questions):
            branch, names = self._branch(number, question)
            branches.append(branch)
            # A renamed column changes records, too.
            if dense:
                self._seed += repr((question.name, names)).encode()
        parts = union_all(*branches).subquery("parts")
        side, owner, *rest = parts.c
        return select(side, owner, *self._hasher.rows(rest)).group_by(side, owner)

    def _branch(self, number: int, question: Question) -> tuple[Select[Any], list[str]]:
        columns = [
            column
            for column in question.select.selected_columns
            if column.key not in question.unused
        ]
        names = [str(column.key) for column in columns]
        columns += [column for column in question.order if column is not question.owner]
        query = question.select
        if question.tied is not None:
            query, more = self._with_pod(query, question.tied)
            columns += more
        wanted = (
            literal_column(str(int(question.by_person))).label("side"),
            question.owner.label("owner"),
            literal_column(str(number)).label("part"),
            *self._hasher.rows(columns),
        )
        branch = query.with_only_columns(*wanted)
        return branch.group_by(question.owner), names

    def _with_pod(self, query: Select[Any], person: Any) -> tuple[Select[Any], list[Any]]:
        """Join the pod of a person in the audience; host and URL are in that record."""
        pods = self.schema["pods"].alias("tied_pod")
        every = self.schema["pods"].alias("every_pod")
        # Without a row of its own pod, a person's host is looked for among all (see people.py).
        _, first, *_ = self._hasher.rows([every.c[name] for name in ("id", *_POD)])
        lost = person.c.id.is_not(None) & person.c.owner_id.is_(None) & pods.c.id.is_(None)
        columns = [
            person.c.diaspora_handle,
            person.c.owner_id,
            person.c.pod_id,
            *(pods.c[name] for name in _POD),
            case((lost, select(first).scalar_subquery())),
        ]
        return query.outerjoin(pods, pods.c.id == person.c.pod_id), columns

    def _twins(self) -> Select[Any]:
        """Ask for pods of the same name: which of them gives the URL depends on all of them."""
        pods = self.schema["pods"]
        return of_one_name(pods, *self._hasher.rows([pods.c[n] for n in ("id", *_POD)]))

    def _hidden(
        self, connection: Connection, asked: dict[str, Any], *, dense: bool
    ) -> dict[int, list[tuple[int, str]]]:
        """Return the hidden posts that are there; their ids are in a text, for few accounts."""
        users, posts = self.schema["users"], self.schema["posts"]
        scope = JoinScope(self.schema, self._dialect, dense=dense)
        query = select(users.c.id, users.c.hidden_shareables).where(
            scope.users(users.c.id), users.c.hidden_shareables.like("%- %")
        )
        listed = {user: hidden_ids(value) for user, value in fetch_all(connection, query, asked)}
        wanted = sorted({number for numbers in listed.values() for number in numbers})
        guids: dict[int, str] = {}
        for start in range(0, len(wanted), CHUNK):
            some = posts.c.id.in_(wanted[start : start + CHUNK])
            for number, guid in fetch_all(connection, select(posts.c.id, posts.c.guid).where(some)):
                guids[number] = text(guid)
        found: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for user, numbers in listed.items():
            found[user] = [(number, guids[number]) for number in numbers if number in guids]
        return found


_POD: Final = ("host", "port", "ssl")
